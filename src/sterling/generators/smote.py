"""SMOTE: rows between neighbours of a thin class; the well-known baseline of augmentation, by imbalanced-learn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.extras import need
from sterling.kernel.schema import Kind
from sterling.modalities.tabular.anatomy import Anatomy, make_batches, take_apart
from sterling.modalities.tabular.canonical import texts

if TYPE_CHECKING:
    from sterling.kernel.dataset import Batch
    from sterling.kernel.view import Floats, Ints
    from sterling.modalities.tabular.outcomes import Ids, Outcome

# Neighbours are sought among so many rows at most: their number grows with its square, and thin classes are small.
MOST_ROWS = 5000
# Levels that are told apart; the rest share one, for every level is a column of its own.
MOST_LEVELS = 60
# A number that so many rows have is a value by itself, such as 0: nothing lies between it and its neighbours.
ATOM = 0.2
# Numbers that SMOTE holds at once, rows x neighbours x columns.
ROOM = 20_000_000
MOST_GROUPS = 200


@dataclass(frozen=True, slots=True, eq=False)
class FittedSmote:
    """The training rows, as SMOTE needs them: it learns nothing else.

    Args:
        anatomy: of the training table.
        ids: [d, n] which value each cell is; -1 = missing.
        target: place of the target among the outcomes, or None.
        classes: values of the target to make.
        shares: of the made rows, per class.
    """

    anatomy: Anatomy
    ids: Ids
    target: int | None
    classes: tuple[int, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Smote:
    """Rows of thin classes, each somewhere between a training row of the class and one of its nearest neighbours.

    Needs the extra `imbalanced`. Made for classes of a declared target; without one, all rows are one class.
    Numbers (standardised) lie on the line between the two rows and are made near the nearest value seen, categories
    are those of most neighbours (SMOTE-NC). A missing cell, and a number that a fifth of the rows has (such as 0), are
    categories too. Of a category's levels the 60 most frequent are told apart. A class of fewer than k_neighbors + 1
    rows uses the neighbours it has, one of a single row is refused. Every made row lies between two training rows:
    no protection of anybody's privacy.

    Args:
        classes: of the target, to be made in equal numbers; empty for every class but the largest, by what each lacks.
        k_neighbors: among how many nearest rows of the class the second is drawn, >= 1.

    Raises:
        InputError: for a setting out of its range.

    Source: Chawla et al. 2002, "SMOTE", J. Artificial Intelligence Research 16, doi:10.1613/jair.953;
    Lemaitre et al. 2017, imbalanced-learn (MIT).
    """

    classes: tuple[str, ...] = ()
    k_neighbors: int = 5

    def __post_init__(self) -> None:
        if self.k_neighbors < 1:
            raise InputError(f"k_neighbors is {self.k_neighbors}", mend="give at least one: --set k_neighbors=5")

    def fit(self, data: Dataset, *, rng: np.random.Generator) -> FittedSmote:
        """Keep the rows, and see which classes are to be made.

        Raises:
            MissingExtra: if imbalanced-learn is not installed.
            UnknownName: for a class that the target does not have.
            InputError: if there is nothing to learn from, or a class of one row.
        """
        need("imblearn", extra="imbalanced")
        anatomy, ids = take_apart(data)
        target = data.schema.target
        if target is None or target.kind is not Kind.CATEGORY:
            if self.classes:
                raise InputError(
                    "smote was asked for classes, and the data has no target of classes",
                    mend="name the column with --target COLUMN",
                )
            return FittedSmote(anatomy, ids, None, (), ())
        place = anatomy.position(target.name)
        if place is None:
            raise InputError(f"{target.name!r} identifies rows: it holds no classes", mend="name another --target")
        outcome = anatomy.outcomes[place]
        classes, shares = _wanted(outcome, self.classes)
        for level in classes:
            if outcome.counts[level] < 2:
                raise InputError(
                    f"class {_word(outcome, level)!r} of {target.name} has {outcome.counts[level]} row: SMOTE makes "
                    "rows between two",
                    mend="give more real rows of it, or name other classes: --set classes=...",
                )
        return FittedSmote(anatomy, ids, place, classes, shares)

    def sample(
        self, fitted: FittedSmote, n: int, *, rng: np.random.Generator, given: Batch | None = None
    ) -> Iterator[Batch]:
        """Make n rows, in batches of at most 50,000.

        Args:
            fitted: what `fit` returned.
            n: rows to make.
            rng: the stream of this task.
            given: columns to hold fixed; rows are made from the training rows that have these values.

        Raises:
            InputError: for n < 1, or for more combinations of given values than can be held.
        """

        def draw(size: int, held: Mapping[int, Ids]) -> Ids:
            fixed = dict(held)
            if fitted.target is not None and fitted.classes and fitted.target not in fixed:
                fixed[fitted.target] = _quota(fitted, size, rng=rng)
            return _drawn(fitted, size, fixed, k=self.k_neighbors, rng=rng)

        return make_batches(fitted.anatomy, n, draw=draw, smoothing=1.0, given=given, rng=rng)


def _wanted(outcome: Outcome, named: Sequence[str]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The classes to make, and their shares."""
    words = [_word(outcome, level) for level in range(len(outcome.counts))]
    for name in named:
        if name not in words:
            raise UnknownName.among(name, words, what=f"class of {outcome.field.name}")
    if named:
        return tuple(words.index(name) for name in named), (1 / len(named),) * len(named)
    lacking = outcome.counts.max(initial=0) - outcome.counts
    levels = np.flatnonzero(lacking)
    return tuple(levels.tolist()), tuple((lacking[levels] / max(1, lacking.sum())).tolist())


