"""What is learned of a database, table by table, parents first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.protocols import OnEvent
from sterling.kernel.schema import Kind, Role
from sterling.kernel.seeds import stream
from sterling.modalities.tabular.canonical import flat, floats, seconds
from sterling.modalities.tabular.identifiers import Identifier, identifier_of
from sterling.modalities.tabular.relational.clean import cleaned, tables_of
from sterling.modalities.tabular.relational.families import Families, echoes, gather, told_siblings
from sterling.modalities.tabular.relational.keys import Database, ForeignKey, Relations
from sterling.modalities.tabular.relational.part import Conditional, Maker, Part, beside, counts_as, learn
from sterling.modalities.tabular.relational.partners import Kinds, kinds_of, learn_kinds, repeats
from sterling.modalities.tabular.relational.plan import (
    Placed,
    Plan,
    ancestors,
    given_by,
    own_features,
    placed,
    plan_tables,
    real_positions,
    whole,
)
from sterling.modalities.tabular.relational.ties import Tie, learn_ties, untied

if TYPE_CHECKING:
    from sterling.kernel.view import Ints

# By the name of a generator (None: the command's own), what makes one that holds given columns fixed.
MakerOf: TypeAlias = Callable[[str | None], Maker]
HOW_MANY, ABOVE = "⟨how many⟩", "⟨rows above⟩"
SIZE, PLACE = "⟨rows of the family⟩", "⟨place in the family⟩"
# Among fewer parents there are no kinds to speak of.
FEWEST_PARTNERS = 20


def kind_name(key: ForeignKey) -> str:
    """Name of the drawn column that says which kind of parent a row has."""
    return f"⟨kind of {key.parent} by {', '.join(key.columns)}⟩"


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """A second parent.

    Args:
        key: to it.
        kinds: of partners.
        degrees: draws how many children a partner has, given its columns.
        again: whether a family may have the same partner several times.
    """

    key: ForeignKey
    kinds: Kinds
    degrees: Conditional
    again: bool

    @property
    def kind(self) -> str:
        """Name of the drawn column that says which kind of partner a row has."""
        return kind_name(self.key)

    @property
    def repeat(self) -> str:
        """Name of the drawn column that says whether an earlier sibling has the same partner."""
        return f"⟨again⟩ {self.kind}"


@dataclass(frozen=True, slots=True, eq=False)
class Hanging:
    """A key of a table to itself: who hangs on whom.

    Args:
        key: to the table itself.
        degrees: draws how many rows hang on a row, given its columns.
    """

    key: ForeignKey
    degrees: Conditional

    @property
    def depth(self) -> str:
        """Name of the drawn column that counts the rows above a row."""
        return f"⟨rows above by {', '.join(self.key.columns)}⟩"


@dataclass(frozen=True, slots=True, eq=False)
class FittedTable:
    """What is known of a table; of a table that is not kept it holds no row, only what the generators hold.

    Args:
        plan: how it is made.
        rows: how many it had.
        kept: its rows, where it is public.
        features: what children are given of it.
        alone: rows without a leading parent.
        counts: draws how many rows each parent has; None without a leading key.
        keys: draws natural keys and kinds of partners.
        links: to second parents.
        ties: laws that bind columns to those of ancestors.
        rest: draws all else.
        hanging: keys to the table itself.
        identifier: the form of its own key.
        sorted_by: a date by which its rows are sorted.
        grouped: whether families lie together.
        needed: keys that no row was without.
    """

    plan: Plan
    rows: int
    features: tuple[str, ...] = ()
    kept: pa.Table | None = None
    alone: int = 0
    counts: Conditional | None = None
    keys: Conditional | None = None
    links: tuple[Link, ...] = ()
    ties: tuple[Tie, ...] = ()
    rest: Conditional | None = None
    hanging: tuple[Hanging, ...] = ()
    identifier: Identifier | None = None
    sorted_by: str | None = None
    grouped: bool = True
    needed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class FittedDatabase:
    """A database as it was learned.

    Args:
        name: of the real one.
        relations: its keys.
        tables: parents first.
        parents: fingerprints of the real tables, by name.
        notes: what had to be done before anything could be learned.
    """

    name: str
    relations: Relations
    tables: tuple[FittedTable, ...]
    parents: Mapping[str, str]
    notes: tuple[str, ...] = ()


def fit_database(database: Database, *, maker_of: MakerOf, seed: int, on_event: OnEvent) -> FittedDatabase:
    """Learn every table given those above it.

    Args:
        database: as it was read.
        maker_of: by a generator's name, what makes one for given columns.
        seed: each table has a stream of its own.
        on_event: hears which table is learned.

    Raises:
        InputError: for keys that do not hold (see `cleaned`), or a generator that cannot hold columns fixed.
    """
    clean = cleaned(database)
    tables = dict(tables_of(clean))
    above: dict[str, Placed] = {}
    fitted: list[FittedTable] = []
    for plan in plan_tables(clean):
        name = plan.spec.name
        on_event("step", {"text": f"learning {name}: {tables[name].num_rows:,} rows"})
        rng = stream(seed, "relational", name, "fit")
        fitted.append(_fit_table(plan, tables, above, maker=maker_of(plan.spec.generator), rng=rng))
    parents = {name: data.fingerprint for name, data in clean.tables.items()}
    return FittedDatabase(clean.name, clean.relations, tuple(fitted), parents, clean.notes)


def _fit_table(
    plan: Plan, tables: dict[str, pa.Table], above: dict[str, Placed], *, maker: Maker, rng: np.random.Generator
) -> FittedTable:
    name = plan.spec.name
    table = tables[name]
    known = FittedTable(plan, table.num_rows, own_features(plan, table).names)
    if plan.spec.keep or not table.num_rows:
        known = replace(known, kept=table)
        at = real_positions(plan, tables)
        above[name] = placed(plan, whole(plan, table), at, above, known.features)
        return known
    families, order = _families(plan, tables)
    known = replace(known, sorted_by=_sorted_by(plan, table), grouped=bool(np.all(np.diff(order) == 1)))
    tables[name] = table.take(pa.array(order))
    at = real_positions(plan, tables)
    here = placed(plan, whole(plan, tables[name]), at, above, known.features)
    above[name] = here
    known = replace(
        known,
        identifier=_identifier(plan, tables[name]),
        needed=tuple(k.name for k in plan.up if bool(np.all(at[k.name] >= 0))),
    )
    if plan.lead is not None:
        known = replace(known, **_counted(plan, plan.lead, families, above, maker=maker, rng=rng))
    return _fit_columns(known, here, families, above, maker=maker, rng=rng)


def _families(plan: Plan, tables: Mapping[str, pa.Table]) -> tuple[Families, Ints]:
    """Families and the order in which they lie together; without a leading key a family for each row."""
    rows = tables[plan.spec.name].num_rows
    if plan.lead is None:
        return gather(np.full(rows, -1))
    return gather(real_positions(replace(plan, natural=(), linked=(), within=()), tables)[plan.lead.name])


def _counted(
    plan: Plan,
    lead: ForeignKey,
    families: Families,
    above: dict[str, Placed],
    *,
    maker: Maker,
    rng: np.random.Generator,
) -> dict[str, object]:
    """Learn the number of rows of each parent, and note it among what is known of the parents."""
    parent = above[lead.parent]
    counts = np.zeros(parent.part.rows, dtype=np.int64)
    with_parent = families.parents >= 0
    counts[families.parents[with_parent]] = families.sizes[with_parent]
    model = learn(counts_as(counts.size, HOW_MANY, counts), parent.context, maker=maker, rng=rng)
    note_count(plan, lead, counts, above)
    return {"counts": model, "alone": int(np.sum(~with_parent))}


def note_count(plan: Plan, lead: ForeignKey, counts: Ints, above: dict[str, Placed]) -> None:
    """Tell the parents how many rows of a table they have: their other children are given it."""
    parent = above[lead.parent]
    told = f"⟨rows of {plan.spec.name} by {', '.join(lead.columns)}⟩"
    above[lead.parent] = replace(parent, context=parent.context.plus(told, counts, Kind.NUMBER))


def _fit_columns(
    known: FittedTable,
    here: Placed,
    families: Families,
    above: Mapping[str, Placed],
    *,
    maker: Maker,
    rng: np.random.Generator,
) -> FittedTable:
    plan = known.plan
    first = first_given(plan, families, above, here.at)
    links = tuple(_link(key, here, first, families, above, maker=maker, rng=rng) for key in plan.linked)
    keys = beside(
        [
            _kinds_of_natural(plan, here, first, families, above, rng=rng),
            _drawn_keys(plan, here, links, families, above),
        ],
        rows=first.rows,
    )
    known = replace(known, links=links, keys=learn(*_with_siblings(first, keys, families, plan), maker=maker, rng=rng))
    ties_from = ancestors(plan.up, here.at, above)
    taken = {*plan.bound, *keys.names}
    rest = here.part.select(n for n in here.part.names if n not in taken)
    ties = learn_ties(rest, ties_from)
    rest = untied(rest, ties, ties_from)
    hanging = tuple(_hanging(key, here, maker=maker, rng=rng) for key in plan.within)
    for one in hanging:
        rest = rest.plus(one.depth, pa.array([str(d) for d in depths(here.at[one.key.name])]), Kind.CATEGORY)
    given = second_given(plan, first, keys, above, here.at)
    fitted = learn(*_with_siblings(given, rest, families, plan), maker=maker, rng=rng)
    return replace(known, ties=ties, hanging=hanging, rest=fitted)


def first_given(plan: Plan, families: Families, above: Mapping[str, Placed], at: Mapping[str, Ints]) -> Part:
    """[n] what a row is given before its keys are drawn: its first parent, its family's size and its place there."""
    if plan.lead is None:
        return Part(families.rows, pa.table({}))
    size = np.repeat(families.sizes, families.sizes)
    parent = given_by(plan.lead, at[plan.lead.name], above)
    return parent.plus(SIZE, size, Kind.NUMBER).plus(PLACE, families.places, Kind.NUMBER)


