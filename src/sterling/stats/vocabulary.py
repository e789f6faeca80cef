"""How rich the vocabulary of sequences is, at equal numbers of tokens, and how far that strays with the records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Status
from sterling.kernel.view import TokenColumn, View
from sterling.stats.bounds import fieller, status_of
from sterling.stats.diversity import Richness, most_tolerable, rarefied

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Ints

# Parts into which records are dealt for the jackknife.
PARTS = 20
# Vocabularies are compared at this share of the smaller set's tokens, so that no part left out makes it too few.
SHARE = 0.85
LEAST_RECORDS, LEAST_TOKENS = 30, 200


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """One statistic of one field, in both sets.

    Args:
        name: of the field.
        run: how many tokens make a unit: 1 words, 2 pairs, 3 triples.
        size: units in each rarefied sample.
        real: value and jackknife variance.
        synthetic: likewise.
        records: real and synthetic records that were looked at.
    """

    name: str
    run: int
    size: int
    real: tuple[float, float]
    synthetic: tuple[float, float]
    records: tuple[int, int]

    @property
    def ratio(self) -> float:
        """Synthetic over real; 1 is ideal."""
        return self.synthetic[0] / self.real[0]

    def bounds(self, alpha: float) -> tuple[float, float]:
        """Bounds of the ratio, each side with error alpha."""
        quantile = float(stdtrit(PARTS - 1, 1 - alpha))
        low, high = fieller(self.synthetic, self.real, quantile=quantile)
        return max(0.0, low), high


def vocabularies(
    real: View,
    synthetic: View,
    statistic: Callable[[Richness], float],
    *,
    runs: Sequence[int],
    most: int,
    rng: np.random.Generator,
) -> list[Vocabulary] | Unmeasured:
    """A statistic of every field that is a sequence, for runs of tokens of each length.

    Args:
        real: with sequences.
        synthetic: with the same fields.
        statistic: of a rarefied vocabulary.
        runs: lengths, such as (1, 2, 3).
        most: tokens a field; beyond them, and beyond the other set's, records are left out at random.
        rng: deals records into the jackknife's parts.
    """
    found: list[Vocabulary] = []
    for a, b in zip(real.sequences or (), synthetic.sequences or (), strict=True):
        # Words come in clumps, so whole records are left out: scattered tokens of a larger set would seem richer.
        equal = min(most, a.tokens.size, b.tokens.size)
        sides = [_capped(c, equal, rng=rng) for c in (a, b)]
        if min(c.starts.size - 1 for c in sides) < LEAST_RECORDS or min(c.tokens.size for c in sides) < LEAST_TOKENS:
            continue
        for run in runs:
            tables = [_table(c, run, rng=rng) for c in sides]
            size = int(SHARE * min(int(t.sum()) for t in tables))
            if size >= LEAST_TOKENS * SHARE / 2:
                pair = [_jackknife(t, size, statistic) for t in tables]
                records = (sides[0].starts.size - 1, sides[1].starts.size - 1)
                found.append(Vocabulary(a.name, run, size, pair[0], pair[1], records))
    found = [v for v in found if v.real[0] > 0]
    return found or Unmeasured(
        f"{real.n:,} real and {synthetic.n:,} synthetic records have no field of {LEAST_TOKENS} tokens in both",
        mend=f"give at least {LEAST_RECORDS} records of each with free text",
    )


def _capped(column: TokenColumn, most: int, *, rng: np.random.Generator) -> TokenColumn:
    """As many records, in random order, as hold about `most` tokens."""
    if column.tokens.size <= most:
        return column
    order = rng.permutation(column.starts.size - 1)
    kept = int(np.searchsorted(np.cumsum(np.diff(column.starts)[order]), most, side="right"))
    return column.take(np.sort(order[: max(1, kept)]))


def gram_codes(column: TokenColumn, run: int) -> tuple[Ints, Ints]:
    """Runs of tokens, none crossing from one record to the next.

    Returns:
        [k] a number for each run, equal where the runs are equal, and [k] its record.

    >>> column = TokenColumn("t", np.array([1, 2, 1, 2, 9]), np.array([0, 4, 5]))
    >>> codes, records = gram_codes(column, 2)
    >>> codes.tolist(), records.tolist()
    ([0, 1, 0], [0, 0, 0])
    """
    lengths = np.diff(column.starts)
    record = np.repeat(np.arange(lengths.size), lengths)
    words, codes = np.unique(column.tokens, return_inverse=True)
    runs: AnyArray = codes
    for step in range(1, run):
        # Numbered anew at each step, so that codes stay far below 2**63.
        longer = runs[: max(0, codes.size - step)] * max(1, words.size) + codes[step:]
        runs = np.unique(longer, return_inverse=True)[1]
    last = codes.size - run + 1
    whole = record[: max(0, last)] == record[run - 1 :]
    return runs[: whole.size][whole].astype(np.int64), record[: whole.size][whole]


def _table(column: TokenColumn, run: int, *, rng: np.random.Generator) -> Ints:
    """[v, 20] how often each different run occurs in each part of the records."""
    codes, record = gram_codes(column, run)
    part = rng.permutation(column.starts.size - 1) % PARTS
    kinds = int(codes.max()) + 1 if codes.size else 0
    return np.bincount(codes * PARTS + part[record], minlength=kinds * PARTS).reshape(kinds, PARTS).astype(np.int64)


def _jackknife(table: Ints, size: int, statistic: Callable[[Richness], float]) -> tuple[float, float]:
    """The statistic on all records, and the variance that comes from having drawn these.

    Resampling with replacement will not do: a record drawn twice has no word that occurs once.

    Source: delete-a-group jackknife, Efron & Tibshirani 1993, ch. 11; Shao & Wu 1989.
    """

    def of(counts: Ints) -> float:
        held = counts[counts > 0]
        return statistic(rarefied(held, min(size, int(held.sum()))))

    total = table.sum(axis=1)
    without = np.array([of(total - table[:, p]) for p in range(PARTS)])
    spread = (PARTS - 1) / PARTS * float(np.square(without - without.mean()).sum())
    return of(total), spread


def described(v: Vocabulary) -> dict[str, float | int | str]:
    """A row of evidence."""
    return {
        "field": v.name, "tokens": v.run, "real": v.real[0], "synthetic": v.synthetic[0], "ratio": v.ratio,
        "units": v.size,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Judgement:
    """What all looks at a vocabulary say together.

    Args:
        ordered: the looks, the poorest first.
        poor: those that are certainly below the bound.
        shown: the one that a reader is told first.
        status: of the whole.
    """

    ordered: list[Vocabulary]
    poor: list[Vocabulary]
    shown: Vocabulary
    status: Status


def judged(looks: list[Vocabulary], *, alpha: float, level: float, bound: float) -> Judgement:
    """Hold every look against a ratio that may not be fallen below; far above its inverse is a warning.

    Args:
        looks: at least one.
        alpha: one error for all of them, both sides.
        level: of the printed intervals.
        bound: the smallest tolerable ratio; 0 tolerates all.
    """
    each, side = alpha / len(looks) / 2, (1 - level) / 2
    ordered = sorted(looks, key=lambda v: (v.bounds(each)[1], v.ratio))
    poor = [v for v in ordered if v.bounds(each)[1] < bound]
    odd = [v for v in ordered if v.bounds(each)[0] > most_tolerable(bound)]
    # That *every* look is within needs no correction: the truly worst one is one look.
    calm = status_of(min(v.bounds(side)[0] for v in looks), np.inf, bound, better="higher")
    status = Status.FAIL if poor else Status.WARN if odd else calm
    return Judgement(ordered, poor, (poor or odd or ordered)[0], status)


def ratio_estimate(v: Vocabulary, *, level: float, looks: int) -> Estimate:
    """The ratio of one look, its interval corrected for so many looks."""
    low, high = v.bounds((1 - level) / 2 / looks)
    method = f"rarefaction, jackknife over records, {looks} looks"
    return Estimate(v.ratio, min(low, v.ratio), max(high, v.ratio), sum(v.records), level, method)
