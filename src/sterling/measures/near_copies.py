"""Whether synthetic rows are near copies of train rows more often than fresh real rows are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.schema import Role
from sterling.kernel.view import Column, Need, View, stack
from sterling.stats.bounds import status_of
from sterling.stats.neighbours import TIE, Side, nearest_k, query_side, rank_scales
from sterling.stats.proportions import difference_bounds, ratio_above_p
from sterling.stats.rarity import rarity

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats, Ints

BOUND = 0.002
LEAST_ROWS = 30
# Of train or synthetic rows; of holdout rows half as many.
MOST_ROWS = {"full": 10_000, "fast": 3_000}
MOST_COLUMNS = 64
# How many times nearer than any other real row a synthetic row may be.
TIMES = (30, 10, 3)
# Rows that are equal but for one column are looked at among the rarest share of the train rows, too.
TAILS = (0.1, 1.0)
# Where more records than this share have a near one, they are no separate events any more.
CROWDED = 0.2
MOST_EXAMPLES = 10


@dataclass(frozen=True, slots=True, eq=False)
class _Sets:
    """The rows compared.

    Args:
        columns: of them.
        real: train rows, then holdout rows; [n + h].
        synthetic: [m].
        train: n.
        rarity: [n + h] of the real rows.
        originals: [n] where the train rows stand in their set.
        rows: [m] where the synthetic rows do.
        others: real rows among which neighbours are sought: about as many as there are synthetic rows.
    """

    columns: tuple[Column, ...]
    real: Side
    synthetic: Side
    train: int
    rarity: Floats
    originals: Ints
    rows: Ints
    others: Ints


@dataclass(frozen=True, slots=True, eq=False)
class _Meeting:
    """Which records meet a near one.

    Args:
        title: what "near" means, in words.
        copied: [n] train rows that a synthetic row is near to.
        rows: [n] that synthetic row, or -1.
        natural: [n + h] real rows that another real row is near to, which come in pairs.
        unseen: [h] holdout rows that a synthetic row is near to.
        ways: in which a synthetic row can be near to a train row.
        others: in which natural pairs can come about, in the same unit.
        lone: whether it means nearness beside which all real rows are far: then no copy is tolerated.
    """

    title: str
    copied: Bools
    rows: Ints
    natural: Bools
    unseen: Bools
    ways: float
    others: float
    lone: bool


@dataclass(frozen=True, slots=True)
class _Look:
    """Near copies of one sort among the train rows of one rarity.

    Args:
        meeting: the sort.
        tail: share of the real rows that are at least so rare.
        copied: train rows with a near synthetic row.
        natural: real pairs, and holdout rows with a near synthetic row.
        p: exact p-value of "no more than is natural".
    """

    meeting: _Meeting
    tail: float
    copied: int
    natural: int
    p: float

    @property
    def expected(self) -> float:
        """Train rows that would have a near synthetic row if that were another real row."""
        return self.natural * self.meeting.ways / self.meeting.others


@measure(
    Need.COLUMNS,
    title="Synthetic rows that are nearly a real row, beyond natural likeness",
    better="lower",
    floor=False,
    family="privacy",
)
def near_copies(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Train rows with a synthetic row that is nearly the same, less those that would have one by nature, per row.

    Two sorts of near copies are counted. Rows equal in all columns but one, for each column. And train rows to
    which a synthetic row is 3, 10 or 30 times nearer than any other real row, as when every number is jittered a
    little; an empty neighbourhood makes that rare. Equal rows are left to `copies`. The natural number comes from
    real rows that are so near to each other, and from holdout rows to which a synthetic row is: of other people's
    rows, none is likelier than the others to be near. Alpha is divided among the looks, half for each sort; rows
    equal but for one column are looked at among the rarest tenth of the train rows by themselves.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: real rows set apart.
        rng: draws rows where there are more than 10,000 in one of the sets (3,000 if fast).
        terms: `bound` is the largest tolerable excess, default .002: two rows in a thousand. It is not granted to
            copies of the rarest rows, nor to those beside which all other real rows are far.

    Returns:
        Near copies beyond the natural number, per synthetic row, -1 to 1; at most 0 is ideal; smaller is better.

    Source: conditional binomial test (Przyborowski & Wilenski 1940); Newcombe 1998 for the interval; the
        comparison of near pairs within and across samples follows Friedman & Rafsky 1979.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha}
    if min(real.n, synthetic.n) < LEAST_ROWS:
        few = Unmeasured(
            f"{real.n:,} real and {synthetic.n:,} synthetic rows are too few to look for near copies",
            mend=f"give at least {LEAST_ROWS} rows of each",
        )
        return (Finding("near_copies", few, "lower", Status.UNMEASURED, reason=few.reason, params=params),)
    sets = _sets(real, synthetic, holdout, most=MOST_ROWS[terms.effort], rng=rng)
    looks = [[x for m in sort for x in _looks(sets, m)] for sort in (_by_distance(sets), _by_column(sets))]
    alphas = [terms.alpha / (2 * max(1, len(sort))) for sort in looks]
    seen = [(x, alpha) for sort, alpha in zip(looks, alphas, strict=True) for x in sort]
    if not seen:
        crowded = Unmeasured(
            "more than a fifth of the real rows have another real row that is nearly the same",
            mend="give columns that tell rows apart; exact copies are counted by themselves",
        )
        return (Finding("near_copies", crowded, "lower", Status.UNMEASURED, reason=crowded.reason, params=params),)
    failing = [x for x, alpha in seen if _fails(x, sets, bound, alpha)]
    # Where nothing fails, always the same look is told of, so that its interval holds.
    shown = min(failing, key=lambda x: x.p) if failing else seen[0][0]
    return (_found(shown, sets, bound, terms, params | {"looks": len(seen)}, failed=bool(failing), rows=synthetic.n),)


def _sets(real: View, synthetic: View, holdout: View | None, *, most: int, rng: np.random.Generator) -> _Sets:
    """Rows drawn so that neighbours are sought among as many real as synthetic rows: else one sort would be nearer."""

    def some(n: int, size: int) -> Ints:
        return np.arange(n) if n <= size else np.sort(rng.permutation(n)[:size])

    kept = some(real.n, min(most, synthetic.n))
    train = real.take(kept)
    if holdout is not None and holdout.n >= LEAST_ROWS:
        train = stack([train, holdout.take(some(holdout.n, max(1, kept.size // 2)))])
    made = some(synthetic.n, min(most, train.n))
    columns = tuple(c for c in train.columns or () if c.role is not Role.WEIGHT)
    there = [synthetic.take(made).column(c.name) for c in columns]
    # Ranks are taken in all rows together: a scale from the real ones would hold other rows half a rank away.
    scales = rank_scales(
        [replace(c, values=np.concatenate([c.values, d.values])) for c, d in zip(columns, there, strict=True)]
    )
    sides = query_side(columns, scales), query_side(there, scales)
    return _Sets(columns, *sides, kept.size, rarity(columns), kept, made, some(train.n, made.size))


def _by_distance(sets: _Sets) -> Iterator[_Meeting]:
    """Rows much nearer to each other than to any other real row, or than to any synthetic row, as the case may be."""
    n, every = sets.train, sets.real.n
    near, rows = nearest_k(sets.real, sets.synthetic, 1)
    among = Side(sets.real.cells[sets.others], sets.real.category)
    itself = np.full(every, -1)
    itself[sets.others] = np.arange(sets.others.size)
    other, _ = nearest_k(sets.real, among, 1, omit=itself)
    near, other, rows = near[:, 0], other[:, 0], rows[:, 0]
    for times in TIMES:
        met, natural = ((x > TIE) & (x * times**2 <= y) for x, y in ((near, other), (other, near)))
        title = f"{times} times nearer than any other real row, though not equal"
        yield _Meeting(
            title, met[:n], rows[:n], natural, met[n:], ways=n, others=every / 2 + every - n, lone=True
        )  # fmt: skip


def _by_column(sets: _Sets) -> Iterator[_Meeting]:
    """Rows equal in all columns but one; for each."""
    from sterling.stats import _neighbour_kernels as kernels

    n, m = sets.real.n, sets.synthetic.n
    cells = np.concatenate([sets.real.cells, sets.synthetic.cells])
    for j in range(min(len(sets.columns), MOST_COLUMNS) if len(sets.columns) > 1 else 0):
        hashes = kernels.row_hashes(np.ascontiguousarray(np.delete(cells, j, axis=1)))
        _, place = np.unique(hashes, return_inverse=True)
        real, made = (np.bincount(p, minlength=place.max() + 1) for p in (place[:n], place[n:]))
        row = np.full(real.size, -1)
        row[place[n:]] = np.arange(m)
        alone, one = real[place[:n]] == 1, sets.real.cells[:, j]
        met = alone & (made[place[:n]] > 0)
        # Where the synthetic row has the same value here, too, it is no near copy but a copy.
        met[met] = sets.synthetic.cells[row[place[:n][met]], j] != one[met]
        pairs = real[place[:n]] == 2
        first = np.full(real.size, -2.0)
        first[place[:n]] = one
        same = np.bincount(place[:n], weights=one != first[place[:n]], minlength=real.size)[place[:n]] == 0
        title = f"equal in all columns but {sets.columns[j].name}"
        t = sets.train
        ways, others = float(t * m), n * n / 2 + (n - t) * m
        yield _Meeting(title, met[:t], row[place[:t]], pairs & ~same, met[t:], ways=ways, others=others, lone=False)


def _looks(sets: _Sets, meeting: _Meeting) -> Iterator[_Look]:
    n, order = sets.train, np.sort(sets.rarity)
    for tail in TAILS[-1:] if meeting.lone else TAILS:
        rare = sets.rarity >= order[min(order.size - 1, int((1 - tail) * order.size))]
        natural, unseen = meeting.natural & rare, meeting.unseen & rare[n:]
        copied = int((meeting.copied & rare[:n]).sum())
        # Looked at without regard to whose they are, so that leaving out favours no side.
        if copied + int(natural.sum()) + int(unseen.sum()) > CROWDED * 2 * int(rare.sum()):
            continue
        count = int(natural.sum()) // 2 + int(unseen.sum())
        ways, others = (max(1, round(1000 * x)) for x in (meeting.ways, meeting.others))
        p = float(ratio_above_p(copied, ways, count, others, ratio=1.0)) if copied + count else 1.0
        yield _Look(meeting, tail, copied, count, p)


def _fails(look: _Look, sets: _Sets, bound: float, alpha: float) -> bool:
    """Rare and lone rows must not be copied at all; of all rows some excess is tolerated."""
    return look.p <= alpha and (
        look.tail < 1.0 or look.meeting.lone or _excess(look, sets.synthetic.n, alpha)[0] > bound
    )


def _excess(look: _Look, m: int, alpha: float) -> tuple[float, float]:
    """Bounds of the near copies beyond the natural ones, per synthetic row."""
    return difference_bounds(min(look.copied, m), m, look.natural, max(look.natural, _trials(look, m)), alpha=alpha)


def _trials(look: _Look, m: int) -> int:
    """How many synthetic rows the natural pairs are worth."""
    return max(1, round(m * look.meeting.others / look.meeting.ways))


def _found(
    look: _Look, sets: _Sets, bound: float, terms: Terms, params: dict[str, Json], *, failed: bool, rows: int
) -> Finding:
    m = sets.synthetic.n
    value = look.copied / m - look.natural / _trials(look, m)
    low, high = _excess(look, m, (1 - terms.level) / 2)
    result = Estimate(float(np.clip(value, low, high)), low, high, m + sets.real.n, terms.level, "Newcombe, near pairs")
    return Finding(
        "near_copies", result, "lower",
        Status.FAIL if failed else status_of(min(low, bound), high, bound, better="lower"),
        reason=_sentence(look, m, rows, bound), params=params,
        evidence={
            "kind": look.meeting.title, "rarest_share": look.tail, "copied": look.copied,
            "expected": round(look.expected, 2), "natural_pairs": look.natural, "p_value": look.p,
            "nearest": _examples(look, sets) if failed else [],
        },
    )  # fmt: skip


def _examples(look: _Look, sets: _Sets) -> list[Json]:
    """The rarest train rows that have a near copy, by row numbers from 0."""
    rows = np.flatnonzero(look.meeting.copied)
    rows = rows[np.argsort(-sets.rarity[rows], kind="stable")][:MOST_EXAMPLES]
    differ = sets.real.cells[rows] != sets.synthetic.cells[look.meeting.rows[rows]]
    return [
        {
            "row": int(sets.rows[look.meeting.rows[i]]),
            "real_row": int(sets.originals[i]),
            "differs_in": [sets.columns[j].name for j in np.flatnonzero(d)],
        }
        for i, d in zip(rows, differ, strict=True)
    ]


def _sentence(look: _Look, m: int, rows: int, bound: float) -> str:
    among = "" if look.tail == 1.0 else f" of the rarest {look.tail:.0%}"
    looked = f" It looked at {m:,} of {rows:,} synthetic rows." if m < rows else ""
    return (
        f"{look.copied:,} train rows{among} have a synthetic row that is {look.meeting.title}, where "
        f"{look.expected:.1f} would if the {m:,} synthetic rows were other people's. "
        f"An excess of {bound:.1%} of the rows is tolerated.{looked}"
    )