def second_given(plan: Plan, first: Part, keys: Part, above: Mapping[str, Placed], at: Mapping[str, Ints]) -> Part:
    """[n] what a row is given before all else is drawn: its other parents and natural keys, too."""
    others = [given_by(key, at[key.name], above) for key in (*plan.natural, *plan.linked)]
    drawn = keys.select(n for n in keys.names if n in plan.schema and plan.schema[n].kind is not Kind.TEXT)
    return beside([first, *others, drawn], rows=first.rows)


def _with_siblings(given: Part, drawn: Part, families: Families, plan: Plan) -> tuple[Part, Part]:
    """What is drawn and what it is given, with what earlier siblings were like; only where there are families."""
    if plan.lead is None:
        return drawn, given
    own = _comparable(drawn)
    same = echoes(own, told_siblings(own, families), families)
    whole = beside([same, drawn], rows=drawn.rows)
    return whole, beside([given, told_siblings(_comparable(whole), families)], rows=given.rows)


def _comparable(part: Part) -> Part:
    return part.select(f.name for f in part.fields if f.role not in (Role.KEY, Role.ENTITY))


def _drawn_keys(
    plan: Plan, here: Placed, links: tuple[Link, ...], families: Families, above: Mapping[str, Placed]
) -> Part:
    """Natural keys, and the kind of each partner."""
    columns = {c for key in plan.natural for c in key.columns} - plan.bound
    keys = here.part.select(columns)
    for link in links:
        at = here.at[link.key.name]
        words = _kind_words(link.kinds, above[link.key.parent].context, at)
        keys = keys.plus(link.kind, words, Kind.CATEGORY)
        if link.again:
            again = repeats(families.number, at)
            keys = keys.plus(link.repeat, pa.array(np.where(again, "yes", "no")), Kind.CATEGORY)
    return keys


