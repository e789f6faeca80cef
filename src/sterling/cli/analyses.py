"""`sterling analyses`: your own regressions, survival curves and comparisons on real and on synthetic rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sterling.cli.options import HtmlOut, JsonOut, Policy, Quarantine, SchemaFile, Seed
from sterling.cli.output import finish


def analyses(
    real: Annotated[str, typer.Argument(help="Real data.")],
    synthetic: Annotated[list[str], typer.Argument(help="One or more synthetic sets.")],
    plan: Annotated[Path, typer.Option("--plan", help="TOML with [[analysis]] tables; a study will do.")],
    holdout: Annotated[
        str | None, typer.Option("--holdout", help="Other real rows: what agreement of real rows looks like.")
    ] = None,
    combine: Annotated[
        bool, typer.Option("--combine", help="The sets are draws of one generator: judge their mean.")
    ] = False,
    policy: Policy = None,
    seed: Seed = 0,
    json: JsonOut = None,
    html: HtmlOut = None,
    schema: SchemaFile = None,
    quarantine: Quarantine = None,
) -> None:
    """Does your analysis conclude the same on synthetic rows?

    Regressions, odds and hazard ratios, survival curves, group differences: estimate by estimate.
    """
    from sterling.api.analyses import analyses as run
    from sterling.cli.progress import reporter

    result = run(
        real, synthetic, plan=plan, holdout=holdout, combine=combine, policy=policy, seed=seed, schema=schema,
        quarantine=quarantine, on_event=reporter(),
    )  # fmt: skip
    finish(result, json=json, html=html)