def _word(outcome: Outcome, level: int) -> str:
    return str(texts(outcome.distinct)[level].as_py())


def _quota(fitted: FittedSmote, n: int, *, rng: np.random.Generator) -> Ids:
    """[n] classes in their shares, in random order."""
    ends = np.rint(np.cumsum(fitted.shares) * n).astype(np.int64)
    counts = np.diff(ends, prepend=0)
    return rng.permutation(np.repeat(np.array(fitted.classes, dtype=np.int32), counts))


def _drawn(fitted: FittedSmote, n: int, held: Mapping[int, Ids], *, k: int, rng: np.random.Generator) -> Ids:
    """[d, n] ids, group by group of rows that hold the same values."""
    d = len(fitted.ids)
    made = np.empty((d, n), dtype=np.int32)
    places = list(held)
    combinations, group = np.unique(
        np.array([held[j] for j in places], dtype=np.int32).reshape(len(places), n), axis=1, return_inverse=True
    )
    if combinations.shape[1] > MOST_GROUPS:
        raise InputError(
            f"smote cannot hold {combinations.shape[1]:,} combinations of values fixed",
            mend=f"hold columns of at most {MOST_GROUPS} combinations, or take cart with --set first=...",
        )
    for g, values in enumerate(combinations.T):
        rows = np.flatnonzero(group.ravel() == g)
        like = np.all(fitted.ids[places] == values[:, None], axis=0)
        base = np.flatnonzero(like if like.any() else ~like)
        if base.size > MOST_ROWS:
            base = rng.choice(base, MOST_ROWS, replace=False)
        made[:, rows] = _between(fitted.anatomy.outcomes, fitted.ids[:, base], rows.size, k=k, rng=rng)
    for j, ids in held.items():
        made[j] = ids
    return made


def _between(outcomes: Sequence[Outcome], base: Ids, n: int, *, k: int, rng: np.random.Generator) -> Ids:
    """[d, n] ids of rows that SMOTE makes between those of the base, [d, b]."""
    forms = [_form(outcome, row) for outcome, row in zip(outcomes, base, strict=True)]
    kinds = np.array([f.kinds for f in forms], dtype=np.int64).reshape(len(forms), base.shape[1])
    points = np.array([f.points for f in forms if f.points is not None]).reshape(-1, base.shape[1])
    varying = np.flatnonzero(np.any(kinds != kinds[:, :1], axis=1))
    spread = points.std(axis=1)
    moving = np.flatnonzero(spread > 0)
    rows = np.zeros((len(points), n)) + points[:, :1]
    codes = np.repeat(kinds[:, :1], n, axis=1)
    if moving.size + varying.size and base.shape[1] > 1:
        scaled = points[moving] / spread[moving, None]
        rows_new, codes_new = _smote(scaled.T, kinds[varying].T, n, k=min(k, base.shape[1] - 1), rng=rng)
        rows[moving], codes[varying] = rows_new.T * spread[moving, None], codes_new.T
    numbers = iter(rows)
    return np.array(
        [
            _ids(f, code, next(numbers) if f.points is not None else None, rng=rng)
            for f, code in zip(forms, codes, strict=True)
        ]
    ).reshape(len(forms), n)