def _kinds_of_natural(
    plan: Plan, here: Placed, first: Part, families: Families, above: Mapping[str, Placed], *, rng: np.random.Generator
) -> Part:
    """Of each natural key the kind of parent, drawn before the key itself: siblings share a kind more than a key."""
    kinds = Part(first.rows, pa.table({}))
    for key in plan.natural:
        partners, at = above[key.parent].context, here.at[key.name]
        if partners.rows >= FEWEST_PARTNERS and partners.fields and plan.lead is not None:
            learned = learn_kinds(partners, at, _havers(partners, at, first, families), rng=rng)
            kinds = kinds.plus(kind_name(key), _kind_words(learned, partners, at), Kind.CATEGORY)
    return kinds


def _havers(partners: Part, at: Ints, first: Part, families: Families) -> Part:
    """What is known of a row before its partner: its first parent, and the partners of its earlier siblings."""
    return beside([first, told_siblings(partners.take(at), families)], rows=first.rows)


def _kind_words(kinds: Kinds, partners: Part, at: Ints) -> pa.Array:
    found = kinds_of(kinds, partners)
    words = [str(k) for k in (found[np.maximum(at, 0)] if found.size else at)]
    return pa.array(words, pa.string(), mask=at < 0)


def _link(
    key: ForeignKey,
    here: Placed,
    first: Part,
    families: Families,
    above: Mapping[str, Placed],
    *,
    maker: Maker,
    rng: np.random.Generator,
) -> Link:
    at, partners = here.at[key.name], above[key.parent].context
    kinds = learn_kinds(partners, at, _havers(partners, at, first, families), rng=rng)
    again = repeats(families.number, at)
    degrees = np.bincount(at[(at >= 0) & ~again], minlength=partners.rows)
    given = with_kinds(partners, kinds_of(kinds, partners))
    model = learn(counts_as(partners.rows, HOW_MANY, degrees), given, maker=maker, rng=rng)
    return Link(key, kinds, model, bool(again.any()))


