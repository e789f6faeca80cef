"""Planted facts: what real rows always say together, and how often made rows say it wrongly.

A fact is "this level goes with that one" between two columns of categories, or "records with this word have that word"
in a text. Facts are taken from one half of the real rows; the other half shows how often real rows break them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.schema import Kind
from sterling.kernel.view import Column, TokenColumn, View
from sterling.loops.reading import Reading
from sterling.stats.proportions import clopper_pearson, ratio_above_p

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Ints

LEVEL = 0.95
# A fact was seen so often in the half it is taken from, and nothing spoke against it.
LEAST_SEEN = 5
# "All rows are from Spain" is no fact about anything: what goes with the key has at most this share of the rows.
MOST_SHARE = 0.5
MOST_COLUMNS, MOST_LEVELS = 20, 5_000
# Words that may be keys or values, and facts that are kept a field.
MOST_WORDS, MOST_FACTS = 1_500, 2_000
LEAST_CHECKED = 30
NONE = Unmeasured(
    "no column or word says what another must be, often enough to check", mend="nothing to mend: there are none"
)


@dataclass(frozen=True, slots=True, eq=False)
class _Checked:
    """Per record, how many facts of one place it mentions and how many of them wrongly: [2, n] real, [2, m] made."""

    where: str
    real: Ints
    made: Ints


def fact_errors(real: View, made: View, *, rng: np.random.Generator) -> Reading | Unmeasured:
    """Share of mentions of a fact that get it wrong, all facts together."""
    order = rng.permutation(real.n)
    known, other = real.take(order[: real.n // 2]), real.take(order[real.n // 2 :])
    checked = [*_columns(known, other, made), *_texts(known, other, made)]
    if not checked:
        return NONE
    there, here = (np.sum([getattr(c, side) for c in checked], axis=0) for side in ("real", "made"))
    (asked_real, wrong_real), (asked, wrong) = ((int(x.sum()) for x in counts) for counts in (there, here))
    if min(asked, asked_real) < LEAST_CHECKED:
        return NONE
    # Mentions of one record stand and fall together: tests and intervals count records.
    records, failed = ([int((counts[i] > 0).sum()) for counts in (there, here)] for i in (0, 1))
    share = clopper_pearson(round(wrong / asked * records[1]), records[1], level=LEVEL)
    p = float(ratio_above_p([failed[1]], records[1], [failed[0]], records[0], ratio=1.0)[0])
    value = wrong / asked
    worst = max(checked, key=lambda c: int(c.made[1].sum()) / max(1, int(c.made[0].sum())))
    return Reading(
        "fact_errors", value, min(share.low, value), max(share.high, value), wrong_real / asked_real, p, asked,
        worst.where if wrong else "",
    )  # fmt: skip


def _columns(known: View, other: View, made: View) -> list[_Checked]:
    chosen = [c for c in known.columns or () if c.kind is Kind.CATEGORY and len(c.levels or ()) <= MOST_LEVELS]
    found: list[_Checked] = []
    for key, value in itertools.permutations(chosen[:MOST_COLUMNS], 2):
        wide = len(value.levels or ())
        answer = _answers(key, value, wide)
        if not (answer >= 0).any():
            continue
        real, there = (_wrong(answer, v.column(key.name), v.column(value.name)) for v in (other, made))
        found.append(_Checked(f"{key.name} tells {value.name}", real, there))
    return found


def _answers(key: Column, value: Column, wide: int) -> Ints:
    """[levels of the key] the one level of the value that goes with it; -1 where none does for certain."""
    both = ~key.missing & ~value.missing
    size = len(key.levels or ())
    count = np.bincount(key.values[both], minlength=size)
    top = np.full(size, -1)
    top[key.values[both]] = value.values[both]
    agrees = np.bincount(key.values[both], weights=value.values[both] == top[key.values[both]], minlength=size)
    share = np.bincount(value.values[both], minlength=max(1, wide)) / max(1, int(both.sum()))
    sure = (count >= LEAST_SEEN) & (agrees == count) & (top >= 0)
    return np.where(sure & (share[np.maximum(top, 0)] <= MOST_SHARE), top, -1).astype(np.int64)


def _wrong(answer: Ints, key: Column, value: Column) -> Ints:
    expected = np.where(key.missing, -1, answer[np.maximum(key.values, 0)])
    asked = (expected >= 0) & ~value.missing
    return np.stack([asked, asked & (value.values != expected)]).astype(np.int64)


def _texts(known: View, other: View, made: View) -> list[_Checked]:
    found: list[_Checked] = []
    for i, field in enumerate(known.sequences or ()):
        sides = [v.sequences[i] for v in (other, made) if v.sequences]
        keys, values = _word_facts(field)
        if keys.size and len(sides) == 2:
            found.append(_Checked(field.name, *(_word_errors(s, keys, values) for s in sides)))
    return found


def _word_facts(field: TokenColumn) -> tuple[Ints, Ints]:
    """Pairs of words: every record that has the first has the second, which few records have otherwise."""
    n = field.starts.size - 1
    record, word = _mentions(field)
    counts = np.bincount(word)
    able = np.flatnonzero((counts >= LEAST_SEEN) & (counts <= MOST_SHARE * n))
    able = np.sort(able[np.argsort(-counts[able], kind="stable")][:MOST_WORDS])
    if able.size < 2:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    from scipy.sparse import csr_matrix

    place = np.full(counts.size, -1)
    place[able] = np.arange(able.size)
    kept = place[word] >= 0
    ones = (np.ones(int(kept.sum()), dtype=np.int32), (record[kept], place[word[kept]]))
    table = csr_matrix(ones, shape=(n, able.size))
    together = (table.T @ table).toarray()
    always = together == np.diagonal(together)[:, None]
    np.fill_diagonal(always, val=False)
    first, second = np.nonzero(always)
    return able[first[:MOST_FACTS]].astype(np.int64), able[second[:MOST_FACTS]].astype(np.int64)


def _mentions(field: TokenColumn) -> tuple[Ints, Ints]:
    """Every word of every record once."""
    record = np.repeat(np.arange(field.starts.size - 1), np.diff(field.starts))
    if not record.size:
        return record, field.tokens
    wide = int(field.tokens.max()) + 1
    both = np.unique(record * wide + field.tokens)
    return both // wide, both % wide


def _word_errors(field: TokenColumn, keys: Ints, values: Ints) -> Ints:
    record, word = _mentions(field)
    out = np.zeros((2, field.starts.size - 1), dtype=np.int64)
    if not record.size:
        return out
    wide = int(max(word.max(), keys.max(), values.max())) + 1
    here = record * wide + word  # sorted
    starts = np.searchsorted(np.sort(word), np.arange(wide + 1))
    by_word = record[np.argsort(word, kind="stable")]
    for key, value in zip(keys.tolist(), values.tolist(), strict=True):
        those = by_word[starts[key] : starts[key + 1]]
        out[0, those] += 1
        out[1, those] += ~_held(here, those * wide + value)
    return out


def _held(ordered: Ints, wanted: Ints) -> Bools:
    at = np.minimum(np.searchsorted(ordered, wanted), ordered.size - 1)
    return ordered[at] == wanted
