"""`judge-here`: judge somebody else's set on your own benchmark; the signed certificate holds no row of it."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sterling.api.compare import Stakes, conclude, facts_of, judge
from sterling.api.inputs import Arena, Roles, journal_path, load, prepare
from sterling.api.wear import told
from sterling.kernel.dataset import Origin
from sterling.kernel.errors import InputError
from sterling.kernel.finding import Decision, Finding, Json, Status
from sterling.kernel.protocols import Effort, OnEvent, silent
from sterling.kernel.schema import Kind

if TYPE_CHECKING:
    from sterling.decide.policy import Policy
    from sterling.decide.result import Result
    from sterling.kernel.view import View
    from sterling.ship.certificate import Certificate, Tellable
    from sterling.ship.sign import SigningKey
    from sterling.sources.queries import Wear

KIND = "judge-here"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the owner of the benchmark keeps, and what he hands out.

    Args:
        result: everything that was found: the owner's alone.
        certificate: what was written to the certificate's file.
        questions: different sets or questions this benchmark has been asked to judge, this one included.
        key_made: whether the key was made just now.
    """

    result: Result
    certificate: Certificate
    questions: int
    key_made: bool


@dataclass(frozen=True, slots=True)
class _Paper:
    """What a certificate needs beside the findings."""

    arena: Arena
    question: dict[str, Json]
    policy: Policy
    wear: Wear
    key: SigningKey
    stakes: Stakes
    seed: int


@dataclass(frozen=True, slots=True)
class Verified:
    """A certificate that holds.

    Args:
        certificate: what it says.
        key_known: whether it was signed by the key that was given; None where none was given.
        set_known: whether the set that was given is the one that was judged; None where none was given.
    """

    certificate: Certificate
    key_known: bool | None
    set_known: bool | None


def judge_here(
    real: Any,
    synthetic: Any,
    *,
    key: Path,
    out: Path,
    holdout: Any = None,
    target: str | None = None,
    groups: Sequence[str] = (),
    slices: Sequence[str] = (),
    policy: str | Path | None = None,
    stakes: Stakes = "low",
    queries: int | None = None,
    seed: int = 0,
    effort: Effort = "full",
    schema: Path | None = None,
    entity: str | None = None,
    time: str | None = None,
    on_event: OnEvent = silent,
) -> Judgement:
    """Judge a set and write a signed certificate that holds no row, no example and no small count.

    What is about single real rows is told only as a failure that concerns ten or more of them. The verdict of the
    certificate hangs on what it tells alone, and may be milder than yours. It is no differential
    privacy: set `queries`.

    Args:
        real: your real data: a path, a frame or a Dataset.
        synthetic: the set of the other party, likewise.
        key: your Ed25519 key (PEM); a file that is not there is made, with the public key beside it.
        out: the certificate to write.
        holdout: real rows that the generator never saw; without it REAL splits 80 / 20.
        target: the column a model shall predict.
        groups: protected attributes.
        slices: columns of which each value is judged by itself.
        policy: a preset's name or a TOML file.
        stakes: what a wrong model would cost.
        queries: refuse once the benchmark has judged this many different sets or questions; None never does.
        seed: same seed, same findings.
        effort: "fast" subsamples.
        schema: TOML that overrides kinds and roles of columns.
        entity: column whose rows stay together in the split.
        time: time column; the latest rows become the holdout.
        on_event: hears progress.

    Raises:
        MissingExtra: without the `cryptography` package.
        InputError: for input that is unreadable, misnamed or unrelated, a key that is none, a benchmark that has
            answered enough, or a journal that cannot be written.
    """
    from sterling.decide.policy import load_policy
    from sterling.ship.certificate import issue, write_certificate
    from sterling.ship.sign import open_key

    rules = load_policy(policy, stakes=stakes)
    signing = open_key(key)  # before the benchmark is opened: without a key there is no answer
    roles = Roles(target=target, groups=tuple(groups), entity=entity, time=time, schema=schema)
    arena = prepare(real, [synthetic], roles=roles, holdout=holdout, why=KIND, on_event=on_event)
    question: dict[str, Json] = {
        "target": target, "groups": list(groups), "slices": list(slices), "stakes": stakes, "effort": effort,
        "holdout": "given" if holdout is not None else "split", "entity": entity, "time": time,
    }  # fmt: skip
    questions, wear = _asked(arena, question, rules, seed=seed, most=queries)
    findings = judge(arena, 0, policy=rules, seed=seed, effort=effort, slices=tuple(slices), on_event=on_event)
    result = told(
        conclude("compare", arena, findings, policy=rules, seed=seed, stakes=stakes, notes=arena.notes), wear, rules
    )
    seen = _without_repeats(arena)
    if seen is not arena:
        again = judge(seen, 0, policy=rules, seed=seed, effort=effort, slices=tuple(slices), on_event=on_event)
        # Whether rows repeat each other is asked of the set as it came.
        findings = (
            *(f for f in again if f.measure != "duplicates"),
            *(f for f in findings if f.measure == "duplicates"),
        )
    paper = _Paper(arena, question, rules, wear, signing, stakes, seed)
    certificate = issue(_body(findings, paper), signing)
    write_certificate(certificate, out)
    return Judgement(_with_difference(result, certificate), certificate, questions, signing.made)