@dataclass(frozen=True, slots=True, eq=False)
class _Form:
    """A column as SMOTE takes it: a kind per row and, for numbers, a point on a line.

    Args:
        kinds: [b] -1 missing; an atom or a level by its id; for all other numbers k, the number of values, and for
            levels that are not told apart too.
        points: [b] of numbers, scaled into -2 ... 2; None for categories.
        line: [k] the values on that line, ascending.
        base: [b] the ids.
        others: k.
    """

    kinds: Ints
    points: Floats | None
    line: Floats
    base: Ids
    others: int


def _form(outcome: Outcome, base: Ids) -> _Form:
    k = len(outcome.counts)
    counts = np.bincount(base[base >= 0], minlength=k)
    own = np.zeros(k + 1, dtype=np.bool_)
    if outcome.ordered:
        own[:k] = counts >= ATOM * base.size
    else:
        own[np.argsort(-counts, kind="stable")[:MOST_LEVELS]] = True
    kinds = np.where(base < 0, -1, np.where(own[base], base, k)).astype(np.int64)
    if not outcome.ordered or not k:
        return _Form(kinds, None, np.empty(0), base, k)
    finite = outcome.keys[np.isfinite(outcome.keys)]
    # Through halves: numbers of the whole range of float64 have a range that is none.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        line = outcome.keys / max(float(np.abs(finite).max(initial=0.0)), np.finfo(np.float64).tiny)
    line = np.clip(np.nan_to_num(line, nan=2.0, posinf=2.0, neginf=-2.0), -2.0, 2.0)
    there = base >= 0
    middle = float(np.median(line[base[there]])) if there.any() else 0.0
    return _Form(kinds, np.where(there, line[base], middle), line, base, k)


def _ids(form: _Form, kinds: Ints, points: Floats | None, *, rng: np.random.Generator) -> Ids:
    """[n] ids of made kinds and points."""
    open_ = kinds == form.others
    ids = np.where(open_, 0, kinds)
    if points is not None:
        middles = form.line[:-1] / 2 + form.line[1:] / 2
        ids[open_] = np.searchsorted(middles, points[open_])
    elif open_.any():
        ids[open_] = rng.choice(form.base[form.kinds == form.others], int(open_.sum()))
    return ids.astype(np.int32)


def _smote(points: Floats, kinds: Ints, n: int, *, k: int, rng: np.random.Generator) -> tuple[Floats, Ints]:
    """[n, p] points and [n, q] kinds of new rows; imbalanced-learn does the work, on base rows of one class.

    It makes rows of a class to balance it with another: one row stands for that other class.
    """
    b, p = points.shape
    table = np.hstack([points, kinds.astype(np.float64)])
    table = np.vstack([table, table[:1]])
    labels = np.append(np.zeros(b, dtype=np.int64), 1)
    columns = p + sum(np.unique(column).size for column in kinds.T)
    most = max(500, ROOM // (k * max(1, columns)))
    made: list[Floats] = []
    for start in range(0, n, most):
        wanted = {0: b + min(most, n - start)}
        made.append(_sampler(p, kinds.shape[1], wanted, k, rng=rng).fit_resample(table, labels)[0][b + 1 :])
    rows = np.vstack(made).astype(np.float64)
    return rows[:, :p], np.rint(rows[:, p:]).astype(np.int64)


def _sampler(p: int, q: int, wanted: dict[int, int], k: int, *, rng: np.random.Generator) -> Any:
    """SMOTE for p numbers and q categories."""
    over = need("imblearn.over_sampling", extra="imbalanced")
    common: dict[str, Any] = {
        "sampling_strategy": wanted, "k_neighbors": k, "random_state": int(rng.integers(2**31 - 1))
    }  # fmt: skip
    if not q:
        return over.SMOTE(**common)
    return over.SMOTEN(**common) if not p else over.SMOTENC(categorical_features=list(range(p, p + q)), **common)
