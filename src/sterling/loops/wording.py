"""Signs in free text: rare words, different word sequences, repetition, and how generic it has become."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import stdtr

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.view import TokenColumn, View
from sterling.loops.reading import Reading, about, worse_p
from sterling.stats.vocabulary import PARTS, Vocabulary, gram_codes, vocabularies

if TYPE_CHECKING:
    from sterling.kernel.view import Floats, Ints
    from sterling.stats.diversity import Richness

LEVEL = 0.95
MOST_TOKENS = 50_000
# Runs of words that count as a repetition within one record; as a phrase whose rarity is known.
REPEATED, PHRASE = 3, 2
LEAST_RECORDS = 30
NO_TEXT = Unmeasured("there is no column of free text", mend="nothing to mend: this sign is for text")


def words_kept(
    vital: Literal["hapax_kept", "distinct_words"], real: View, made: View, *, rng: np.random.Generator
) -> Reading | Unmeasured:
    """Share of words that occur once, or of different sequences of 1 to 3 words, over the real one: the worst field."""
    if not real.sequences or not made.sequences:
        return NO_TEXT
    statistic, runs = (_once, (1,)) if vital == "hapax_kept" else (_different, (1, 2, 3))
    looks = vocabularies(real, made, statistic, runs=runs, most=MOST_TOKENS, rng=rng)
    if isinstance(looks, Unmeasured):
        return looks
    p_values = [_poorer_p(v) for v in looks]
    worst = min(looks, key=lambda v: v.ratio)
    low, high = worst.bounds((1 - LEVEL) / 2)
    name = worst.name if worst.run == 1 else f"{worst.name}, {worst.run} words"
    return Reading(
        vital, worst.ratio, min(low, worst.ratio), max(min(high, 10.0), worst.ratio), 1.0,
        min(1.0, min(p_values) * len(looks)), worst.records[1], name, worst.ratio,
    )  # fmt: skip


def _once(words: Richness) -> float:
    return words.single / words.distinct


def _different(words: Richness) -> float:
    return words.distinct / words.size


def _poorer_p(v: Vocabulary) -> float:
    """p-value of "no poorer than real text", from the jackknife variances of both."""
    error = float(np.sqrt(v.real[1] + v.synthetic[1]))
    lost = v.real[0] - v.synthetic[0]
    return worse_p(lost, 0.0) if error <= 0 else float(stdtr(PARTS - 1, -lost / error))


def repetition(real: View, made: View) -> Reading | Unmeasured:
    """Share of word triples that repeat an earlier one of the same record: the worst field."""
    found = [
        (a.name, _repeats(a), _repeats(b)) for a, b in zip(real.sequences or (), made.sequences or (), strict=True)
    ]
    found = [f for f in found if min(f[1][1].sum(), f[2][1].sum()) > 0 and min(f[1][1].size, f[2][1].size) >= 2]
    if not found:
        return NO_TEXT
    readings: list[Reading] = []
    for name, here, there in found:
        (floor, spread), (value, error) = _share(*here), _share(*there)
        low, high = about(value, error, level=LEVEL, low=0.0, high=1.0)
        p = worse_p(value - floor, float(np.hypot(spread, error)))
        readings.append(Reading("repetition", value, low, high, floor, min(1.0, p * len(found)), made.n, name))
    return min(readings, key=_p)


def _repeats(column: TokenColumn) -> tuple[Floats, Floats]:
    """Per record, how many of its word triples repeat an earlier one, and how many it has."""
    codes, record = gram_codes(column, REPEATED)
    n = column.starts.size - 1
    every = np.bincount(record, minlength=n).astype(np.float64)
    kinds = np.unique(np.stack([record, codes]), axis=1)[0] if codes.size else record
    return every - np.bincount(kinds, minlength=n), every


def _share(hits: Floats, every: Floats) -> tuple[float, float]:
    """A share over records of different lengths, and its standard error (ratio estimate)."""
    total = float(every.sum())
    value = float(hits.sum()) / total
    n = hits.size
    return value, float(np.sqrt(np.square(hits - value * every).sum() * n / max(1, n - 1))) / total


def genericness(real: View, made: View, *, rng: np.random.Generator) -> Reading | Unmeasured:
    """How rare the word pairs are, as the mean logarithm of their rank in one half of the real records.

    The other half shows what real text has. Text that grows generic falls below it; pairs that the half does not
    know count as the rarest.
    """
    readings: list[Reading] = []
    for a, b in zip(real.sequences or (), made.sequences or (), strict=True):
        n = a.starts.size - 1
        order = rng.permutation(n)
        half = n // 2
        if half < LEAST_RECORDS or b.starts.size - 1 < LEAST_RECORDS:
            continue
        known, other = a.take(np.sort(order[:half])), a.take(np.sort(order[half:]))
        (floor, spread), (value, error) = _log_ranks(known, other, b)
        if floor <= 0:
            continue
        low, high = about(value, error, level=LEVEL, low=0.0, high=np.inf)
        p = worse_p(floor - value, float(np.hypot(spread, error)))
        readings.append(Reading("genericness", value, low, high, floor, p, b.starts.size - 1, a.name, value / floor))
    if not readings:
        return NO_TEXT
    worst = min(readings, key=_p)
    return replace(worst, p=min(1.0, _p(worst) * len(readings)))


def _p(reading: Reading) -> float:
    return 1.0 if reading.p is None else reading.p


def _log_ranks(known: TokenColumn, *others: TokenColumn) -> list[tuple[float, float]]:
    """Per set, the mean log rank of its word pairs in the known one, and its standard error over records."""
    parts = (known, *others)
    ends = np.cumsum([0, *(p.tokens.size for p in parts)])
    counts = [p.starts.size - 1 for p in parts]
    starts = np.concatenate([[0], *(p.starts[1:] + ends[i] for i, p in enumerate(parts))])
    codes, record = gram_codes(TokenColumn("", np.concatenate([p.tokens for p in parts]), starts), PHRASE)
    first = np.cumsum([0, *counts])
    rank = _ranks(codes[record < first[1]], int(codes.max()) + 1 if codes.size else 0)
    found: list[tuple[float, float]] = []
    for i in range(1, len(parts)):
        own = (record >= first[i]) & (record < first[i + 1])
        every = np.bincount(record[own] - first[i], minlength=counts[i]).astype(np.float64)
        logs = np.log(rank[codes[own]])
        sums = np.bincount(record[own] - first[i], weights=logs, minlength=counts[i]).astype(np.float64)
        found.append(_share(sums, every) if every.sum() else (0.0, 0.0))
    return found


def _ranks(codes: Ints, kinds: int) -> Floats:
    """[kinds] the rank of each code by frequency, 1 the commonest; what does not occur comes last."""
    counts = np.bincount(codes, minlength=kinds)
    rank = np.empty(kinds)
    rank[np.argsort(-counts, kind="stable")] = np.arange(1, kinds + 1)
    return np.where(counts > 0, rank, float((counts > 0).sum()) + 1)
