"""Differential privacy: a table made from nothing but noisy counts of its columns, pairs first where it pays most."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError
from sterling.kernel.schema import Schema
from sterling.kernel.table import Table
from sterling.modalities.tabular.canonical import flat
from sterling.modalities.tabular.given import checked_given
from sterling.modalities.tabular.private_domain import Domain, given_codes
from sterling.modalities.tabular.private_table import (
    BATCH_ROWS,
    PrivateTable,
    Wish,
    read_private,
    write_batches,
)
from sterling.stats import junction_tree
from sterling.stats.adaptive_margins import MEAN_NOISE, Learned, Plan, learn
from sterling.stats.exact_noise import secret_words, seeded_words
from sterling.stats.privacy_accounting import epsilon_of, open_ledger

if TYPE_CHECKING:
    import pyarrow as pa

    from sterling.kernel.dataset import Batch
    from sterling.kernel.view import Ints

DELTA = 1e-6
# Of delta, the part that naming categories may use where they must be found.
NAMING_PART = 0.5
# Distinct combinations of values held fixed: the tree is solved anew for each.
MOST_PATTERNS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class FittedAim:
    """All that was learned; every part of it is covered by the promise and may be published.

    Args:
        table: the columns.
        learned: the distribution, the ledger and the groups that were counted.
    """

    table: PrivateTable
    learned: Learned

    @property
    def schema(self) -> Schema:
        """The fields with nothing in them that was not declared or paid for."""
        return self.table.schema

    def report(self) -> tuple[Table, ...]:
        """What the budget was spent on, and how noisy the counts are that came of it."""
        return _budget(self), _groups(self)


@dataclass(frozen=True, slots=True)
class Aim:
    """Adaptive noisy counts of single columns and pairs, and the most even table that agrees with them (AIM).

    The promise: (epsilon, delta)-differential privacy. Whether or not one record was in the training rows changes the
    probability of any outcome by a factor of at most exp(epsilon), but for a chance of delta. It covers everything
    that was learned: counts, their choice, ranges, categories. Columns' names and storage types count as public; so do
    levels, ranges and kinds that the schema file declares. Nothing else is read off the data unpaid. Free text and
    undeclared codes come out as "(other)"; keys and entities are random.

    Args:
        epsilon: the promise; 1 is strong, 3 usual, above 10 it says little. No default.
        delta: chance that the promise fails, far below one in the records; 1e-6 where not given.
        domain: "paid" finds undeclared ranges and categories with part of the budget, "declared" refuses them.
        domain_share: part of the budget for that and for histograms of wide numbers, above 0 and below 1; unspent
            where everything is declared and narrow.
        bins: groups in which a wide number is modelled, >= 2; within them its own histogram is followed.
        degree: largest group of columns that is counted, 2 or 3.
        max_cells: most numbers in the model; more keep more pairs and cost more time.
        records_per_person: the promise covers so many records together, >= 1; with an entity column no more of
            each entity are used.
        empty: columns that come out empty and are never looked at.
        noise: "secret" draws all noise from the operating system, so that nobody can draw it again and no seed
            gives the same table twice; "seeded" is for tests, and promises nothing.

    Raises:
        InputError: for a setting out of its range.

    Source: McKenna, Mullins, Sheldon & Miklau 2022, "AIM", arXiv:2201.12677; exact noise of Canonne, Kamath &
    Steinke 2020, arXiv:2004.00010.
    """

    epsilon: float
    delta: float | None = None
    domain: Domain = "paid"
    domain_share: float = 0.15
    bins: int = 24
    degree: int = 2
    max_cells: int = 200_000
    records_per_person: int = 1
    empty: tuple[str, ...] = ()
    noise: Literal["secret", "seeded"] = "secret"

    def __post_init__(self) -> None:
        # None in the signature and a number in the value: so that the lineage always names delta.
        object.__setattr__(self, "delta", DELTA if self.delta is None else self.delta)
        open_ledger(self.epsilon, self.failure)
        _check("domain_share", self.domain_share, 0.0 < self.domain_share < 1.0, "above 0 and below 1", 0.15)
        _check("bins", self.bins, self.bins >= 2, "2 or more", 24)
        _check("degree", self.degree, self.degree in (2, 3), "2 or 3", 2)
        _check("max_cells", self.max_cells, self.max_cells >= 1000, "1000 or more", 200_000)
        _check("records_per_person", self.records_per_person, self.records_per_person >= 1, "1 or more", 1)

    @property
    def failure(self) -> float:
        """Delta as a number."""
        return DELTA if self.delta is None else self.delta

    def fit(self, data: Dataset, *, rng: np.random.Generator) -> FittedAim:
        """Spend the budget.

        Args:
            data: the training rows.
            rng: used only with noise="seeded".

        Raises:
            InputError: if there is nothing to learn from, or a column whose domain is not declared (domain="declared").
        """
        words = secret_words if self.noise == "secret" else seeded_words(rng)
        paid = self.domain == "paid"
        wish = Wish(
            self.domain, self.domain_share, self.failure * NAMING_PART if paid else 0.0, self.bins, self.empty,
            self.records_per_person,
        )  # fmt: skip
        ledger = open_ledger(self.epsilon, self.failure, reserved=wish.delta)
        table, codes, ledger = read_private(data, wish=wish, ledger=ledger, words=words)
        plan = Plan(degree=self.degree, max_cells=self.max_cells, sensitivity=self.records_per_person)
        sizes = tuple(column.size for column in table.columns)
        return FittedAim(table, learn(codes, sizes, ledger=ledger, plan=plan, words=words))

    def sample(
        self, fitted: FittedAim, n: int, *, rng: np.random.Generator, given: Batch | None = None
    ) -> Iterator[Batch]:
        """Draw n rows, in batches of at most 50,000; costs nothing, however often it is done.

        Raises:
            InputError: for n < 1, for given columns of another length or name, or of more than 1,000 different
                combinations.
        """
        if n < 1:
            raise InputError(f"cannot make {n} rows", mend="ask for at least one: -n 1000")
        fixed = checked_given(fitted.table.schema, n, given)
        held = _held_codes(fitted.table, fixed)
        patterns = np.unique(held, axis=1).shape[1] if held.size else 0
        if patterns > MOST_PATTERNS:
            raise InputError(
                f"the columns to hold fixed have {patterns:,} different combinations",
                mend=f"hold fewer or coarser columns: at most {MOST_PATTERNS:,} combinations at once",
            )
        return write_batches(fitted.table, _codes(fitted, n, fixed, held, rng=rng), rng=rng)


def _check(name: str, value: float, holds: bool, allowed: str, example: float) -> None:  # noqa: FBT001
    if not holds:
        raise InputError(f"{name} is {value}", mend=f"give a value {allowed}: --set {name}={example}")


def _held_codes(table: PrivateTable, fixed: pa.Table) -> Ints:
    """[c, n] codes of the modelled columns that are held fixed, -1 where a cell says nothing; all others -1."""
    held = np.full((len(table.columns), fixed.num_rows), -1, dtype=np.int64)
    for name in fixed.column_names:
        i = table.position(name)
        if i is not None:
            held[i] = given_codes(table.columns[i], flat(fixed.column(name)))
    return held


def _codes(
    fitted: FittedAim, n: int, fixed: pa.Table, held: Ints, *, rng: np.random.Generator
) -> Iterator[tuple[Ints, Mapping[str, pa.Array]]]:
    for start in range(0, n, BATCH_ROWS):
        size = min(BATCH_ROWS, n - start)
        cells = {name: flat(fixed.column(name).slice(start, size)) for name in fixed.column_names}
        part = held[:, start : start + size]
        yield _drawn(fitted, size, part, rng=rng), cells


def _drawn(fitted: FittedAim, n: int, held: Ints, *, rng: np.random.Generator) -> Ints:
    """[d, n] codes, given those that are not negative."""
    model = fitted.learned.model
    if not held.size or not np.any(held >= 0):
        return junction_tree.sample(model.beliefs, n, rng=rng)
    drawn = np.zeros((held.shape[0], n), dtype=np.int64)
    patterns, which = np.unique(held, axis=1, return_inverse=True)
    which = which.ravel()
    for i, pattern in enumerate(patterns.T.tolist()):
        known = {a: code for a, code in enumerate(pattern) if code >= 0}
        tree = model.beliefs.tree
        beliefs = junction_tree.calibrate(tree, junction_tree.condition(model.potentials, tree, known))
        # What the model holds for impossible says nothing of the rest.
        able = beliefs if np.isfinite(beliefs.log_total) else model.beliefs
        rows = np.flatnonzero(which == i)
        drawn[:, rows] = junction_tree.sample(able, rows.size, rng=rng)
    return drawn


def _budget(fitted: FittedAim) -> Table:
    """The ledger: what was looked at, at what cost, adding up to the promise."""
    ledger = fitted.learned.ledger
    looks = {e.what: sum(1 for other in ledger.entries if other.what == e.what) for e in ledger.entries}
    lines = [(e.what, looks[e.what], float(e.rho), float(e.rho / ledger.rho), e.delta or None) for e in ledger.totals()]
    if ledger.left > 0:
        lines.append(("not spent", 0, float(ledger.left), float(ledger.left / ledger.rho), None))
    total = ("all", len(ledger.entries), float(ledger.rho), 1.0, None)
    naming = sum(e.delta for e in ledger.entries)
    exact = epsilon_of(float(ledger.spent), ledger.delta - naming) if ledger.spent > 0 else 0.0
    return Table(
        "Privacy budget", ("spent on", "looks", "rho (zCDP)", "share", "delta"), (*lines, total),
        note=(
            f"In all epsilon {exact:.3g} of {ledger.epsilon:g} at delta {ledger.delta:g}, for one record added or "
            "taken away. The promise holds for everything that was learned and made, together."
        ),
    )  # fmt: skip


def _groups(fitted: FittedAim) -> Table:
    """Which groups of columns were counted, with how much noise."""
    learned, columns = fitted.learned, fitted.table.columns
    best: dict[tuple[int, ...], float] = {}
    times: dict[tuple[int, ...], int] = {}
    for step in learned.steps:
        precision = 1.0 / step.deviation**2
        best[step.group] = best.get(step.group, 0.0) + precision
        times[step.group] = times.get(step.group, 0) + 1
    rows: list[tuple[str, int, int, float, float]] = []
    for group, precision in best.items():
        deviation = 1.0 / math.sqrt(precision)
        cells = math.prod(columns[a].size for a in group)
        error = min(1.0, MEAN_NOISE * deviation * cells / 2 / learned.model.total)
        rows.append((" x ".join(columns[a].field.name for a in group), times[group], cells, deviation, error))
    rows.sort(key=lambda row: row[4])
    return Table(
        "Groups of columns that were counted", ("columns", "times", "cells", "noise (records)", "expected error"),
        tuple(rows),
        note=(
            "Expected error: share of the records that noise alone would put into wrong cells of this group, 0 to 1, "
            "before all counts are reconciled, which lowers it. Groups not listed follow from those that are."
        ),
    )  # fmt: skip
