"""Which synthetic rows, and which settings of their generator, help or hurt: judged on real rows inside the train part.

Rows get exact Shapley values for nearest neighbours. A model that learnt from some real rows says where rows lie: near
each other where it expects the same; other real rows and all synthetic rows are the players; third ones validate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.blend.folds import Part, deal
from sterling.blend.training import judge, labelled, target_of
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.protocols import Effort, Learner, OnEvent
from sterling.kernel.schema import Kind
from sterling.kernel.seeds import stream
from sterling.kernel.view import View
from sterling.stats.bounds import normal_quantile
from sterling.stats.scores import unscorable
from sterling.stats.shapley import label_scale, neighbour_credits

if TYPE_CHECKING:
    from sterling.kernel.view import AnyArray, Bools, Floats, Ints

# A value with fewer rows is not judged: the spread among so few is not known.
LEAST_ROWS = 20
# The guide learns from three fifths of the real rows, one fifth plays, one fifth validates.
FOLDS = 5
# Pairs of a player and a validation row: 2 s for each 20 million.
PAIRS: dict[Effort, int] = {"full": 40_000_000, "fast": 10_000_000}
MOST_QUERIES, FEWEST_QUERIES = 2_000, 300
# Synthetic rows of one game; more rows play in several, against the same real ones.
MOST_PLAYERS = 20_000
SHUFFLES, SHUFFLED_CELLS = 999, 40_000_000
# Probabilities below this are alike to the guide.
LEAST_PROBABILITY = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """What a column says of how each synthetic row was made.

    Args:
        name: of the column.
        labels: [k] its values, such as "expert", or "0.2-0.5" for a number.
        codes: [m] the value of each row.
    """

    name: str
    labels: tuple[str, ...]
    codes: Ints

    def title(self, code: int) -> str:
        """Such as "persona=expert"."""
        return f"{self.name}={self.labels[code]}"


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """One value of one setting, and what its rows are worth.

    Args:
        title: such as "persona=expert".
        rows: [m] which rows have it.
        credit: mean credit of its rows, where a real row's is 1; below 0 they hurt. The interval is corrected for
            all values looked at.
        p: chance that rows dealt to values at random would show some value this far below the others; corrected.
    """

    title: str
    rows: Bools
    credit: Estimate | Unmeasured
    p: float

    def harms(self, alpha: float) -> bool:
        """Whether its rows certainly have a credit below 0, and certainly a lower one than rows of other values."""
        return isinstance(self.credit, Estimate) and self.credit.high < 0 and self.p <= alpha

    def lags(self, alpha: float) -> bool:
        """Whether its rows certainly have a lower credit than rows of other values, be it below 0 or not."""
        return isinstance(self.credit, Estimate) and self.p <= alpha


@dataclass(frozen=True, slots=True, eq=False)
class Credit:
    """What rows and settings are worth.

    Args:
        rows: [m] credit of each row, where a real row's is 1; NaN where its target is missing.
        errors: [m] standard error over validation rows.
        values: of all settings, the surely worst first.
        queries: validation rows.
    """

    rows: Floats
    errors: Floats
    values: tuple[Value, ...]
    queries: int


@dataclass(frozen=True, slots=True, eq=False)
class _Played:
    """Credits over all folds: of synthetic rows, and per validation row of each value's rows and the real ones' mean.

    Args:
        rows: [m] mean credit.
        errors: [m] its standard error over validation rows.
        by_value: [v, g] sums over the rows of each value.
        real: [v] mean credit of the real players.
        spread: standard error of the mean of `real`, over real players.
    """

    rows: Floats
    errors: Floats
    by_value: Floats
    real: Floats
    spread: float


def credit(
    train: View,
    made: View,
    settings: Sequence[Setting],
    *,
    guide: Learner,
    seed: int,
    effort: Effort,
    alpha: float,
    on_event: OnEvent,
) -> Credit | Unmeasured:
    """Credit of each row and of each value of each setting.

    Args:
        train: real rows, never the benchmark.
        made: [m] synthetic rows in the same encoding.
        settings: how the rows were made.
        guide: says where rows lie; must predict.
        seed: same seed, same answer.
        effort: "fast" validates on fewer rows.
        alpha: chance that an innocent setting shows a harmful value, over all values of all settings.
        on_event: hears progress.

    Raises:
        SterlingError: if the guide cannot learn from the real rows.

    Source: Jia et al. 2019, arXiv:1908.08619 (values); Westfall & Young 1993 (largest statistic under reshuffling).
    """
    target = target_of(train, "the real data")
    why = unscorable(target, least=2 * FOLDS)
    known = ~target_of(made, "the candidate").missing
    if why is not None:
        return Unmeasured(f"no row can be validated: {why.reason}", why.mend)
    if int(known.sum()) < LEAST_ROWS:
        few = f"{int(known.sum())} synthetic rows have a known target"
        return Unmeasured(f"{few}; {LEAST_ROWS} are needed", "give more rows whose target is known")
    rows, codes = made.take(known), _numbered([s.codes[known] for s in settings], [len(s.labels) for s in settings])
    played = _play(train, rows, codes, guide=guide, seed=seed, effort=effort, on_event=on_event)
    values = _values(settings, known, codes, played, alpha=alpha, seed=seed)
    unit = float(played.real.mean())
    if unit <= 0:
        return Unmeasured("real rows themselves have no credit here", "give more real rows: they say too little yet")
    whole, errors = np.full(made.n, np.nan), np.full(made.n, np.nan)
    whole[known], errors[known] = played.rows / unit, played.errors / unit
    return Credit(whole, errors, values, played.real.size)


def _numbered(codes: Sequence[Ints], sizes: Sequence[int]) -> Ints:
    """[m, c] codes with numbers of their own for each setting."""
    starts = np.cumsum([0, *sizes[:-1]])
    return np.stack([c + s for c, s in zip(codes, starts, strict=True)], axis=1).astype(np.int64)


def _play(
    train: View, made: View, codes: Ints, *, guide: Learner, seed: int, effort: Effort, on_event: OnEvent
) -> _Played:
    """Every fifth of the real rows validates once, beside another fifth that plays."""
    real = labelled(train, "the real data")
    parts = deal(real, folds=FOLDS, repeats=1, seed=seed)
    if len(parts) < FOLDS:
        raise InputError(
            "the real rows cannot be split into five parts that each hold two classes or numbers",
            mend="give more real rows, or more entities",
        )
    most = int(np.clip(PAIRS[effort] // made.n, FEWEST_QUERIES, MOST_QUERIES)) // FOLDS
    total, squares, by_value, units, spreads = np.zeros(made.n), np.zeros(made.n), [], [], []
    for number, part in enumerate(parts):
        rng = stream(seed, "credit", "play", part.name)
        found = _game(real, made, codes, part, parts[(number + 1) % FOLDS], guide=guide, most=most, rng=rng)
        share = found.real.size
        total += found.rows * share
        squares += (np.square(found.errors) * max(1, share - 1) + np.square(found.rows)) * share
        by_value.append(found.by_value)
        units.append(found.real)
        spreads.append(found.spread)
        on_event("validated", {"fold": part.name, "rows": share})
    each = np.concatenate(units)
    mean = total / each.size
    spread = np.maximum(squares / each.size - np.square(mean), 0.0) / max(1, each.size - 1)
    # The fifths that play are different rows: the error of their mean is that of all of them.
    error = float(np.sqrt(np.square(spreads).sum())) / len(spreads)
    return _Played(mean, np.sqrt(spread), np.concatenate(by_value), each, error)


def _game(
    real: View, made: View, codes: Ints, part: Part, other: Part, *, guide: Learner, most: int, rng: np.random.Generator
) -> _Played:
    """Learn where rows lie from three fifths; validate on one fifth; another fifth plays beside the synthetic rows."""
    learns = np.setdiff1d(part.kept, other.held)
    queries = real.take(np.sort(rng.permutation(part.held)[:most]))
    beside = real.take(np.sort(rng.permutation(other.held)[:MOST_PLAYERS]))
    model = guide.fit(real.take(learns), None, rng=rng)
    places = [_places(guide, model, view) for view in (queries, beside, made)]
    target = target_of(real, "the real data")
    scale = None if target.kind is Kind.CATEGORY else label_scale(target.values[learns])
    truths, own, labels = (target_of(v, "the rows").values for v in (queries, beside, made))
    games = -(-made.n // MOST_PLAYERS)
    groups = int(codes.max(initial=-1)) + 1
    values, errors, by_value = np.empty(made.n), np.empty(made.n), np.zeros((queries.n, groups))
    real_rows, real_means = np.zeros(beside.n), np.zeros(queries.n)
    for some in np.array_split(rng.permutation(made.n), games):
        marks = np.concatenate([np.full((beside.n, codes.shape[1]), -1), codes[some]])
        marks[: beside.n, :1] = groups  # the real players are one group more
        found = neighbour_credits(
            np.concatenate([places[1], places[2][some]]), np.concatenate([own, labels[some]]), places[0], truths,
            scale=scale, groups=marks, rng=rng,
        )  # fmt: skip
        values[some], errors[some] = found.values[beside.n :], found.errors[beside.n :]
        by_value += found.by_group[:, :groups]
        real_rows += found.values[: beside.n] / games
        real_means += found.by_group[:, groups] / beside.n / games
    spread = float(real_rows.std(ddof=1) / np.sqrt(beside.n)) if beside.n > 1 else 0.0
    return _Played(values, errors, by_value, real_means, spread)


def _places(guide: Learner, model: object, view: View) -> Floats:
    """[n, d] where the guide puts rows: the logarithms of its probabilities, or its prediction."""
    said = judge(guide, model, view)
    if not isinstance(said, np.ndarray):
        raise InputError(
            f"the learner {type(guide).__name__} gives no predictions", mend="guide credit by a learner that predicts"
        )
    if said.ndim == 1:
        return said[:, None]
    return np.log(np.maximum(said, LEAST_PROBABILITY))


def _values(
    settings: Sequence[Setting], known: Bools, codes: Ints, played: _Played, *, alpha: float, seed: int
) -> tuple[Value, ...]:
    """Every value of every setting that any row has."""
    titles = [s.title(code) for s in settings for code in range(len(s.labels))]
    counts = np.bincount(codes.ravel(), minlength=len(titles))
    judged = np.flatnonzero(counts >= LEAST_ROWS)
    p = _shuffled_p(played.rows, codes, judged, rng=stream(seed, "credit", "shuffle"))
    tail = alpha / 2 / max(1, judged.size)
    where = {code: j for j, s in enumerate(np.split(np.arange(len(titles)), _ends(settings))) for code in s.tolist()}
    found: list[Value] = []
    for code in np.flatnonzero(counts):
        column = where[int(code)]
        has = np.zeros(known.size, dtype=bool)
        has[np.flatnonzero(known)[codes[:, column] == code]] = True
        result = _ratio(played, int(code), codes[:, column] == code, level=1 - alpha, tail=tail)
        found.append(Value(titles[code], has, result, float(p[code])))
    return tuple(sorted(found, key=lambda v: v.credit.high if isinstance(v.credit, Estimate) else np.inf))


def _ends(settings: Sequence[Setting]) -> Ints:
    return np.cumsum([len(s.labels) for s in settings])[:-1]


def _ratio(played: _Played, code: int, has: Bools, *, level: float, tail: float) -> Estimate | Unmeasured:
    """Mean credit of a value's rows over the mean credit of real rows.

    Its variance adds up what other validation rows, other rows of the value and other real players would change, as
    the bootstrap over rows and columns of a table does (Owen 2007, arXiv:0711.2431).
    """
    n, unit = int(has.sum()), float(played.real.mean())
    if n < LEAST_ROWS or unit <= 0:
        return Unmeasured(f"{n} rows are too few to judge", f"give at least {LEAST_ROWS} rows made with this value")
    each = played.by_value[:, code] / n
    ratio = float(each.mean()) / unit
    over_queries = float(np.var(each - ratio * played.real, ddof=1)) / each.size
    over_rows = float(np.var(played.rows[has], ddof=1)) / n
    error = float(np.sqrt(over_queries + over_rows + np.square(ratio * played.spread))) / unit
    half = normal_quantile(tail) * error
    return Estimate(ratio, ratio - half, ratio + half, n, level, "kNN-Shapley; normal, over rows and validation rows")


def _shuffled_p(rows: Floats, codes: Ints, judged: AnyArray, *, rng: np.random.Generator) -> Floats:
    """[g] how often a shuffle of the rows shows any value as far below the mean of all rows as this one, or further."""
    groups = int(codes.max(initial=-1)) + 1
    p = np.ones(max(groups, int(judged.max(initial=-1)) + 1))
    if not judged.size or rows.std() == 0:
        return p
    centred = (rows - rows.mean()) / rows.std()
    sizes = np.bincount(codes.ravel(), minlength=groups)[judged]
    # The values of a finite population: a value that most rows have strays less (Cochran 1977, ch. 2).
    spread = np.sqrt(sizes * np.maximum(1 - sizes / rows.size, 1 / rows.size))

    def far(order: Floats) -> Floats:
        sums = np.zeros(groups)
        for column in codes.T:
            sums += np.bincount(column, weights=order, minlength=groups)
        return sums[judged] / spread

    seen = far(centred)
    shuffles = int(np.clip(SHUFFLED_CELLS // codes.size, 199, SHUFFLES))
    lowest = np.array([far(centred[rng.permutation(centred.size)]).min() for _ in range(shuffles)])
    p[judged] = (1 + (lowest[:, None] <= seen).sum(axis=0)) / (1 + shuffles)
    return p


def worst(found: Credit, alpha: float) -> Value | None:
    """The value that is named: the first that harms, else the first that lags; None where none does."""
    harming = [v for v in found.values if v.harms(alpha)]
    return next(iter([*harming, *(v for v in found.values if v.lags(alpha))]), None)
