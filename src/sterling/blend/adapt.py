"""Candidates moved to where the real rows lie: what is judged is the moved set, like any other candidate."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View
from sterling.stats.alignment import by_class, coral, match_moments, match_quantiles, to_shares

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats

Matching = Literal["moments", "quantiles", "coral"]
MATCHINGS = MappingProxyType({"moments": match_moments, "quantiles": match_quantiles, "coral": coral})
TITLES = MappingProxyType({"moments": "moments", "quantiles": "quantiles", "coral": "CORAL"})
Per = Literal["set", "class"]
# Rows of each class, in both sets, from which the labels are used.
LEAST_PER_CLASS = 30
# A column of which one value holds a larger share than this is no cloud of points to be shifted and turned: moments and
# CORAL leave it as it is. Shifting the zeros of adult's capital gains cost a mix about .01 AUC.
LARGEST_ATOM = 0.2


def adapted(made: View, real: View, matching: Matching, *, per: Per = "set") -> View:
    """The synthetic rows with their numbers moved to where the real rows' numbers lie.

    Labels are used where both sets have 30 rows of each class: per "set", the real rows are weighted to the synthetic
    set's shares of the classes, so that a difference in shares is not taken for one in place; per "class", each class
    is matched by itself, whatever may tell the classes apart afterwards (see `stats.alignment`). Otherwise all rows are
    matched as they are, as if the shares were equal.

    Args:
        made: synthetic rows, encoded together with the real ones.
        real: real rows to learn from.
        matching: "moments", "quantiles" or "coral".
        per: one map for all rows, or one for each class.

    Returns:
        The rows with other numbers: whole numbers stay whole, values stay within the real range; categories, dates,
        groups, target and missing cells stay. Without columns of numbers, the embedding is moved. Quantile matching
        takes its values from the real columns: what it makes is for training, not for handing out.
    """
    names = [c.name for c in made.features if c.kind is Kind.NUMBER and c.role is not Role.GROUP]
    names = [
        n for n in names if matching == "quantiles" or max(_atom(v.column(n)) for v in (made, real)) <= LARGEST_ATOM
    ]
    fingerprint = f"{made.fingerprint}~{matching}"
    if not made.features and made.embedding is not None and real.embedding is not None:
        moved = _moved(matching, made.embedding, real.embedding, _classes(made, real), per)
        return replace(made, embedding=moved, hashes=None, fingerprint=fingerprint)
    if not names:
        return made
    before = np.column_stack([made.column(n).values for n in names])
    after = np.column_stack([real.column(n).values for n in names])
    moved = _moved(matching, before, after, _classes(made, real), per)
    ready = {n: _restored(real.column(n), moved[:, j]) for j, n in enumerate(names)}
    columns = tuple(replace(c, values=ready.get(c.name, c.values)) for c in made.columns or ())
    return replace(made, columns=columns, hashes=None, fingerprint=fingerprint)


def movable(made: View) -> bool:
    """Whether there is any number to move."""
    return any(c.kind is Kind.NUMBER for c in made.features) or (not made.features and made.embedding is not None)


def _classes(made: View, real: View) -> tuple[AnyArray, AnyArray] | None:
    """The class numbers of both sets, where they hold enough rows of the same classes."""
    mine, theirs = made.target, real.target
    if mine is None or theirs is None or mine.kind is not Kind.CATEGORY:
        return None
    counts = [np.bincount(t.values[t.values >= 0], minlength=len(t.levels or ())) for t in (mine, theirs)]
    present = (counts[0] > 0) | (counts[1] > 0)
    enough = min(int(c[present].min(initial=0 if not present.any() else LEAST_PER_CLASS)) for c in counts)
    return (mine.values, theirs.values) if enough >= LEAST_PER_CLASS else None


def _moved(
    matching: Matching, before: Floats, after: Floats, classes: tuple[AnyArray, AnyArray] | None, per: Per
) -> Floats:
    match = MATCHINGS[matching]
    if classes is None:
        return match(before, after)
    mine, theirs = classes
    if per == "class":
        return by_class(match, before, after, mine=mine, theirs=theirs)
    return match(before, after, to_shares(theirs, mine))


def _atom(column: Column) -> float:
    """The share of the most frequent value among those known."""
    known = column.values[np.isfinite(column.values)]
    return float(np.unique(known, return_counts=True)[1].max() / known.size) if known.size else 0.0


def _restored(real: Column, values: Floats) -> Floats:
    """Whole where the real numbers are, and nowhere beyond them."""
    known = real.values[np.isfinite(real.values)]
    if not known.size:
        return values
    return np.clip(np.round(values) if real.integer else values, known.min(), known.max())
