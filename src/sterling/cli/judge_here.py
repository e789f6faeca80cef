"""`judge-here` and `verify`: a verdict on a benchmark that nobody else may see, and the proof of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sterling.cli.options import (
    Entity,
    Fast,
    Group,
    Holdout,
    JsonOut,
    Policy,
    SchemaFile,
    Seed,
    Slice,
    Stakes,
    Target,
    Time,
)

if TYPE_CHECKING:
    from sterling.ship.certificate import Certificate


def judge_here(
    real: Annotated[str, typer.Argument(help="Your real data; no row of it leaves.")],
    synthetic: Annotated[str, typer.Argument(help="The other party's set.")],
    key: Annotated[Path, typer.Option("--key", help="Your Ed25519 key (PEM); made where it is not there.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The certificate to write, a JSON file.")],
    holdout: Holdout = None,
    target: Target = None,
    group: Group = None,
    slice_: Slice = None,
    policy: Policy = None,
    stakes: Stakes = "low",
    queries: Annotated[
        int | None, typer.Option("--queries", min=1, help="Refuse once so many different sets were judged.")
    ] = None,
    seed: Seed = 0,
    fast: Fast = False,
    json: JsonOut = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the certificate as a page too.")] = None,
    schema: SchemaFile = None,
    entity: Entity = None,
    time: Time = None,
) -> None:
    """Judge another party's set; sign a certificate.

    The certificate holds verdict, statuses and rounded numbers: no row, no example, no small count.
    `--json` writes the whole result, for your eyes only.
    """
    from sterling.api.judge_here import certificate_page
    from sterling.api.judge_here import judge_here as judge
    from sterling.cli.progress import reporter
    from sterling.decide.result import write_result
    from sterling.sources.atomic import write_text

    done = judge(
        real, synthetic, key=key, out=out, holdout=holdout, target=target, groups=group or (), slices=slice_ or (),
        policy=policy, stakes=stakes, queries=queries, seed=seed, effort="fast" if fast else "full", schema=schema,
        entity=entity, time=time, on_event=reporter(),
    )  # fmt: skip
    _show(done.certificate)
    if json is not None:
        write_result(done.result, json)
    if html is not None:
        write_text(html, certificate_page(done.certificate))
    typer.echo(f"\nCertificate  {out}")
    if done.key_made:
        typer.echo(f"New key      {key} (keep it)\nPublic key   {key}.pub (hand it out)")
    asked = "1 set or question" if done.questions == 1 else f"{done.questions:,} different sets or questions"
    typer.echo(f"Judged here  {asked} so far" + (f", {queries:,} allowed" if queries is not None else ""))


def verify(
    certificate: Annotated[Path, typer.Argument(help="A certificate that judge-here wrote.")],
    public_key: Annotated[
        Path | None, typer.Option("--public-key", help="The owner's public key: is it really his?")
    ] = None,
    set_: Annotated[str | None, typer.Option("--set", help="The set it should be about.")] = None,
    schema: SchemaFile = None,
) -> None:
    """Check a certificate and read what it says.

    Exit code 2 where anything was altered, the key is another, or it is about another set.
    """
    from sterling.api.judge_here import verify as check

    found = check(certificate, public_key=public_key, synthetic=set_, schema=schema)
    _show(found.certificate)
    typer.echo("\nSignature  holds: nothing was changed since it was signed")
    who = (
        "is the one you gave"
        if found.key_known
        else "is not checked: compare it with the owner's, or give --public-key"
    )
    typer.echo(
        f"Key        {who}\nSet        {'is the one you gave' if found.set_known else 'is not checked: give --set'}"
    )


def _show(certificate: Certificate) -> None:
    """The certificate in 80 columns. Its words may be a stranger's: control characters are not printed."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from sterling.cli.show import console
    from sterling.ship.certificate_page import facts_of, left_out, lines_of

    out = console()
    out.print()
    out.print(Text(f" {_plain(str(certificate.body['verdict']))} ", style="bold reverse"))
    out.print()
    facts = Table(box=None, padding=(0, 1), show_header=False, pad_edge=True)
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for label, text in facts_of(certificate):
        facts.add_row(label, Text(_plain(text)))
    out.print(facts)
    out.print()
    table = Table(box=None, padding=(0, 1), header_style="dim", pad_edge=True)
    for name in ("", "finding"):
        table.add_column(name, overflow="fold")
    for name in ("value", "interval", "bound"):
        table.add_column(name, justify="right", overflow="fold")
    for line in lines_of(certificate):
        table.add_row(*(Text(_plain(t)) for t in (line.status, line.name, line.value, line.between, line.bound)))
    out.print(table)
    for rule in certificate.body["rules"]:
        out.print(Text(_plain(f"  {rule.get('rule')} {rule.get('outcome')}"), style="bold"))
        out.print(Padding(Text(_plain(str(rule.get("about", ""))), style="dim"), (0, 0, 0, 4)))
    for sentence in left_out(certificate):
        out.print(Padding(Text(_plain(sentence), style="dim"), (0, 0, 0, 2)))


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