def verify(
    certificate: Path, *, public_key: Path | None = None, synthetic: Any = None, schema: Path | None = None
) -> Verified:
    """Check a certificate: its signature, the key that made it, the set it speaks of.

    Args:
        certificate: a file that judge-here wrote.
        public_key: the owner's public key; without it the signature only shows that nothing was changed since.
        synthetic: the set it should be about.
        schema: TOML that overrides kinds and roles, if the owner used one.

    Raises:
        MissingExtra: without the `cryptography` package.
        InputError: if it was altered, signed by another key, or speaks of another set.
    """
    from sterling.ship.certificate import read_certificate
    from sterling.ship.sign import fingerprint, read_public_key

    read = read_certificate(certificate)
    if public_key is not None and (owner := read_public_key(public_key)) != read.public_key:
        raise InputError(
            f"{certificate} was signed by the key {read.key_fingerprint}, not by {fingerprint(owner)}",
            mend="ask the owner of the benchmark which key is his",
        )
    if synthetic is not None:
        given = load(synthetic, origin=Origin.SYNTHETIC, schema=schema)
        if given.fingerprint != read.body["set"].get("fingerprint"):
            raise InputError(
                f"{certificate} is about another set: {read.body['set'].get('rows')} rows with fingerprint "
                f"{str(read.body['set'].get('fingerprint'))[:16]}..., and {given.name} has {given.rows:,} rows with "
                f"fingerprint {given.fingerprint[:16]}...",
                mend="give the set that was judged; the order of rows and the file format do not matter",
            )
    return Verified(read, None if public_key is None else True, None if synthetic is None else True)


def certificate_page(certificate: Certificate) -> str:
    """The certificate for people: one self-contained HTML file; it proves nothing, the JSON file does."""
    from sterling.ship.certificate_page import render_certificate

    return render_certificate(certificate)


def _asked(arena: Arena, question: dict[str, Json], policy: Policy, *, seed: int, most: int | None) -> tuple[int, Wear]:
    """Write the question down before it is answered; how many there have been, and how worn the benchmark is."""
    from sterling.ship.sign import canonical
    from sterling.sources import queries

    home, benchmark = journal_path().parent, arena.benchmark
    asked = hashlib.sha256(canonical([question, policy_hash(policy), seed])).hexdigest()[:16]
    about = queries.Question(benchmark.fingerprint, KIND, f"{arena.candidates[0].fingerprint} {asked}")
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    try:
        count = queries.count(home, about, when=when, most=most)
        return count, queries.wear_of(home, benchmark.fingerprint, rows=benchmark.rows)
    except OSError as err:
        raise InputError(
            f"the question could not be written down, so it is not answered: {err}",
            mend="set STERLING_HOME to a folder you may write to",
        ) from err


def policy_hash(policy: Policy) -> str:
    """SHA-256 of everything a policy says: two files of one name and version are told apart.

    >>> from sterling.decide.policy import load_policy
    >>> policy_hash(load_policy("default")) == policy_hash(load_policy("privacy"))
    False
    """
    from sterling.ship.sign import canonical

    return hashlib.sha256(canonical(_plain(dataclasses.asdict(policy)))).hexdigest()


def _plain(value: Any) -> Json:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v) for v in value]
    return value if isinstance(value, (bool, int, float, str)) or value is None else str(value)


def _without_repeats(arena: Arena) -> Arena:
    """The arena with rows of the judged set that repeat more than any real row does cut down to as often as that.

    Else a guess that is repeated often enough would tell by itself whether it is a real row. A smaller real set
    repeats its rows less often, so the most of it is scaled up to the size of the judged set.
    """
    import numpy as np

    view, real = arena.views[0], [arena.train_view, arena.benchmark_view]
    hashes = [v.hashes for v in real if v.hashes is not None]
    if view.hashes is None or not hashes or not view.n:
        return arena
    most = int(np.unique(np.concatenate(hashes), return_counts=True)[1].max(initial=1))
    most = 1 if most == 1 else math.ceil(most * max(1.0, view.n / sum(v.n for v in real)))
    order = np.argsort(view.hashes, kind="stable")
    ordered = view.hashes[order]
    place = np.arange(view.n) - np.searchsorted(ordered, ordered)
    kept = np.sort(order[place < most])
    return arena if kept.size == view.n else dataclasses.replace(arena, views=(view.take(kept), *arena.views[1:]))