def with_kinds(partners: Part, kinds: Ints) -> Part:
    """Partners with their kind: a kind that is had often has partners that are had often."""
    return partners.plus("⟨kind⟩", pa.array([str(k) for k in kinds], pa.string()), Kind.CATEGORY)


def _hanging(key: ForeignKey, here: Placed, *, maker: Maker, rng: np.random.Generator) -> Hanging:
    at = here.at[key.name]
    degrees = np.bincount(at[at >= 0], minlength=at.size)
    given = here.own.plus(ABOVE, pa.array([str(d) for d in depths(at)]), Kind.CATEGORY)
    return Hanging(key, learn(counts_as(at.size, HOW_MANY, degrees), given, maker=maker, rng=rng))


def depths(at: Ints) -> Ints:
    """[n] how many rows are above each row; 0 for rows on top, and for those whose chain runs in a circle."""
    depth = np.where(at < 0, 0, -1)
    level = 0
    while True:
        below = (depth < 0) & (depth[np.maximum(at, 0)] == level)
        if not below.any():
            return np.maximum(depth, 0)
        level += 1
        depth[below] = level


def _identifier(plan: Plan, table: pa.Table) -> Identifier | None:
    """The form of a table's own key; None where it has none, or takes it from a parent."""
    primary = plan.spec.primary
    if len(primary) != 1 or primary[0] not in plan.invented or primary[0] in {c for k in plan.up for c in k.columns}:
        return None
    return identifier_of(replace(plan.schema[primary[0]], role=Role.KEY), flat(table.column(primary[0])))


def _sorted_by(plan: Plan, table: pa.Table) -> str | None:
    for spec in plan.schema:
        array = flat(table.column(spec.name))
        if spec.kind is Kind.DATETIME and not array.null_count and pc.count_distinct(array).as_py() > 1:
            values = seconds(array) if not pa.types.is_floating(array.type) else floats(array)
            if np.all(np.diff(values) >= 0):
                return spec.name
    return None
