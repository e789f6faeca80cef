"""Whether synthetic rows show a rare level, an extreme or an exact number that one training row alone has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Need, View, stack
from sterling.stats.bounds import status_of
from sterling.stats.proportions import difference_bounds

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Column

BOUND = 0.05
LEAST_ROWS = 30
# Fewer people with a value of their own on either side show nothing.
LEAST_LONE = 10
# Extremes are so many outermost values at each end, of those that one person alone has.
ENDS = 10
MOST_EXAMPLES = 10
LOOKS = ("rare levels and extremes", "exact numbers")


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """Real rows with a value that nobody else has, and which of them the synthetic rows show.

    Args:
        name: of the look.
        lone: [n + h] rows with such a value: the train rows, then the holdout's.
        shown: [n + h] rows of which one such value is among the synthetic rows.
        n: how many are train rows.
    """

    name: str
    lone: Bools
    shown: Bools
    n: int

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Train rows shown and looked at, then the same of the holdout."""
        seen, mine, theirs = self.shown & self.lone, self.lone[: self.n], self.lone[self.n :]
        return int(seen[: self.n].sum()), int(mine.sum()), int(seen[self.n :].sum()), int(theirs.sum())

    @property
    def value(self) -> float:
        """Share of train rows shown, less the share of holdout rows."""
        j, m, k, h = self.counts
        return j / m - k / h


@measure(
    Need.COLUMNS,
    Need.HOLDOUT,
    title="People whose rare value is shown, beyond those who were never in the data",
    better="lower",
    floor=False,
    family="privacy",
)
def rare_exposure(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """How much more often the synthetic rows show a value that one train row alone has than one of a stranger.

    Looked at are the real rows, of train and holdout together, with a value that no other of them has: a level,
    an extreme (the ten outermost such values at each end of a number or date), or any exact number.
    A generator that learnt the population knows no more of those in the train rows than of those in the
    holdout: which of the two sets a lone value fell into is a matter of luck. So the share of train people
    whose value is among the synthetic rows, less the share of holdout people, is what being in the data costs.
    Levels and extremes are one look, exact numbers the other; alpha is halved between them.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: real rows that the generator certainly did not see.
        rng: not used; nothing is sampled.
        terms: `bound` is the largest tolerable difference, default .05.

    Returns:
        A difference of shares, -1 to 1; at most 0 is ideal, smaller is better: that of the look which shows more
        for certain. A second finding, `values=exact numbers` or `values=rare levels and extremes`, where the
        other look fails too.

    Source: attack with a control group, Giomi et al. 2022, arXiv:2211.10459; uniques as the records at risk,
        Skinner & Elliot 2002, JRSS B 64(4). The looks are ours.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "n_real": real.n, "n_synthetic": synthetic.n}
    unseen = 0 if holdout is None else holdout.n
    if holdout is None or min(real.n, unseen, synthetic.n) < LEAST_ROWS:
        sizes = f"{real.n:,} train, {unseen:,} unseen and {synthetic.n:,} synthetic rows"
        few = f"{sizes} are too few to look for rare values"
        return (_unmeasured(few, f"give at least {LEAST_ROWS} of each", params),)
    looks = [k for k in _looks(real, synthetic, holdout) if min(k.counts[1], k.counts[3]) >= LEAST_LONE]
    if not looks:
        none = f"fewer than {LEAST_LONE} train or holdout rows have a level, an extreme or a number of their own"
        return (_unmeasured(none, "nothing: hardly anyone stands out in one column; larger sets show more", params),)
    order = sorted(looks, key=lambda look: -_at_least(look, terms.alpha / 2))
    found = [_finding(look, bound, terms, params) for look in order]
    return replace(found[0], slice=None), *(f for f in found[1:] if f.status is Status.FAIL)


def _looks(real: View, synthetic: View, holdout: View) -> tuple[_Look, _Look]:
    both = stack([real, holdout])
    lone, shown = np.zeros((2, both.n), dtype=bool), np.zeros((2, both.n), dtype=bool)
    for i, column in enumerate(both.columns or ()):
        if column.role is Role.WEIGHT:
            continue
        values, rows = _alone(column)
        met = np.isin(values, (synthetic.columns or ())[i].values)
        if column.kind is Kind.CATEGORY:
            lone[0, rows], shown[0, rows] = True, shown[0, rows] | met
            continue
        lone[1, rows], shown[1, rows] = True, shown[1, rows] | met
        ends = np.r_[: min(ENDS, rows.size), max(ENDS, rows.size - ENDS) : rows.size]
        lone[0, rows[ends]], shown[0, rows[ends]] = True, shown[0, rows[ends]] | met[ends]
    return _Look(LOOKS[0], lone[0], shown[0], real.n), _Look(LOOKS[1], lone[1], shown[1], real.n)


def _alone(column: Column) -> tuple[AnyArray, AnyArray]:
    """Values that one row alone has, ascending, and those rows."""
    known = np.flatnonzero(~column.missing)
    distinct, first, counts = np.unique(column.values[known], return_index=True, return_counts=True)
    return distinct[counts == 1], known[first[counts == 1]]


def _at_least(look: _Look, alpha: float) -> float:
    return difference_bounds(*look.counts, alpha=alpha)[0]


def _finding(look: _Look, bound: float, terms: Terms, params: dict[str, Json]) -> Finding:
    low, high = difference_bounds(*look.counts, alpha=(1 - terms.level) / 2)
    at_least, (j, m, k, h) = _at_least(look, terms.alpha / 2), look.counts
    status = Status.FAIL if at_least > bound else status_of(min(low, bound), high, bound, better="lower")
    return Finding(
        "rare_exposure",
        Estimate(look.value, min(low, look.value), max(high, look.value), m + h, terms.level, "Newcombe"),
        "lower",
        status,
        slice=f"values={look.name}",
        reason=(
            f"Of {m:,} train rows that alone have some of their {look.name}, {j:,} ({j / m:.1%}) find one among the "
            f"synthetic rows, and {k:,} of {h:,} ({k / h:.1%}) of those that were never in the data; "
            f"{bound:.0%} more is tolerated."
        ),
        params=params,
        evidence={"look": look.name, "shown": j, "lone": m, "control_shown": k, "control_lone": h,
                  "at_least": at_least, "examples": _examples(look)},
    )  # fmt: skip


def _examples(look: _Look) -> list[Json]:
    """Train rows that are shown, by row number from 0; no values."""
    rows: Sequence[int] = np.flatnonzero((look.shown & look.lone)[: look.n])[:MOST_EXAMPLES].tolist()
    return [{"train_row": row} for row in rows]


def _unmeasured(reason: str, mend: str, params: dict[str, Json]) -> Finding:
    return Finding(
        "rare_exposure", Unmeasured(reason, mend), "lower", Status.UNMEASURED, reason=reason, params=params
    )  # fmt: skip