def _decided(told: Tellable, paper: _Paper) -> Decision:
    """The verdict on what the certificate tells, and on nothing else."""
    from sterling.decide.rules import decide
    from sterling.decide.worn import worn

    silent, policy = {*told.silent_measures}, paper.policy
    required = {kind: tuple(m for m in named if m not in silent) for kind, named in policy.required.items()}
    open_to_all = dataclasses.replace(
        policy, required=required, decisive=tuple(m for m in policy.decisive if m not in silent)
    )
    facts = facts_of(paper.arena, kind="compare", stakes=paper.stakes)
    today = datetime.datetime.now(datetime.UTC).date()
    decision = decide(told.findings, facts=facts, policy=open_to_all, today=today)
    rule = worn(questions=paper.wear.questions, rows=paper.wear.rows, policy=policy)
    return decision if rule is None else dataclasses.replace(decision, rules=(*decision.rules, rule))


def _with_difference(result: Result, certificate: Certificate) -> Result:
    """The owner's result, with a note where his verdict is not the one he hands out."""
    said, own = certificate.body["verdict"], result.decision.verdict.value
    if said == own:
        return result
    note = f"The certificate says {said}, and you see {own}: it leaves out what could tell of single real rows."
    return dataclasses.replace(result, notes=(*result.notes, note))


def _body(findings: Sequence[Finding], paper: _Paper) -> dict[str, Json]:
    """What is signed."""
    from sterling.decide.envelope import VERSION as STERLING
    from sterling.decide.rulebook import RULES
    from sterling.ship import certificate as papers

    arena, policy, wear, key = paper.arena, paper.policy, paper.wear, paper.key
    candidate, real = arena.candidates[0], (arena.train.fingerprint, arena.benchmark.fingerprint)
    slices = _known_slices(findings, arena)
    least = papers.enough(key, *real, candidate.fingerprint, policy_hash(policy), str(paper.seed))
    told = papers.tellable(findings, slices=slices, private=policy.purpose == "privacy", least=least)
    lines, withheld = papers.allowed(told, slices=slices, real=min(arena.train.rows, arena.benchmark.rows))
    decision = _decided(told, paper)
    unmeasured: list[Json] = [*sorted({f.measure for f in told.findings if f.status is Status.UNMEASURED})]
    return {
        "format": papers.FORMAT,
        "version": papers.VERSION,
        "sterling": STERLING,
        "issued": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seed": paper.seed,
        "policy": {"label": policy.label, "sha256": policy_hash(policy), "purpose": policy.purpose},
        "question": paper.question,
        "benchmark": {"commitment": papers.commitment(key, *real), **_worn(wear)},
        "set": {"name": _utf8(candidate.name), "rows": candidate.rows, "fingerprint": candidate.fingerprint},
        "verdict": decision.verdict.value,
        "rules": papers.told_rules(decision, RULES),
        "findings": lines,
        "unmeasured": {"measures": unmeasured},
        "withheld": withheld,
    }


def _worn(wear: Wear) -> dict[str, Json]:
    from sterling.ship.certificate import few

    return {
        "rows": few(wear.rows),
        "openings": wear.openings,
        "questions": wear.questions,
        "fakeable_gain": round(wear.fakeable, 3),
        "since": None if wear.since is None else wear.since[:10],
    }


def _utf8(name: str) -> str:
    """A name as it can be written: undecodable bytes of a file name become question marks."""
    return name.encode("utf-8", "replace").decode()


def _known_slices(findings: Sequence[Finding], arena: Arena) -> dict[str, int]:
    """By slice, the fewest rows any of its values has in the judged set and in the real one.

    Only slices by values that stand in the judged set itself: its holder knows them. A range of numbers is left
    out: its ends come from the real rows.
    """
    named = {f.slice for f in findings if f.slice is not None}
    counts = {name: _rows_of(name, arena) for name in named}
    return {name: rows for name, rows in counts.items() if rows is not None}


def _rows_of(name: str, arena: Arena) -> int | None:
    fewest: list[int] = []
    for condition in name.split("&"):
        column, _, value = condition.partition("=")
        real = [_holding(view, column, value) for view in (arena.train_view, arena.benchmark_view)]
        made = _holding(arena.views[0], column, value)
        if made is None or None in real:
            return None
        fewest += [made, sum(n or 0 for n in real)]
    return min(fewest)


def _holding(view: View, column: str, value: str) -> int | None:
    """Rows with this value; None where the column has no such level."""
    found = next((c for c in view.columns or () if c.name == column and c.kind is Kind.CATEGORY), None)
    if found is None or value not in (found.levels or ()):
        return None
    return int((found.values == (found.levels or ()).index(value)).sum())
