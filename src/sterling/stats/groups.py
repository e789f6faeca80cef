"""Declared groups and their pairwise intersections: who they are, and what their outcomes do beyond all others'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.schema import Role
from sterling.kernel.view import View
from sterling.stats.label_shift import strata_of, stratified_excess
from sterling.stats.slices import REST, Cut, cut_column

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats, Ints

# A group that is a number, such as age, is judged by quarters.
BINS = 4
MOST_LEVELS = 50
MOST_CROSSED = 200
# One stratum of predictions for this many rows of a group, ten at most.
ROWS_A_STRATUM, MOST_STRATA = 100, 10


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Rows that share a level of one declared attribute, or of two.

    Args:
        name: such as "sex=Female" or "race=Black&sex=Female".
        attributes: names of the columns, one or two.
        real: [n] which real rows are in it.
        synthetic: [m] which synthetic rows are.
    """

    name: str
    attributes: tuple[str, ...]
    real: Bools
    synthetic: Bools

    @property
    def crossed(self) -> bool:
        """Whether it is an intersection of two attributes."""
        return len(self.attributes) > 1

    def contains(self, other: Group) -> bool:
        """Whether all real rows of the other group are in this one."""
        return not bool((other.real & ~self.real).any())

    @property
    def sizes(self) -> tuple[int, int]:
        """Real and synthetic rows."""
        return int(np.count_nonzero(self.real)), int(np.count_nonzero(self.synthetic))


def declared_groups(real: View, synthetic: View, *, least: int) -> tuple[Group, ...]:
    """Every level of every column of role GROUP, then all intersections of two such columns.

    Args:
        real: says which levels there are; a number is cut at its quartiles, missing cells are a level.
        synthetic: in the same encoding.
        least: groups with fewer real rows are left out; so are intersections that hold all rows of one
            of their two levels, for they say nothing new.

    Returns:
        Single groups, then intersections, each by the names of their columns; at most 50 levels a column and
        200 intersections (those of most real rows).
    """
    columns = sorted(real.with_role(Role.GROUP), key=lambda c: c.name)
    cuts = [cut_column(c, bins=BINS, least=least, most=MOST_LEVELS) for c in columns]
    coded = [_coded(cut, real, synthetic, least=least) for cut in cuts]
    single = [_level(c, code) for c in coded for code in c.levels]
    cells = _crossed(coded, least=least)
    most = np.sort(np.argsort([-size for *_, size in cells], kind="stable")[:MOST_CROSSED])
    return (*single, *(_intersection(*cells[int(i)][:4]) for i in most))


@dataclass(frozen=True, slots=True, eq=False)
class _Coded:
    """One attribute: [n] and [m] codes, rows of each code in the real set, and the codes that are groups."""

    cut: Cut
    real: AnyArray
    synthetic: AnyArray
    counts: Ints
    levels: tuple[int, ...]


def _coded(cut: Cut, real: View, synthetic: View, *, least: int) -> _Coded:
    here, there = cut.assign(real.column(cut.name)), cut.assign(synthetic.column(cut.name))
    counts = np.bincount(here, minlength=len(cut.labels))
    levels = tuple(k for k, label in enumerate(cut.labels) if counts[k] >= least and label != REST)
    return _Coded(cut, here, there, counts, levels)


def _level(c: _Coded, code: int) -> Group:
    return Group(c.cut.title(code), (c.cut.name,), c.real == code, c.synthetic == code)


_Cell = tuple[_Coded, int, _Coded, int, int]


def _crossed(coded: Sequence[_Coded], *, least: int) -> list[_Cell]:
    """Intersections with rows enough, and their real rows: counted, for masks of all of them fill the memory."""
    found: list[_Cell] = []
    for i, a in enumerate(coded):
        tables = [_pairs(a, b) for b in coded[i + 1 :]]
        for code in a.levels:
            for b, table in zip(coded[i + 1 :], tables, strict=True):
                sizes = [(other, int(table[code, other])) for other in b.levels]
                found += [
                    (a, code, b, other, size)
                    for other, size in sizes
                    if size >= least and size != min(a.counts[code], b.counts[other])
                ]
    return found


def _pairs(a: _Coded, b: _Coded) -> Ints:
    """[levels of a, levels of b] real rows that have both."""
    wide = len(b.cut.labels)
    cells = a.real.astype(np.int32) * wide + b.real
    return np.bincount(cells, minlength=len(a.cut.labels) * wide).reshape(-1, wide)


def _intersection(a: _Coded, code: int, b: _Coded, other: int) -> Group:
    return Group(
        f"{a.cut.title(code)}&{b.cut.title(other)}",
        (a.cut.name, b.cut.name),
        (a.real == code) & (b.real == other),
        (a.synthetic == code) & (b.synthetic == other),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """What labels do beyond their predictions, in both sets.

    Args:
        name: the class, or "higher" for a number.
        real: [n] label minus prediction.
        synthetic: [m] likewise.
        scores: [n] and [m] predictions, by which rows are stratified.
        kept: [n] and [m] False where a row is left out.
    """

    name: str
    real: Floats
    synthetic: Floats
    scores: tuple[Floats, Floats]
    kept: tuple[Bools, Bools]


@dataclass(frozen=True, slots=True)
class Contrast:
    """A group's shift beyond the overall shift.

    Args:
        value: synthetic minus real, minus the same of all rows.
        error: its standard error.
        group: the group's own shift.
        rest: the shift of all others.
        rows: real and synthetic rows of the group.
    """

    value: float
    error: float
    group: float
    rest: float
    rows: tuple[int, int]


def contrast(group: Group, residuals: Residuals, *, least: int) -> Contrast | None:
    """By how much the outcome of a group shifts beyond the shift of all rows, features allowed for.

    Args:
        group: who.
        residuals: of both sets.
        least: rows that the group and the rest must have in both sets.

    Returns:
        The difference in differences of mean residuals, post-stratified by prediction within the group
        and within the rest; None where there are too few rows. With w the group's share of the synthetic
        rows the overall shift is w times the group's plus (1 - w) times the rest's.

    Source: difference in differences on residuals of cross-fitted predictions (doubly robust scores:
        Chernozhukov et al. 2018, arXiv:1608.00060); post-stratification, Cochran 1977, ch. 5A.
    """
    inside = group.real & residuals.kept[0], group.synthetic & residuals.kept[1]
    outside = ~group.real & residuals.kept[0], ~group.synthetic & residuals.kept[1]
    rows, others = (tuple(int(np.count_nonzero(mask)) for mask in side) for side in (inside, outside))
    if min(*rows, *others) < least:
        return None
    (own, own_error), (rest, rest_error) = (_excess(side, residuals) for side in (inside, outside))
    weight = others[1] / (rows[1] + others[1])
    error = weight * float(np.hypot(own_error, rest_error))
    return Contrast(weight * (own - rest), error, own, rest, (rows[0], rows[1]))


def _excess(side: tuple[Bools, Bools], residuals: Residuals) -> tuple[float, float]:
    scores = [s[rows] for s, rows in zip(residuals.scores, side, strict=True)]
    bins = int(np.clip(min(s.size for s in scores) // ROWS_A_STRATUM, 1, MOST_STRATA))
    return stratified_excess(
        residuals.real[side[0]], residuals.synthetic[side[1]], strata_of(scores[0], scores[1], bins=bins)
    )
