"""Each value of a declared column judged by itself: `--slice` and `--group`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.api.inputs import Arena
from sterling.kernel import registry
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.finding import Finding, Status
from sterling.kernel.protocols import OnEvent, Terms
from sterling.kernel.schema import Kind
from sterling.kernel.view import Column, View
from sterling.stats.slices import REST, cut_column

if TYPE_CHECKING:
    from sterling.decide.policy import Policy
    from sterling.kernel.view import Bools

# Cheap enough to repeat, and meaningful inside a slice; how many rows a slice has is slice_coverage's question.
MEASURES = ("marginal_gap", "label_loss")
FEWEST = 200
MOST_VALUES = 12
PARTS, MOST_LEVELS = 4, 10_000


def judge_slices(
    arena: Arena,
    index: int,
    columns: Sequence[str],
    real: View,
    *,
    failed: Collection[str],
    policy: Policy,
    seed: int,
    terms: Terms,
    on_event: OnEvent,
) -> list[Finding]:
    """Distributions and labels inside each value of the asked columns.

    Args:
        arena: the sets.
        index: which candidate.
        columns: names that the user gave to --slice and --group.
        real: all real rows.
        failed: measures that fail on the whole set: inside slices they would only say so again.
        policy: bounds.
        seed: same seed, same findings.
        terms: `alpha` is one more false-alarm budget, for all slices together.
        on_event: hears progress.

    Returns:
        Findings with slice "column=value"; a value with too few rows is Unmeasured, with its count.

    Raises:
        UnknownName: for a column that is not there.
    """
    from sterling.run.panel import run_panel

    made = arena.views[index]
    names = [name for name in MEASURES if name not in failed]
    wanted = {name: _values(real.column(name), made.column(name)) for name in dict.fromkeys(columns)}
    slices = [(name, *s) for name, found in wanted.items() for s in found[:MOST_VALUES]]
    findings = [
        _left_out(name, len(found) - MOST_VALUES, arena.candidates[index].name)
        for name, found in wanted.items()
        if len(found) > MOST_VALUES
    ]
    for column, label, among_real, among_made in slices:
        few = min(int(among_real.sum()), int(among_made.sum()))
        if few < FEWEST:
            findings += [_too_few(name, label, few, arena.candidates[index].name) for name in names[:1]]
            continue
        # How labels follow from a group is outcome_gap's question; a slice that was asked for gets the full answer.
        asked = names if column in terms.slices else [n for n in names if n != "label_loss"]
        found = run_panel(
            {name: registry.resolve("measures", name) for name in asked},
            _without(real.take(among_real), column),
            _without(made.take(among_made), column),
            holdout=None,
            holdout_clean=False,
            seed=seed,
            terms=replace(terms, alpha=terms.alpha / len(slices), effort="fast"),
            bounds=policy.bounds,
            candidate=arena.candidates[index].name,
            on_event=on_event,
        )
        whole = (f for f in found if f.slice is None and f.status is not Status.NOT_APPLICABLE)
        findings += [replace(f, slice=label) for f in whole]
    return findings


def _values(real: Column, made: Column) -> list[tuple[str, Bools, Bools]]:
    """Every level, or quarters of a number, as title and two masks; the most frequent first."""
    cut = cut_column(real, bins=PARTS, least=1, most=MOST_LEVELS)
    here, there = cut.assign(real), cut.assign(made)
    counts = np.bincount(here, minlength=len(cut.labels))
    order = np.argsort(-counts, kind="stable") if real.kind is Kind.CATEGORY else np.arange(counts.size)
    judged = [int(code) for code in order if counts[code] and cut.labels[code] not in (REST, "missing")]
    return [(cut.title(code), here == code, there == code) for code in judged]


def _without(view: View, column: str) -> View:
    """The view without the column that cut it: inside a slice it has nothing left to say."""
    return replace(view, columns=tuple(c for c in view.columns or () if c.name != column))


def _left_out(column: str, levels: int, candidate: str) -> Finding:
    why = Unmeasured(
        f"{levels:,} rarer values of {column} were not judged by themselves; the {MOST_VALUES} commonest were",
        mend="name a column of fewer values, or merge some",
    )
    return Finding(
        "marginal_gap", why, "lower", Status.UNMEASURED, slice=f"{column}=(rest)", candidate=candidate,
        reason=why.reason,
    )  # fmt: skip


def _too_few(measure: str, label: str, rows: int, candidate: str) -> Finding:
    why = Unmeasured(f"{label} has {rows} rows on one side; {FEWEST} are needed", "add rows of that slice")
    return Finding(measure, why, "lower", Status.UNMEASURED, slice=label, candidate=candidate, reason=why.reason)
