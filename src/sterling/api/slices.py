"""Each value of a declared column judged by itself: `--slice` and `--group`."""

from __future__ import annotations

import itertools
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

if TYPE_CHECKING:
    from sterling.decide.policy import Policy
    from sterling.kernel.view import Bools

# Cheap enough to repeat, and meaningful inside a slice; how many rows a slice has is slice_coverage's question.
MEASURES = ("marginal_gap", "label_loss")
FEWEST = 200
MOST_VALUES = 12
PARTS = 4


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
    slices = [s for name in dict.fromkeys(columns) for s in _values(real.column(name), made.column(name))]
    findings: list[Finding] = []
    for label, among_real, among_made in slices:
        few = min(int(among_real.sum()), int(among_made.sum()))
        if few < FEWEST:
            findings += [_too_few(name, label, few, arena.candidates[index].name) for name in names[:1]]
            continue
        # How labels follow from a group is outcome_gap's question; a slice that was asked for gets the full answer.
        asked = names if label.partition("=")[0] in terms.slices else [n for n in names if n != "label_loss"]
        found = run_panel(
            {name: registry.resolve("measures", name) for name in asked},
            real.take(among_real),
            made.take(among_made),
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
    """The most frequent categories, or four ranges of a number, each as label and two masks."""
    if real.kind is Kind.CATEGORY and real.levels is not None:
        counts = np.bincount(real.values[real.values >= 0], minlength=len(real.levels))
        common = [int(code) for code in np.argsort(-counts, kind="stable")[:MOST_VALUES] if counts[code]]
        return [(f"{real.name}={real.levels[c]}", real.values == c, made.values == c) for c in common]
    known = real.values[~np.isnan(real.values)]
    if not known.size:
        return []
    cuts = np.unique(np.quantile(known, np.linspace(0, 1, PARTS + 1)))
    ranges = itertools.pairwise(cuts)
    return [
        (f"{real.name}={low:g}-{high:g}", _within(real, low, high, cuts[-1]), _within(made, low, high, cuts[-1]))
        for low, high in ranges
    ]


def _within(column: Column, low: float, high: float, top: float) -> Bools:
    """Half-open ranges, the last one closed."""
    return (column.values >= low) & ((column.values < high) | ((high == top) & (column.values == top)))


def _too_few(measure: str, label: str, rows: int, candidate: str) -> Finding:
    why = Unmeasured(f"{label} has {rows} rows on one side; {FEWEST} are needed", "add rows of that slice")
    return Finding(measure, why, "lower", Status.UNMEASURED, slice=label, candidate=candidate, reason=why.reason)
