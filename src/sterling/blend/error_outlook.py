"""The model's error foretold from an audit, and beside it the error measured with the same faults planted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.blend.training import Cost, cost_of, judge, labelled, nested_order, target_of
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.protocols import Learner, OnEvent, silent
from sterling.kernel.schema import Kind
from sterling.kernel.seeds import stream
from sterling.kernel.view import Column, View
from sterling.stats.bounds import normal_quantile
from sterling.stats.error_law import Counts, Mentions, mentions_from, predicted
from sterling.stats.scores import unscorable

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats
    from sterling.stats.slices import Cut

# Labels made wrong at random to see how many mentions a vote is worth: enough to be seen, and near to the rates
# that audits find. A trained model is no exact vote: at .3 it seems steadier than it is at 5 % wrong labels.
PLANTED = 0.15
# Draws behind an interval, and benchmark rows that the law is worked out for.
DRAWS, MOST_ASKED = 300, 2_000
# Below so many rows a learner has hardly a vote to count.
LEAST_ROWS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Where wrong labels pile up: a slice of one column; None for the whole set as one region."""

    cut: Cut | None = None
    cell: int = 0

    @property
    def title(self) -> str | None:
        """Such as "age=17-22"."""
        return None if self.cut is None else self.cut.title(self.cell)

    def of(self, view: View) -> AnyArray:
        """[n] 1 for rows outside the slice, 0 inside; all 0 where there is one region."""
        if self.cut is None:
            return np.zeros(view.n, dtype=np.int64)
        return (self.cut.assign(view.column(self.cut.name)) != self.cell).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Foretold:
    """One size of training set.

    Args:
        rows: that the models learned from.
        mentions: what their vote is worth.
        law: the extra error that the law says, over all rows.
        found: the extra error measured with the audited faults planted into real rows.
        law_inside: the same inside the region; None where there is one region only.
        found_inside: likewise.
    """

    rows: int
    mentions: Mentions
    law: Estimate
    found: Estimate
    law_inside: Estimate | None
    found_inside: Estimate | None


@dataclass(frozen=True, slots=True, eq=False)
class _Extra:
    """[n] extra errors per benchmark row, mean over runs, and what runs differ by."""

    rows: Floats
    runs: Floats

    def estimate(self, inside: AnyArray, level: float) -> Estimate:
        """Mean over these rows; benchmark rows and trainings both vary."""
        part, runs = self.rows[inside], self.runs[:, inside].mean(axis=1)
        between = float(runs.var(ddof=1)) / runs.size if runs.size > 1 else 0.0
        spread = float(part.var(ddof=1)) / part.size if part.size > 1 else 0.0
        half = normal_quantile((1 - level) / 2) * float(np.sqrt(between + spread))
        value = float(part.mean())
        return Estimate(
            value, value - half, value + half, int(part.size), level, f"paired over rows, {runs.size} trainings an arm"
        )


