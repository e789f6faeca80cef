"""`relational_compare`: do the keys hold, have parents as many children, and do families look like real ones?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from sterling.kernel.dataset import Origin
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.protocols import OnEvent, silent
from sterling.kernel.schema import Kind
from sterling.kernel.seeds import stream
from sterling.modalities.tabular import Tabular, plain_table
from sterling.modalities.tabular.relational import Database, ForeignKey, Relations
from sterling.modalities.tabular.relational.clean import cleaned
from sterling.modalities.tabular.relational.joined import PARENT, Pair, as_dataset, families_told, pair_of, side_by_side
from sterling.modalities.tabular.relational.match import repeated
from sterling.modalities.tabular.relational.part import Part
from sterling.modalities.tabular.relational.plan import Plan, plan_tables, whole

if TYPE_CHECKING:
    import pyarrow as pa

    from sterling.decide.result import Result
    from sterling.kernel.view import Ints, View
    from sterling.stats.clustered_auc import Sample

# Fewer parents than this cannot be dealt into halves and folds.
LEAST_PARENTS = 40
MOST_ROWS, FAST_ROWS = 20_000, 5_000
KEPT = "the parent is kept as it is: how its rows are chosen shows in the child's own columns"
# A gap of made against real, and its floor.
Gap: TypeAlias = tuple[Estimate | Unmeasured, Estimate | None]


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What was found of one foreign key.

    Args:
        key: the key.
        rows: of the made child table.
        orphans, real_orphans: rows that name no row of the parent, made and real.
        nulls, real_nulls: rows without a key.
        children: gap of the distributions of children per parent, and its floor between halves of the real parents.
        joined: AUC on child rows beside their parents, and its floor.
        family: AUC on parents with what their children are like, and its floor.
        late: per pair of dates that are always in order in the real rows, how many made ones break it.
        kept: whether the parent is a public table, kept as it is.
    """

    key: ForeignKey
    rows: int
    orphans: int
    real_orphans: int
    nulls: tuple[int, int]
    real_nulls: tuple[int, int]
    children: Gap
    joined: Gap
    family: Gap
    late: tuple[tuple[str, int, int], ...]
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found of one table by itself.

    Args:
        name: of the table.
        rows, real_rows: how many.
        repeats: made rows whose primary key another has.
        column: the column with the widest gap; None where nothing could be compared.
        gap: that gap (largest difference of distribution functions, or of shares of levels in all), and its floor.
        missing: columns that the made table lacks.
    """

    name: str
    rows: int
    real_rows: int
    repeats: int
    column: str | None
    gap: tuple[Estimate | Unmeasured, float | None]
    missing: tuple[str, ...] = ()


def relational_compare(
    real: str | Path | Mapping[str, Any],
    synthetic: str | Path | Mapping[str, Any],
    *,
    relations: Path | Relations | None = None,
    holdout: str | Path | Mapping[str, Any] | None = None,
    fast: bool = False,
    seed: int = 0,
    on_event: OnEvent = silent,
) -> Result:
    """Judge a made database against the real one, key by key.

    Args:
        real: a folder of tables, a database's URL, or data frames by name.
        synthetic: likewise; it must have the same tables.
        relations: what is declared of the tables; else the real database's catalogue, or what is inferred of it.
        holdout: other real families, for the noise floor; without them it is one half of the real families
            against the other.
        fast: at most 5,000 rows a side instead of 20,000.
        seed: same seed, same answer.
        on_event: hears progress.

    Raises:
        InputError: for a source that cannot be read, or a table that the made database lacks.
    """
    from sterling.api.relational_result import concluded
    from sterling.sources.relations import read_tables

    one = cleaned(read_tables(real, relations=relations).database)
    plain = _for_others(one.relations)
    other = read_tables(synthetic, relations=plain, origin=Origin.SYNTHETIC).database
    third = None if holdout is None else cleaned(read_tables(holdout, relations=plain).database)
    most = FAST_ROWS if fast else MOST_ROWS
    told: list[Told] = []
    plans = plan_tables(one)
    leads = {plan.spec.name: plan.lead for plan in plans}
    sides = (_Side(one, _parts(one, plans), leads), _Side(other, _parts(other, plans), leads))
    floor = None if third is None else _Side(third, _parts(third, plans), leads)
    for key in (k for k in one.relations.foreign if not one.relations[k.child].keep):
        on_event("step", {"text": f"comparing {key.name}"})
        told.append(_key(key, *sides, floor, most=most, seed=seed))
    looked = [_look(plan, one, other, seed=seed) for plan in plans if not plan.spec.keep]
    return concluded(one, other, told, looked, seed=seed, fast=fast, with_holdout=third is not None)


def _for_others(relations: Relations) -> Relations:
    """The same keys for other sources: their files may have other names."""
    return replace(relations, tables=tuple(replace(t, path=None) for t in relations.tables))


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """A database with, by table, the columns that say something."""

    database: Database
    parts: Mapping[str, Part]
    leads: Mapping[str, ForeignKey | None]

    def pair(self, key: ForeignKey) -> Pair:
        """The two tables of a key."""
        child, parent = (plain_table(self.database.tables[name]) for name in (key.child, key.parent))
        return pair_of(key, child, parent, self.parts[key.child], self.parts[key.parent])


def _parts(database: Database, plans: Sequence[Plan]) -> dict[str, Part]:
    """By table, the columns that do more than name rows, as the real table has them."""
    found: dict[str, Part] = {}
    for plan in plans:
        table = plain_table(database.tables[plan.spec.name])
        names = [f for f in plan.schema if f.name in table.column_names]
        part = Part(table.num_rows, table.select([f.name for f in names]), tuple(names))
        hidden = plan.bound | {c for c in plan.spec.primary if len(plan.spec.primary) == 1}
        found[plan.spec.name] = part.select(f.name for f in names if f.name not in hidden)
    return found


def _key(key: ForeignKey, real: _Side, made: _Side, holdout: _Side | None, *, most: int, seed: int) -> Told:
    rng = stream(seed, "relational", "compare", key.name)
    one, other = real.pair(key), made.pair(key)
    nulls = [(int(np.sum(p.at < 0)) - p.orphans, p.child.rows) for p in (other, one)]
    gaps = _gaps(key, real, made, holdout, most=most, rng=rng)
    late = _late(key, real.database, made.database)
    kept = real.database.relations[key.parent].keep
    return Told(key, other.child.rows, other.orphans, one.orphans, nulls[0], nulls[1], *gaps, late, kept)


def _gaps(
    key: ForeignKey, real: _Side, made: _Side, holdout: _Side | None, *, most: int, rng: np.random.Generator
) -> tuple[Gap, Gap, Gap]:
    """Children per parent, child rows beside their parents, and families as a whole."""
    if real.database.relations[key.parent].keep:
        none = (Unmeasured(KEPT, "nothing: it is public"), None)
        return none, _beside_kept(key, real, made, holdout, most=most, rng=rng), none
    third = None if holdout is None else holdout.pair(key)
    sides = _sides(real.pair(key), made.pair(key), third, rng=rng)
    if isinstance(sides, Unmeasured):
        return (sides, None), (sides, None), (sides, None)
    rows, families = (_apart(sides, what, most=most, rng=rng) for what in ("rows", "families"))
    return _children(sides), rows, families


def _sides(
    real: Pair, made: Pair, holdout: Pair | None, *, rng: np.random.Generator
) -> tuple[Pair, Pair, Pair] | Unmeasured:
    """As many parents of each: real, made, and real ones for the floor."""
    order = rng.permutation(real.parent.rows)
    half = order.size // 2 if holdout is None else order.size
    beyond = order[half:] if holdout is None else rng.permutation(holdout.parent.rows)
    n = min(half, made.parent.rows, beyond.size)
    if n < LEAST_PARENTS // 2:
        return Unmeasured(
            f"{real.parent.rows:,} real and {made.parent.rows:,} made parents are too few to deal families into halves",
            f"give at least {LEAST_PARENTS} parents; of a kept lookup table its children's own columns say it all",
        )
    some = rng.permutation(made.parent.rows)[:n]
    floor = (holdout or real).of_parents(np.sort(beyond[:n]))
    return real.of_parents(np.sort(order[:n])), made.of_parents(np.sort(some)), floor


def _children(sides: tuple[Pair, Pair, Pair]) -> tuple[Estimate, Estimate]:
    """Largest difference of the distribution functions of children per parent."""
    real, made, floor = (side.counts for side in sides)
    return _distance(real, made), _distance(real, floor)


def _distance(one: Ints, other: Ints, *, level: float = 0.95, looks: int = 1) -> Estimate:
    from sterling.stats.bounds import two_sample_dkw

    every = np.unique(np.concatenate([one, other]))
    first = np.searchsorted(np.sort(one), every, side="right") / one.size
    second = np.searchsorted(np.sort(other), every, side="right") / other.size
    gap = float(np.abs(first - second).max(initial=0.0))
    half = two_sample_dkw(one.size, other.size, alpha=(1 - level) / 2 / looks)
    n = min(one.size, other.size)
    return Estimate(gap, max(0.0, gap - half), min(1.0, gap + half), n, level, "Dvoretzky-Kiefer-Wolfowitz")


def _apart(
    sides: tuple[Pair, Pair, Pair], what: str, *, most: int, rng: np.random.Generator
) -> tuple[Estimate | Unmeasured, Estimate | None]:
    """How well trees tell made from real, and real from real, by families that they did not see."""
    if what == "rows":
        return _told_apart([(side_by_side(s), s.at[s.at >= 0]) for s in sides], most=most, rng=rng)
    return _told_apart([(families_told(s), np.arange(s.parent.rows)) for s in sides], most=most, rng=rng)


def _beside_kept(
    key: ForeignKey, real: _Side, made: _Side, holdout: _Side | None, *, most: int, rng: np.random.Generator
) -> tuple[Estimate | Unmeasured, Estimate | None]:
    """Child rows beside a parent that is kept as it is, and so the same on all sides: by the child's own families."""
    one, other = _rows_of(key, real), _rows_of(key, made)
    names = np.unique(one[1])
    if holdout is None:
        first = np.isin(one[1], rng.permutation(names)[: names.size // 2])
        halves = [(one[0].take(np.flatnonzero(some)), one[1][some]) for some in (first, ~first)]
    else:
        halves = [one, _rows_of(key, holdout)]
    counts = [np.unique(owner).size for _, owner in (halves[0], other, halves[1])]
    sides = [_some(side, min(counts), rng=rng) for side in (halves[0], other, halves[1])]
    return _told_apart(sides, most=most, rng=rng)


def _some(side: tuple[Part, Ints], families: int, *, rng: np.random.Generator) -> tuple[Part, Ints]:
    rows = np.flatnonzero(np.isin(side[1], rng.permutation(np.unique(side[1]))[:families]))
    return side[0].take(rows), side[1][rows]


def _rows_of(key: ForeignKey, side: _Side) -> tuple[Part, Ints]:
    """Child rows beside their parents, and the leading family of each; a row without one is a family of its own."""
    pair = side.pair(key)
    lead = side.leads[key.child]
    own = pair.at.size + np.arange(pair.at.size) + max((p.rows for p in side.parts.values()), default=0)
    if lead is not None:
        at = side.pair(lead).at
        own = np.where(at >= 0, at, own)
    return side_by_side(pair), own[pair.at >= 0]


def _told_apart(
    sides: Sequence[tuple[Part, Ints]], *, most: int, rng: np.random.Generator
) -> tuple[Estimate | Unmeasured, Estimate | None]:
    from sterling.stats.clustered_auc import tell_apart
    from sterling.stats.conditional import feature_matrix

    parts, owners = [part for part, _ in sides], [owner for _, owner in sides]
    fewest = min(min(p.rows for p in parts), *(np.unique(o).size * 2 for o in owners))
    if fewest < LEAST_PARENTS:
        few = Unmeasured(
            "there are too few rows or families to train trees on", f"give at least {LEAST_PARENTS} families"
        )
        return few, None
    if not any(f.name.startswith(PARENT) for f in parts[0].fields) or len(parts[0].fields) < 2:
        return Unmeasured("one of the tables has no column but its keys", "compare the other table by itself"), None
    chosen = [_cut(owner, most, rng=rng) for owner in owners]
    views = Tabular().views([as_dataset(p.take(c), "side") for p, c in zip(parts, chosen, strict=True)])
    samples = [_sample(view, owner[c]) for view, owner, c in zip(views, owners, chosen, strict=True)]
    _, categorical = feature_matrix(views[0], views[0].columns or ())
    return (
        tell_apart(samples[0], samples[1], categorical, rng=rng),
        tell_apart(samples[0], samples[2], categorical, rng=rng),
    )


def _sample(view: View, families: Ints) -> Sample:
    from sterling.stats.clustered_auc import Sample
    from sterling.stats.conditional import feature_matrix

    return Sample(feature_matrix(view, view.columns or ())[0], families)


def _cut(owner: Ints, most: int, *, rng: np.random.Generator) -> Ints:
    """Rows of whole families, at most so many unless one family alone has more."""
    if owner.size <= most:
        return np.arange(owner.size)
    _, family = np.unique(owner, return_inverse=True)
    order = rng.permutation(int(family.max()) + 1)
    sizes = np.bincount(family)[order]
    taken = order[: max(2, int(np.searchsorted(np.cumsum(sizes), most)))]
    return np.flatnonzero(np.isin(family, taken))


def _late(key: ForeignKey, real: Database, made: Database) -> tuple[tuple[str, int, int], ...]:
    """Pairs of dates of child and parent that are in order in all real rows: how many made ones are not."""
    from sterling.modalities.tabular.canonical import flat
    from sterling.modalities.tabular.relational.match import positions
    from sterling.modalities.tabular.relational.ties import LEAST_ROWS, in_order

    def dates(name: str) -> list[Any]:
        return [f for f in real.tables[name].schema if f.kind is Kind.DATETIME and f.name in made.tables[name].schema]

    tables = [(plain_table(d.tables[key.child]), plain_table(d.tables[key.parent])) for d in (real, made)]
    at = [positions(child, key.columns, parent, key.parent_columns) for child, parent in tables]
    found: list[tuple[str, int, int]] = []
    for own in (f for f in dates(key.child) if f.name not in key.columns):
        for theirs in dates(key.parent):
            for how in ("after", "before"):
                counts: list[tuple[int, int]] = []
                for (child, parent), rows in zip(tables, at, strict=True):
                    other = Part(parent.num_rows, parent.select([theirs.name]), (theirs,)).take(rows)
                    here = flat(child.column(own.name))
                    counts.append(in_order(here, own, flat(other.table.column(0)), theirs, how))
                if counts[0][0] == 0 and counts[0][1] >= LEAST_ROWS:
                    word = "never before" if how == "after" else "never after"
                    found.append((f"{own.name} {word} {key.parent}.{theirs.name}", *counts[1]))
    return tuple(found)


def _look(plan: Plan, real: Database, made: Database, *, seed: int) -> Looked:
    name = plan.spec.name
    table, other = plain_table(real.tables[name]), plain_table(made.tables[name])
    primary = [c for c in plan.spec.primary if c in other.column_names]
    again = int(repeated(other, primary).sum()) if primary and len(primary) == len(plan.spec.primary) else 0
    missing = tuple(f.name for f in plan.schema if f.name not in other.column_names)
    hidden = plan.bound | set(missing)
    part = whole(plan, table)
    shown = part.select(n for n in part.names if n not in hidden)
    column, gap, floor = _widest(shown, other, rng=stream(seed, "relational", "compare", name))
    return Looked(name, other.num_rows, table.num_rows, again, column, (gap, floor), missing)


def _widest(
    real: Part, made: pa.Table, *, rng: np.random.Generator
) -> tuple[str | None, Estimate | Unmeasured, float | None]:
    """The column whose distribution differs most, and how far one half of the real rows is from the other there."""
    if real.rows < LEAST_PARENTS or made.num_rows < LEAST_PARENTS // 2 or not real.fields:
        return None, Unmeasured("too few rows or no columns but keys", f"give at least {LEAST_PARENTS} rows"), None
    order = rng.permutation(real.rows)
    n = min(real.rows // 2, made.num_rows)
    other = Part(made.num_rows, made.select(list(real.names)), real.fields).take(rng.permutation(made.num_rows)[:n])
    sets = [real.take(order[:n]), other, real.take(order[n : 2 * n])]
    views = Tabular().views([as_dataset(one, "side") for one in sets])
    columns = [view.columns or () for view in views]
    gaps = [
        (c.name, _column_gap(c.values, o.values, ordered=c.levels is None, looks=len(columns[0])),
         _column_gap(c.values, f.values, ordered=c.levels is None, looks=1).value)
        for c, o, f in zip(*columns, strict=True)
    ]  # fmt: skip
    return max(gaps, key=lambda gap: gap[1].value)


def _column_gap(one: Any, other: Any, *, ordered: bool, looks: int) -> Estimate:
    """For numbers and dates the largest difference of distribution functions, missing first; for levels of shares."""
    if ordered:
        low = min(np.nanmin(one, initial=0.0), np.nanmin(other, initial=0.0)) - 1.0
        return _distance(np.where(np.isnan(one), low, one), np.where(np.isnan(other), low, other), looks=looks)
    from sterling.stats.bounds import total_variation_bias, total_variation_slack

    size = int(max(one.max(initial=-1), other.max(initial=-1))) + 2
    shares = [np.bincount(values + 1, minlength=size) / values.size for values in (one, other)]
    gap = 0.5 * float(np.abs(shares[0] - shares[1]).sum())
    slack = total_variation_slack(one.size, other.size, alpha=0.025 / looks)
    bias = total_variation_bias((shares[0] + shares[1]) / 2, one.size, other.size)
    low, high = max(0.0, gap - slack - bias), min(1.0, gap + slack)
    return Estimate(gap, low, high, min(one.size, other.size), 0.95, "bounded differences (McDiarmid)")
