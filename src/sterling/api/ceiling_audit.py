"""What an audit of labels says: from a column of checked labels, or from numbers the user has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sterling.api.ceiling_teacher import class_codes, target_of
from sterling.api.inputs import Arena
from sterling.blend.error_outlook import Region
from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.estimate import Estimate
from sterling.kernel.schema import Kind
from sterling.kernel.seeds import stream
from sterling.kernel.view import Column, View

if TYPE_CHECKING:
    import pyarrow as pa

    from sterling.kernel.view import AnyArray, Bools
    from sterling.stats.error_law import Clustering, Counts
    from sterling.stats.slices import Cut

RIGHT = frozenset({"true", "right", "ok", "yes", "correct", "1"})
WRONG = frozenset({"false", "wrong", "no", "incorrect", "0"})
# Slices that clustering is looked for in: quarters of numbers, common levels of categories.
BINS, LEAST, MOST_LEVELS, MOST_COLUMNS = 4, 30, 12, 60
ALPHA = 0.05
# A rate that the user states counts as known.
CERTAIN = 10**9


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """Checked labels.

    Args:
        rate: share of wrong labels with its exact interval, of which each end holds with 95 %: the law of the review.
        wrong: wrong labels found; None where the rate was stated.
        counts: by region and true class, of rows that did not choose the region.
        region: where they pile up, or the whole set.
        clustering: the test of that; None where the rate was stated.
        inside: rate of wrong labels in the region, by rows that did not choose it; None where there is one region.
        verifier: counts (right kept, right, wrong kept, wrong) of a verifier, where its column was named.
    """

    rate: Estimate
    wrong: int | None
    counts: Counts
    region: Region
    clustering: Clustering | None
    inside: Estimate | None
    verifier: tuple[int, int, int, int] | None = None


def read_audit(arena: Arena, column: str, *, verifier: str | None, level: float, seed: int) -> Audit:
    """The audit in a column of the synthetic set.

    Args:
        arena: everything read, the column hidden in it.
        column: per checked row the true class, or whether the label is right (true / false); empty where nobody
            looked. The checked rows are taken for a random sample.
        verifier: column that says which rows an automatic verifier would keep (true / false).
        level: nominal coverage.
        seed: of the run.

    Raises:
        UnknownName: if there is no such column.
        InputError: if nothing was checked, or a cell is neither a class nor yes or no.
    """
    import numpy as np

    from sterling.decide.review_rules import LEVEL
    from sterling.stats.error_law import counts_of
    from sterling.stats.proportions import clopper_pearson

    made, view = arena.candidates[0], arena.views[0]
    given = target_of(view)
    if given.kind is not Kind.CATEGORY:
        raise InputError(
            f"{given.name!r} is a number: a label that is a number is not right or wrong",
            mend="audit a target of classes, such as the number cut at a limit that matters",
        )
    wrong, truth, checked = _verdicts(made.table((made.schema[column].name,)).column(0), column, given, arena)
    rows = np.flatnonzero(checked & ~given.missing)
    if not rows.size:
        raise InputError(f"no row of {made.name} was checked in {column!r}", mend="fill it in for a random sample")
    cuts = _cuts(arena.train_view)
    codes = [cut.assign(view.column(cut.name))[rows] for cut in cuts]
    found, held = named_apart(wrong[rows], cuts, codes, seed=seed)
    region = Region()
    if found.column is not None and found.cell is not None:
        region = Region(cuts[found.column], found.cell)
    judged = rows[held]
    place = region.of(view)[judged]
    counts = counts_of(
        wrong[judged], place, None if truth is None else truth[judged], classes=len(given.levels or ()), alpha=ALPHA
    )
    inside = clopper_pearson(int(wrong[judged][place == 0].sum()), int((place == 0).sum()), level=level)
    hits = int(wrong[rows].sum())
    return Audit(
        clopper_pearson(hits, int(rows.size), level=LEVEL),
        hits,
        counts,
        region,
        found,
        inside if region.cut is not None else None,
        None if verifier is None else _verified(arena, verifier, rows, wrong[rows]),
    )


def named_apart(wrong: Bools, cuts: Sequence[Cut], codes: Sequence[AnyArray], *, seed: int) -> tuple[Clustering, Bools]:
    """Where wrong labels pile up, and the rows that may say how many there are.

    The slice is looked for in a random half of the rows. That half picked the slice because it looked bad, so its
    rate there is too high; the other half knows nothing of the choice, and its exact interval covers.

    Args:
        wrong: [n] of the checked rows.
        cuts: how columns fall into slices.
        codes: per cut, [n] slice of each row.
        seed: of the run.

    Returns:
        The test on one half, and [n] which rows to estimate on: the other half where a slice was named, else all.

    Source: sample splitting, Cox 1975, Biometrika 62:441.
    """
    import numpy as np

    from sterling.stats.error_law import clustering_of

    naming = stream(seed, "ceiling", "halves").permutation(wrong.size) < wrong.size // 2
    found = clustering_of(
        wrong[naming], cuts, [c[naming] for c in codes], alpha=ALPHA, rng=stream(seed, "ceiling", "clustering")
    )
    if found.column is None or found.cell is None:
        return found, np.ones(wrong.size, dtype=bool)
    inside = codes[found.column][~naming] == found.cell
    if inside.all() or not inside.any():  # nothing is left to say how bad it is there, or elsewhere
        return replace(found, cell=None), np.ones(wrong.size, dtype=bool)
    return found, ~naming


def stated_audit(arena: Arena, errors: float, where: str | None) -> Audit:
    """An audit of which only numbers are known.

    Args:
        arena: everything read.
        errors: share of wrong labels among all.
        where: slice such as "sex=F" in which all of them lie; None where they are spread.

    Raises:
        InputError: for a share that is none, or a slice that cannot hold so many.
    """
    import numpy as np

    from sterling.stats.error_law import Counts

    if not 0 < errors < 1:
        raise InputError(
            f"{errors:g} is no share of wrong labels", mend="write a number between 0 and 1: --errors 0.05"
        )
    rate = Estimate(errors, errors, errors, 0, 0.95, "as stated")
    certain = np.array([[CERTAIN]])
    if where is None:
        return Audit(rate, None, Counts((certain * errors).astype(np.int64), certain), Region(), None, None)
    region = _named(arena, where)
    share = float((region.of(arena.views[0]) == 0).mean())
    if errors > share:
        raise InputError(
            f"{where} holds {share:.1%} of the rows, and {errors:.1%} of all labels cannot be wrong in it",
            mend="state fewer errors, or a larger slice",
        )
    inside = errors / share
    counts = Counts(np.array([[round(CERTAIN * inside)], [0]]), np.array([[CERTAIN], [CERTAIN]]))
    return Audit(rate, None, counts, region, None, Estimate(inside, inside, inside, 0, 0.95, "as stated"))


def _named(arena: Arena, where: str) -> Region:
    name, equals, label = where.partition("=")
    if not equals:
        raise InputError(f"{where!r} names no slice", mend="write COLUMN=VALUE, such as sex=F")
    arena.views[0].column(name)
    cut = next((c for c in _cuts(arena.train_view) if c.name == name), None)
    labels = () if cut is None else tuple(x for x in cut.labels if x != "(rest)")
    if cut is None or label not in labels:
        raise UnknownName.among(label, labels, what=f"slice of {name}")
    return Region(cut, cut.labels.index(label))


def _cuts(view: View) -> list[Cut]:
    from sterling.stats.slices import cut_column

    return [cut_column(c, bins=BINS, least=LEAST, most=MOST_LEVELS) for c in view.features[:MOST_COLUMNS]]


def _verdicts(cells: pa.ChunkedArray, column: str, given: Column, arena: Arena) -> tuple[Bools, Any, Bools]:
    """[n] wrong, [n] true class or None where it is not known, [n] checked."""
    import numpy as np

    words = [None if cell is None else str(cell).strip() for cell in cells.to_pylist()]
    checked = np.array([word not in (None, "") for word in words])
    codes = class_codes(cells, given, arena)
    if bool(((codes >= 0) == checked).all()):
        return codes != given.values, np.where(codes >= 0, codes, 0), checked
    lower = [None if word is None else word.lower() for word in words]
    odd = next((w for w, seen in zip(lower, checked, strict=True) if seen and w not in RIGHT | WRONG), None)
    if odd is not None:
        levels = ", ".join((given.levels or ())[:5])
        raise InputError(
            f"column {column!r} holds {odd!r}, neither a class of {given.name!r} ({levels}) nor true or false",
            mend="write the true class, or whether the label is right, and leave what nobody checked empty",
        )
    wrong = np.array([word in WRONG for word in lower])
    present = np.unique(given.values[~given.missing])
    if present.size != 2:
        return wrong, None, checked
    # Of two classes a wrong label stands for the other one.
    other = np.where(given.values == present[0], present[1], present[0])
    return wrong, np.where(wrong, other, np.maximum(given.values, 0)), checked


def _verified(arena: Arena, column: str, rows: Any, wrong: Bools) -> tuple[int, int, int, int]:
    made = arena.candidates[0]
    import numpy as np

    words = [str(c).strip().lower() for c in made.table((made.schema[column].name,)).column(0).to_pylist()]
    odd = next((words[i] for i in rows if words[i] not in RIGHT | WRONG), None)
    if odd is not None:
        raise InputError(
            f"column {column!r} holds {odd!r} for a checked row, neither true nor false",
            mend="write true for rows that the verifier keeps, false for those it throws out",
        )
    keeps = np.array([words[i] in RIGHT for i in rows], dtype=bool)
    return int((keeps & ~wrong).sum()), int((~wrong).sum()), int((keeps & wrong).sum()), int(wrong.sum())