def sizes_of(real: View, synthetic: View) -> tuple[int, ...]:
    """A quarter and all of as many real rows as the synthetic set has, as far as there are any."""
    most = min(real.n, synthetic.n)
    return tuple(size for size in (most // 4, most) if size >= LEAST_ROWS) or (most,)


def plan_cost(sizes: Sequence[int], *, learner: Learner, runs: int) -> Cost:
    """What `foretell` will take, known before it starts."""
    return cost_of([(size, 3 * runs) for size in sizes], learner)


def cannot_foretell(real: View, test: View) -> Unmeasured | None:
    """Why the law has nothing to say of these data; None where it has."""
    target = target_of(test, "the benchmark")
    if target.kind is not Kind.CATEGORY:
        return Unmeasured(
            f"{target.name!r} is a number, and the law counts votes for classes",
            mend="give a target of classes, such as the number cut at a limit that matters",
        )
    if real.n < LEAST_ROWS:
        return Unmeasured(f"{real.n} real rows are too few to plant errors in", mend=f"give at least {LEAST_ROWS}")
    return unscorable(target) or unscorable(target_of(real, "the real rows"), least=10)


def foretell(
    real: View,
    test: View,
    counts: Counts,
    region: Region,
    *,
    sizes: Sequence[int],
    learner: Learner,
    seed: int,
    runs: int = 3,
    level: float = 0.95,
    on_event: OnEvent = silent,
) -> tuple[Foretold, ...]:
    """Foretell a model's extra error from audited labels, and measure it.

    For each size, models learn from real rows as they are, from the same rows with labels made wrong at random
    (which tells what their vote is worth), and from the same rows with labels as wrong as the audit found, in the
    same places (which the law must foretell without having seen it).

    Args:
        real: rows to learn from; their labels count as right.
        test: the benchmark.
        counts: the audit, by region and class.
        region: where wrong labels pile up.
        sizes: numbers of real rows.
        learner: the model the data is for.
        seed: of the run.
        runs: trainings per arm and size.
        level: nominal coverage.
        on_event: told "trained" after each training.

    Raises:
        InputError: if the learner gives no class probabilities.
    """
    rows, bench = labelled(real, "the real rows"), labelled(test, "the benchmark")
    truth, place = target_of(bench, "the benchmark").values, region.of(bench)
    classes = len(target_of(bench, "the benchmark").levels or ())
    spread = np.array([[PLANTED]])
    found: list[Foretold] = []
    for size in sizes:
        errs = np.zeros((3, runs, bench.n))
        chances = np.zeros((bench.n, classes))
        for run in range(runs):
            order = nested_order(target_of(rows, "the real rows"), rng=stream(seed, "ceiling", "order", run))
            part = rows.take(np.sort(order[:size]))
            arms = (None, (spread, np.zeros(size, dtype=np.int64)), (counts.rates, region.of(part)))
            for arm, plant in enumerate(arms):
                rng = stream(seed, "ceiling", "planted", size, run, arm)
                said = _said(learner, part if plant is None else planted(part, *plant, rng=rng), bench, rng=rng)
                errs[arm, run] = said.argmax(axis=1) != truth
                chances += said / runs if arm == 0 else 0.0
                on_event("trained", {"arm": ("clean", "spread", "audited")[arm], "rows": size, "run": run})
        found.append(_foretold(size, errs, chances, counts, place, seed=seed, level=level))
    return tuple(found)


def planted(view: View, rates: Floats, region: AnyArray, *, rng: np.random.Generator) -> View:
    """The same rows with labels made wrong: each with the rate of its region and class, into any other class."""
    target = target_of(view, "the rows")
    classes = len(target.levels or ())
    rate = np.broadcast_to(rates, (rates.shape[0], classes))[region, np.maximum(target.values, 0)]
    hit = (rng.random(view.n) < rate) & ~target.missing
    present = np.unique(target.values[~target.missing])
    if present.size < 2:
        return view
    step = rng.integers(1, present.size, size=view.n)
    other = present[(np.searchsorted(present, target.values) + step) % present.size]
    values = np.where(hit, other, target.values)
    changed = Column(target.name, target.kind, target.role, values, target.levels)
    columns = tuple(changed if c.name == target.name else c for c in view.columns or ())
    return View(view.n, view.fingerprint, columns, view.embedding, view.hashes, view.sequences)


def _said(learner: Learner, part: View, bench: View, *, rng: np.random.Generator) -> Floats:
    found = judge(learner, learner.fit(part, None, rng=rng), bench)
    if not isinstance(found, np.ndarray):
        raise InputError(
            f"the learner {type(learner).__name__} gives a score and no class probabilities",
            mend="foretell with a built-in --learner, such as boosted_trees",
        )
    return found


def _foretold(
    size: int, errs: Floats, chances: Floats, counts: Counts, place: AnyArray, *, seed: int, level: float
) -> Foretold:
    everywhere = np.ones(place.size, dtype=bool)
    spread, audited = (_Extra((e - errs[0]).mean(axis=0), e - errs[0]) for e in errs[1:])
    measured = spread.estimate(everywhere, level)
    error = (measured.high - measured.value) / normal_quantile((1 - level) / 2)
    asked = np.sort(stream(seed, "ceiling", "asked", size).permutation(place.size)[:MOST_ASKED])
    rng = stream(seed, "ceiling", "law", size)
    mentions = mentions_from(
        chances[asked], planted=PLANTED, measured=measured.value, error=error, draws=DRAWS, rng=rng
    )
    law, each = predicted(chances[asked], counts, place[asked], mentions, level=level, rng=rng)
    inside = place == 0
    regions = counts.wrong.shape[0]
    return Foretold(
        size,
        mentions,
        law,
        audited.estimate(everywhere, level),
        each[0] if regions > 1 else None,
        audited.estimate(inside, level) if regions > 1 and inside.any() else None,
    )
