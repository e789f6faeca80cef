"""Whether synthetic rows repeat real rows, or rare people among them, more than real rows repeat each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.schema import Role
from sterling.kernel.view import Need, View, stack
from sterling.stats.bounds import status_of
from sterling.stats.proportions import difference_bounds, ratio_above_p
from sterling.stats.rarity import rarity

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Floats, Hashes, Ints

BOUND = 0.001
LEAST_ROWS = 30
# Records that are the only one of their kind, down from the rarest: the share looked at, and the wider share from
# which the natural rate is taken, so that it rests on more than nothing.
TAILS = ((0.02, 0.1), (0.1, 0.3), (1.0, 1.0))
# The natural repeats of the narrow share alone must not explain the copies either; this guards against tables
# where rarer records repeat each other more.
OWN_ALPHA = 0.2
MOST_EXAMPLES = 10
# Where train rows repeat each other more than holdout rows repeat them, at this level, the holdout alone tells.
EXCHANGEABLE = 0.05


@dataclass(frozen=True, slots=True)
class _Counts:
    """How many rows are found among the train rows.

    Args:
        copied: synthetic rows found.
        rows: synthetic rows.
        twins: real rows found that are not themselves those train rows.
        fresh: real rows looked at; where twins come in pairs, as many as they are worth.
        unique: synthetic rows that repeat a train row which is the only one of its kind.
        unique_twins: fresh real rows that do.
        source: what the fresh rows are.
    """

    copied: int
    rows: int
    twins: int
    fresh: int
    unique: int
    unique_twins: int
    source: str


@dataclass(frozen=True, slots=True, eq=False)
class _Kinds:
    """Records that are the only one of their kind among the real rows, and pairs of real rows, by kind.

    Args:
        copied: [c] rarity of single train records that synthetic rows repeat.
        rows: [c] the first synthetic row that repeats each.
        originals: [c] the train row.
        natural: [p] rarity of pairs that a copying generator cannot have made: of two real rows, or of a holdout
            row and synthetic ones.
        single: [s] rarity of all single real records, ascending.
        chances: in how many ways a synthetic row can meet a train row, and how many ways there are to such pairs.
    """

    copied: Floats
    rows: Ints
    originals: Ints
    natural: Floats
    single: Floats
    chances: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Look:
    """Copies among the rarest records.

    Args:
        tail: share of the single records that are at least so rare.
        copied: single train records that synthetic rows repeat.
        expected: how many would be repeated if natural repeats went on at the rate of the wider share.
        p: exact p-value of "no more than that".
        own_p: the same with the rate in the narrow share alone.
    """

    tail: float
    copied: int
    expected: float
    p: float
    own_p: float


@measure(
    Need.HASHES,
    title="Synthetic rows that repeat a real row, beyond natural duplicates",
    better="lower",
    floor=False,
    family="privacy",
)
def copies(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Share of synthetic rows that equal a train row, less the share of fresh real rows that do.

    A table of few coarse columns repeats itself: the chance that a fresh real row equals one of the
    train rows is the natural rate. It is the share of train rows that have a twin among the others, and the
    share of holdout rows found among the train rows, which has the same mean: both together, unless train
    rows certainly repeat each other more, as where the collecting doubled some. Fails if both the exact test
    of the two shares and the bound of their difference say so.

    A few copies of rare people are lost in that share, so it looks at them by themselves: train records that
    are the only one of their kind and belong to the rarest 2 %, 10 % or all of those. Where rows are exchangeable,
    n m ways lead from a train row to a synthetic one, and N^2 / 2 from one of the N real rows to another (h m more
    from a holdout row to a synthetic one): what real pairs there are among the rarest says how many copies are
    natural. Rarer records repeat each other less, so the rate is taken from a wider share. Alpha is divided
    among the four looks. A natural twin is no finding.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: real rows set apart.
        rng: not used; nothing is sampled.
        terms: `bound` is the largest tolerable excess share, default .001: one row in a thousand.

    Returns:
        A difference of shares, -1 to 1; at most 0 is ideal; smaller is better.

    Source: Newcombe 1998 (difference); conditional binomial test (Przyborowski & Wilenski 1940); that natural
        repeats of single records are counted by pairs is Good 1953, Biometrika 40:237.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha}
    if real.hashes is None or synthetic.hashes is None or min(real.n, synthetic.n) < LEAST_ROWS:
        few = Unmeasured(
            f"{real.n:,} real and {synthetic.n:,} synthetic rows are too few to look for copies",
            mend=f"give at least {LEAST_ROWS} rows of each",
        )
        return (Finding("copies", few, "lower", Status.UNMEASURED, reason=few.reason, params=params),)
    apart = holdout if holdout is not None and holdout.hashes is not None and holdout.n >= LEAST_ROWS else None
    c = _counted(real.hashes, synthetic.hashes, None if apart is None else apart.hashes)
    kinds = _kinds(real, synthetic, apart)
    looks = [_look(kinds, *tails) for tails in TAILS]
    alpha = terms.alpha / (1 + len(looks))
    value = c.copied / c.rows - c.twins / c.fresh
    low, high = difference_bounds(c.copied, c.rows, c.twins, c.fresh, alpha=(1 - terms.level) / 2)
    at_least = difference_bounds(c.copied, c.rows, c.twins, c.fresh, alpha=alpha)[0]
    p_value = float(ratio_above_p(c.copied, c.rows, c.twins, c.fresh, ratio=1.0))
    shown = next((x for x in looks if x.p <= alpha and x.own_p <= OWN_ALPHA), None)
    failed = shown is not None or (at_least > bound and p_value <= alpha)
    found = Finding(
        "copies",
        Estimate(value, low, high, c.rows + c.fresh, terms.level, "Newcombe"),
        "lower",
        Status.FAIL if failed else status_of(min(low, bound), high, bound, better="lower"),
        reason=_sentence(c, shown, bound),
        params={**params, "n_real": real.n, "natural_rate_from": c.source},
        evidence={**_evidence(c, looks), "p_value": p_value, "at_least": at_least, "rarest_copies": _examples(kinds)},
    )
    return (found,)


def _kinds(real: View, synthetic: View, holdout: View | None) -> _Kinds:
    rows = real if holdout is None else stack([real, holdout])
    hashes = [v.hashes for v in (rows, synthetic) if v.hashes is not None]
    _, first, place = np.unique(np.concatenate(hashes), return_index=True, return_inverse=True)
    ends = (0, real.n, rows.n, rows.n + synthetic.n)
    train, apart, made = (np.bincount(place[a:b], minlength=first.size) for a, b in pairwise(ends))
    columns = [c for c in rows.columns or () if c.role is not Role.WEIGHT]
    rare = np.zeros(first.size)
    known = first < rows.n
    rare[known] = rarity(columns)[first[known]] if columns else 0.0
    single = train + apart == 1
    copied = single & (train == 1) & (made > 0)
    natural = (train + apart == 2) | (single & (apart == 1) & (made > 0))
    at = np.full(first.size, -1)
    at[place[rows.n :][::-1]] = np.arange(synthetic.n)[::-1]  # the first row of a kind is written last
    spare = rows.n - real.n
    return _Kinds(
        rare[copied], at[copied], first[copied], rare[natural], np.sort(rare[single]),
        (real.n * synthetic.n, rows.n * rows.n // 2 + spare * synthetic.n),
    )  # fmt: skip


def _look(kinds: _Kinds, narrow: float, wide: float) -> _Look:
    n = kinds.single.size
    if not n:
        return _Look(narrow, 0, 0.0, 1.0, 1.0)
    from_here, from_there = (kinds.single[min(n - 1, int((1 - share) * n))] for share in (narrow, wide))
    inside, around = (n - int(np.searchsorted(kinds.single, x)) for x in (from_here, from_there))
    copied = int((kinds.copied >= from_here).sum())
    natural, own = (int((kinds.natural >= x).sum()) for x in (from_there, from_here))
    ways, others = kinds.chances
    # Of two single records, the rarer is repeated no more often: so many ways would lead to the narrow share.
    p = float(ratio_above_p(copied, ways * inside, natural, others * around, ratio=1.0))
    own_p = float(ratio_above_p(copied, ways, own, others, ratio=1.0))
    return _Look(narrow, copied, natural * ways * inside / (others * around), p, own_p)


def _examples(kinds: _Kinds) -> list[Json]:
    """The rarest records that were repeated, by row numbers from 0."""
    order = np.argsort(-kinds.copied, kind="stable")[:MOST_EXAMPLES]
    rarer = kinds.single.size - np.searchsorted(kinds.single, kinds.copied[order], side="right")
    return [
        {"row": int(kinds.rows[i]), "real_row": int(kinds.originals[i]), "unique_rows_rarer": int(k)}
        for i, k in zip(order, rarer, strict=True)
    ]


def _evidence(c: _Counts, looks: Sequence[_Look]) -> dict[str, Json]:
    rare: list[Json] = [
        {"rarest_share": x.tail, "copied": x.copied, "expected": round(x.expected, 2), "p_value": x.p} for x in looks
    ]
    return {
        "copied": c.copied,
        "copied_share": c.copied / c.rows,
        "natural_share": c.twins / c.fresh,
        "copied_of": c.rows,
        "natural_of": c.fresh,
        "copies_of_unique_rows": c.unique,
        "expected_of_unique_rows": c.unique_twins / c.fresh * c.rows,
        "unique_rows": rare,
    }


def _counted(real: Hashes, synthetic: Hashes, fresh: Hashes | None) -> _Counts:
    kinds, place, repeats = np.unique(real, return_inverse=True, return_counts=True)
    seen = _found(synthetic, kinds)
    # Twins come together: k equal rows are one event, not k. Deflate to the effective number of rows.
    twins = int((repeats[place] > 1).sum())
    worth = max(1.0, float(np.square(repeats[repeats > 1]).sum()) / max(1, twins))
    own, rows = round(twins / worth), round(real.size / worth)
    pairs = round(2 * float((repeats == 2).sum()) / worth)
    single = repeats == 1
    unique = int(single[np.searchsorted(kinds, synthetic[seen])].sum())
    if fresh is not None:
        met = _found(fresh, kinds)
        met_single = int(single[np.searchsorted(kinds, fresh[met])].sum())
        there = int(met.sum())
        if float(ratio_above_p(own, rows, there, fresh.size, ratio=1.0)) <= EXCHANGEABLE:
            return _Counts(int(seen.sum()), synthetic.size, there, fresh.size, unique, met_single, "holdout")
        own, rows, pairs, source = own + there, rows + fresh.size, pairs + met_single, "holdout and train rows"
    else:
        source = "train rows"
    return _Counts(int(seen.sum()), synthetic.size, own, rows, unique, pairs, source)


def _found(rows: Hashes, kinds: Hashes) -> AnyArray:
    """[n] which rows are among the sorted kinds."""
    at = np.minimum(np.searchsorted(kinds, rows), kinds.size - 1)
    return kinds[at] == rows


def _sentence(c: _Counts, shown: _Look | None, bound: float) -> str:
    expected = c.twins / c.fresh * c.rows
    rare = ""
    if shown is not None:
        among = "" if shown.tail == 1.0 else f", and one of the rarest {shown.tail:.0%} of those"
        rare = (
            f"{shown.copied:,} real records are repeated of which each is the only one of its kind{among}, "
            f"where {shown.expected:.1f} are expected. "
        )
    return (
        f"{rare}{c.copied:,} of {c.rows:,} synthetic rows equal a real row, where {expected:,.0f} would by chance, "
        f"as real rows repeat each other; {c.unique:,} of them repeat a row that is the only one of its kind. "
        f"An excess of {bound:.1%} is tolerated."
    )
