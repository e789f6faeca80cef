"""Several tables with keys: made anew so that every key holds, families look alike, and faults are seen."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pytest

import sterling
from sterling.api.relational import relational_generate, relational_infer
from sterling.api.relational_compare import relational_compare
from sterling.decide.result import Result
from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Status, Verdict
from sterling.kernel.seeds import stream
from sterling.modalities.tabular import to_storage
from sterling.modalities.tabular.relational import NULL, ORPHAN, Database, ForeignKey, Relations, TableSpec, positions
from sterling.modalities.tabular.relational.families import blocks, gather
from sterling.modalities.tabular.relational.keys import top_down
from sterling.modalities.tabular.relational.learned import depths
from sterling.modalities.tabular.relational.partners import pair_up, repeats, without_repeats
from sterling.stats.clustered_auc import Sample, clustered_area, tell_apart

DAY = np.timedelta64(1, "D")


def shop(customers: int = 400, *, products: int = 60, seed: int = 0) -> dict[str, pa.Table]:
    """Tables in which the country bears on spending, siblings resemble each other, and dates follow each other."""
    rng = stream(seed, "tests", "shop")
    start = np.datetime64("2023-01-01")
    country = rng.choice(["FR", "DE", "JP"], size=customers, p=[0.5, 0.3, 0.2])
    taste = rng.choice(["books", "tools"], size=customers)  # seen in the orders only
    signup = start + rng.integers(0, 300, size=customers) * DAY
    wealth = np.where(country == "JP", 3.0, 1.0) * np.exp(rng.normal(0, 0.6, customers))
    count = rng.poisson(np.where(country == "JP", 4, np.where(country == "DE", 2, 1)))
    owner = np.repeat(np.arange(customers), count)
    n = owner.size
    ordered = signup[owner] + rng.integers(0, 200, size=n) * DAY
    items = 1 + rng.poisson(1.5, size=n)
    order = np.repeat(np.arange(n), items)
    m = order.size
    line = np.arange(m) - np.repeat(np.cumsum(items) - items, items) + 1
    kind = np.repeat(["books", "tools", "games"], products // 3)
    weights = 1.0 / (1 + np.arange(products) % (products // 3))  # few products sell often
    liked = kind[None, :] == taste[owner][order][:, None]
    chance = np.where(liked, 6.0, 1.0) * weights
    chance /= chance.sum(axis=1, keepdims=True)
    product = (np.cumsum(chance, axis=1) > rng.random(m)[:, None]).argmax(axis=1)
    price = np.round(np.where(kind == "tools", 60, 12) * (1 + 0.1 * (np.arange(products) % 7)), 2)
    return {
        "customers": pa.table(
            {"id": np.arange(customers) + 1, "country": country, "signup": pa.array(signup.astype("datetime64[D]"))}
        ),
        "orders": pa.table(
            {
                "order_id": pa.array([f"O-{i:05d}" for i in range(n)]),
                "customer_id": owner + 1,
                "customer_country": country[owner],
                "ordered": pa.array(ordered.astype("datetime64[D]")),
                "channel": np.where(rng.random(n) < np.where(wealth[owner] > 1.5, 0.8, 0.2), "web", "shop"),
                "freight": np.round(wealth[owner] * 5 * np.exp(rng.normal(0, 0.2, n)), 2),
            }
        ),
        "products": pa.table(
            {"sku": pa.array([f"SKU{i:03d}X" for i in range(products)]), "kind": kind, "price": price}
        ),
        "items": pa.table(
            {
                "order_id": pa.array([f"O-{i:05d}" for i in order]),
                "line": line,
                "sku": pa.array([f"SKU{i:03d}X" for i in product]),
                "quantity": 1 + rng.poisson(np.where(kind[product] == "tools", 0.2, 1.5)),
                "paid": price[product],
            }
        ),
    }


def frames(database: Database) -> dict[str, pa.Table]:
    return {name: to_storage(data.table(), data.schema) for name, data in database.tables.items()}


@pytest.fixture(scope="module")
def real() -> dict[str, pa.Table]:
    return shop(1200)


@pytest.fixture(scope="module")
def keys(real: dict[str, pa.Table]) -> Relations:
    """As inferred; the catalogue of products is public."""
    found = relational_infer(real).database.relations
    return replace(found, tables=tuple(replace(t, keep=t.name == "products") for t in found.tables))


@pytest.fixture(scope="module")
def made(real: dict[str, pa.Table], keys: Relations) -> dict[str, pa.Table]:
    return frames(relational_generate(real, relations=keys, seed=1))


def names(relations: Relations) -> set[str]:
    return {key.short for key in relations.foreign}


def found(result: Result, name: str) -> Any:
    return next(f for f in result.findings if f.name == name)


# ---- inference


def test_keys_of_a_shop_are_inferred(real: dict[str, pa.Table]) -> None:
    relations = relational_infer(real).database.relations
    assert names(relations) == {"orders.customer_id>customers", "items.order_id>orders", "items.sku>products"}
    assert {t.name: t.primary for t in relations.tables} == {
        "customers": ("id",), "orders": ("order_id",), "products": ("sku",), "items": ("order_id", "line"),
    }  # fmt: skip


def test_columns_that_count_alike_are_no_keys_of_each_other() -> None:
    n = np.arange(200)
    tables = {
        "rooms": pa.table({"id": n + 1, "floor": n % 5 + 1}),
        "visits": pa.table({"id": n + 1, "guests": n % 7 + 1, "nights": n % 9 + 1, "year": 2000 + n % 20}),
    }
    assert not relational_infer(tables).database.relations.foreign


def test_keys_of_two_columns_are_inferred() -> None:
    hours = pa.table({"origin": ["A", "B"] * 60, "hour": np.repeat(np.arange(60), 2), "wind": np.arange(120.0)})
    rng = stream(0, "tests", "composite")
    at = rng.integers(120, size=500)
    flights = pa.table(
        {"origin": hours["origin"].take(at), "hour": hours["hour"].take(at), "delay": rng.normal(size=500)}
    )
    relations = relational_infer({"weather": hours, "flights": flights}).database.relations
    assert names(relations) == {"flights.origin+hour>weather"}
    assert relations["weather"].primary == ("origin", "hour")


def test_employees_hang_on_their_managers() -> None:
    staff = pa.table({"id": np.arange(100) + 1, "manager_id": pa.array([None, *(i // 3 + 1 for i in range(99))])})
    relations = relational_infer({"staff": staff}).database.relations
    assert names(relations) == {"staff.manager_id>staff"}


def test_keys_of_other_types_meet_and_zeros_count() -> None:
    parent = pa.table({"id": ["7", "07", "x"]})
    child = pa.table({"p": [7, 8, None]})
    assert positions(child, ["p"], parent, ["id"]).tolist() == [0, ORPHAN, NULL]


# ---- what is made


def test_every_key_holds_and_no_primary_key_is_there_twice(
    real: dict[str, pa.Table], keys: Relations, made: dict[str, pa.Table]
) -> None:
    for key in keys.foreign:
        at = positions(made[key.child], key.columns, made[key.parent], key.parent_columns)
        assert np.all(at >= 0), key.name
    for table in keys.tables:
        rows = made[table.name].select(list(table.primary)).group_by(list(table.primary)).aggregate([])
        assert rows.num_rows == made[table.name].num_rows
        assert made[table.name].schema == real[table.name].schema
    assert not pc.any(pc.is_in(made["customers"]["id"], real["customers"]["id"])).as_py()
    assert made["products"].equals(real["products"])


def test_dates_follow_their_parents_and_copies_agree(made: dict[str, pa.Table]) -> None:
    at = positions(made["orders"], ["customer_id"], made["customers"], ["id"])
    signup = made["customers"]["signup"].take(at)
    assert pc.all(pc.greater_equal(made["orders"]["ordered"], signup)).as_py()
    assert made["orders"]["customer_country"].to_pylist() == made["customers"]["country"].take(at).to_pylist()
    at = positions(made["items"], ["sku"], made["products"], ["sku"])
    assert made["items"]["paid"].to_pylist() == made["products"]["price"].take(at).to_pylist()


def test_lines_count_from_one_in_every_order(made: dict[str, pa.Table]) -> None:
    lines = made["items"].group_by("order_id").aggregate([("line", "min"), ("line", "max"), ("line", "count")])
    assert set(lines["line_min"].to_pylist()) == {1}
    assert lines["line_max"].to_pylist() == lines["line_count"].to_pylist()


def per_customer(tables: dict[str, pa.Table]) -> dict[str, float]:
    """Orders per customer by country, the share of customers without one, and how alike siblings are."""
    customers, orders = tables["customers"], tables["orders"]
    at = positions(orders, ["customer_id"], customers, ["id"])
    counts = np.bincount(at, minlength=customers.num_rows)
    country = np.array(customers["country"].to_pylist())
    freight = np.log(orders["freight"].to_numpy())
    freight = freight - np.array([freight[(country[at] == c)].mean() for c in country[at]])
    order = np.argsort(at, kind="stable")
    pairs = [(i, j) for i, j in itertools.pairwise(order) if at[i] == at[j]]
    left, right = (np.array(side) for side in zip(*pairs, strict=True))
    return {
        "JP": counts[country == "JP"].mean(),
        "FR": counts[country == "FR"].mean(),
        "none": float(np.mean(counts == 0)),
        "siblings": float(np.corrcoef(freight[left], freight[right])[0, 1]),
    }


def test_cardinalities_and_likeness_of_siblings_are_kept(real: dict[str, pa.Table], made: dict[str, pa.Table]) -> None:
    one, other = per_customer(real), per_customer(made)
    assert other["JP"] == pytest.approx(one["JP"], rel=0.15)
    assert other["FR"] == pytest.approx(one["FR"], rel=0.15)
    assert other["none"] == pytest.approx(one["none"], abs=0.04)
    assert one["siblings"] > 0.8
    assert other["siblings"] > 0.6


def mixed_families(tables: dict[str, pa.Table]) -> float:
    """Share of pairs of neighbouring items of an order that are of one kind of product: taste of the customer."""
    kind = tables["products"]["kind"].take(positions(tables["items"], ["sku"], tables["products"], ["sku"])).to_pylist()
    order = tables["items"]["order_id"].to_pylist()
    same = [kind[i] == kind[i + 1] for i in range(len(kind) - 1) if order[i] == order[i + 1]]
    return float(np.mean(same))


@pytest.mark.parametrize("keep", [True, False])
def test_second_parents_are_of_the_kind_that_the_family_has(keep: bool) -> None:
    real = shop(1200, products=300)
    relations = relational_infer(real).database.relations
    relations = replace(
        relations, tables=tuple(replace(t, keep=keep and t.name == "products") for t in relations.tables)
    )
    # Extremes that few share are protected by default: the few products that sell most would sell less.
    # A split must gain less than by default here, for the families are few: `evidence` blurs what few rows show.
    made = frames(relational_generate(real, relations=relations, settings={"protect": 1, "evidence": 5.0}, seed=2))
    assert mixed_families(real) > 0.48
    assert mixed_families(made) == pytest.approx(mixed_families(real), abs=0.07)
    sold = [
        np.sort(np.bincount(positions(t["items"], ["sku"], t["products"], ["sku"]), minlength=300))
        for t in (real, made)
    ]
    assert sold[1][-30:].sum() / sold[1].sum() == pytest.approx(sold[0][-30:].sum() / sold[0].sum(), abs=0.08)


def test_the_same_seed_makes_the_same_tables() -> None:
    real = shop(150)
    one, again, other = (frames(relational_generate(real, seed=seed)) for seed in (1, 1, 2))
    assert all(again[name].equals(one[name]) for name in one)
    assert not other["orders"].equals(one["orders"])


def test_scale_makes_fewer_families(real: dict[str, pa.Table], keys: Relations) -> None:
    small = relational_generate(real, relations=keys, scale=0.25, seed=1)
    assert small.tables["customers"].rows == 300
    assert small.tables["orders"].rows == pytest.approx(real["orders"].num_rows / 4, rel=0.2)
    assert small.tables["products"].rows == real["products"].num_rows


def links(n: int = 300, *, seed: int = 0) -> dict[str, pa.Table]:
    rng = stream(seed, "tests", "links")
    level = rng.integers(0, 2, size=n)
    pairs = {
        (i, int(c)) for i in range(n) for c in rng.choice(20, size=rng.integers(0, 6), replace=False) + 20 * level[i]
    }
    student, course = (np.array(side) for side in zip(*sorted(pairs), strict=True))
    return {
        "students": pa.table({"id": np.arange(n), "level": np.where(level == 1, "high", "low")}),
        "courses": pa.table({"id": np.arange(40) + 1000, "level": np.repeat(["low", "high"], 20)}),
        "enrolled": pa.table(
            {"student_id": student, "course_id": course + 1000, "mark": rng.normal(size=student.size)}
        ),
    }


def test_many_to_many_pairs_are_unique_and_of_one_level() -> None:
    real = links()
    relations = relational_infer(real).database.relations
    assert relations["enrolled"].primary == ("student_id", "course_id")
    tables = frames(relational_generate(real, seed=3))
    link = tables["enrolled"]
    assert link.group_by(["student_id", "course_id"]).aggregate([]).num_rows == link.num_rows
    assert link.num_rows == pytest.approx(real["enrolled"].num_rows, rel=0.1)
    level = [
        np.array(tables[t]["level"].take(positions(link, [c], tables[t], ["id"])).to_pylist())
        for t, c in (("students", "student_id"), ("courses", "course_id"))
    ]
    assert np.mean(level[0] == level[1]) > 0.95


def test_a_hierarchy_stays_one() -> None:
    boss = pa.array([None, *(i // 3 + 1 for i in range(199))])
    staff = pa.table({"id": np.arange(200) + 1, "manager_id": boss, "pay": np.linspace(100, 50, 200)})
    table = frames(relational_generate({"staff": staff}, seed=1))["staff"]
    at = positions(table, ["manager_id"], table, ["id"])
    assert not np.any(at == ORPHAN)
    assert np.all(at != np.arange(200))
    real = depths(positions(staff, ["manager_id"], staff, ["id"]))
    assert np.bincount(depths(at)).size <= np.bincount(real).size
    assert np.sum(at < 0) == np.sum(depths(at) == 0)


def test_null_keys_keep_their_share() -> None:
    real = shop(600)
    rng = stream(0, "tests", "nulls")
    gone = pa.array(rng.random(real["orders"].num_rows) < 0.3)
    empty = pc.if_else(gone, pa.scalar(None, pa.int64()), real["orders"]["customer_id"].combine_chunks())
    tables = {"customers": real["customers"], "orders": real["orders"].set_column(1, "customer_id", empty)}
    orders = frames(relational_generate(tables, seed=1))["orders"]
    assert orders["customer_id"].null_count / orders.num_rows == pytest.approx(0.3, abs=0.05)


# ---- pieces


def test_families_are_drawn_in_doubling_steps_and_every_row_once() -> None:
    families, order = gather(np.array([2, 2, -1, 0, 2, 2, 2, -2]))
    assert families.sizes.tolist() == [1, 5, 1, 1]
    assert order.tolist() == [3, 0, 1, 4, 5, 6, 2, 7]
    steps = list(blocks(families))
    assert [b.earlier for b in steps] == [0, 1, 2, 4]
    assert sorted(np.concatenate([b.rows for b in steps]).tolist()) == list(range(8))


def test_partners_are_dealt_in_proportion_and_within_their_group() -> None:
    rng = stream(0, "tests", "pairs")
    wanted = np.repeat([0, 1, -1, 7], [300, 100, 5, 4])
    offered = np.array([0, 0, 1])
    found = pair_up(wanted, offered, np.array([2.0, 1.0, 0.0]), rng=rng)
    assert np.bincount(found[:300]).tolist() == [200, 100]
    assert set(found[300:400].tolist()) == {2}
    assert set(found[400:].tolist()) == {-1}


def test_repeated_pairs_change_partners() -> None:
    families, partners = np.repeat([0, 1], 3), np.array([5, 5, 6, 7, 8, 9])
    assert repeats(families, partners).tolist() == [False, True, False, False, False, False]
    changed, left = without_repeats(families, partners, np.zeros(6, dtype=np.int64), rng=stream(0, "tests", "swap"))
    assert not left.any()
    assert sorted(changed.tolist()) == sorted(partners.tolist())


# ---- comparison


def test_other_real_families_ship() -> None:
    both = shop(2400, products=60)
    relations = relational_infer(both).database.relations
    relations = replace(relations, tables=tuple(replace(t, keep=t.name == "products") for t in relations.tables))
    first = pa.array(np.arange(2400) < 1200)
    result = relational_compare(cut(both, first), cut(both, pc.invert(first)), relations=relations, seed=0)
    assert result.decision.verdict is Verdict.SHIP
    assert not [f.name for f in result.findings if f.status is Status.FAIL]


def cut(tables: dict[str, pa.Table], customers: pa.Array) -> dict[str, pa.Table]:
    kept = tables["customers"].filter(customers)
    orders = tables["orders"].filter(pc.is_in(tables["orders"]["customer_id"], kept["id"]))
    items = tables["items"].filter(pc.is_in(tables["items"]["order_id"], orders["order_id"]))
    return {"customers": kept, "orders": orders, "products": tables["products"], "items": items}


def test_what_we_make_has_no_surely_bad_gap(
    real: dict[str, pa.Table], keys: Relations, made: dict[str, pa.Table]
) -> None:
    result = relational_compare(real, made, relations=keys, seed=0)
    assert found(result, "orphan_share:key=items.order_id>orders").result.value == 0
    for name in ("items.order_id>orders", "orders.customer_id>customers"):
        auc = found(result, f"family_auc:key={name}").result
        assert isinstance(auc, Estimate)
        assert auc.value < 0.62, name


def planted(tables: dict[str, pa.Table], fault: str) -> dict[str, pa.Table]:
    rng = stream(0, "tests", fault)
    orders, items, customers = tables["orders"], tables["items"], tables["customers"]
    if fault == "orphans":
        names = items["order_id"].to_pylist()
        return {**tables, "items": items.set_column(0, "order_id", pa.array(["O-99999", *names[1:]]))}
    if fault == "shuffled keys":
        mixed = orders["customer_id"].take(rng.permutation(orders.num_rows))
        return {**tables, "orders": orders.set_column(1, "customer_id", mixed)}
    if fault == "one child each":
        owner = customers["id"].take(pa.array(np.arange(orders.num_rows) % customers.num_rows))
        return {**tables, "orders": orders.set_column(1, "customer_id", owner)}
    if fault == "late parents":
        later = pc.add(customers["signup"].cast(pa.int32()), pa.scalar(100, pa.int32())).cast(pa.date32())
        return {**tables, "customers": customers.set_column(2, "signup", later)}
    if fault == "no rows":
        return {**tables, "items": items.slice(0, 0)}
    if fault == "no column":
        return {**tables, "orders": orders.drop_columns("freight")}
    twice = pa.concat_tables([items, items.slice(0, 5)])
    return {**tables, "items": twice}


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("orphans", "KEYS_BROKEN"), ("shuffled keys", "CHILDREN_DO_NOT_FIT"), ("one child each", "FAMILY_SIZES"),
        ("late parents", "DATES_OUT_OF_ORDER"), ("rows twice", "KEYS_REPEATED"), ("no rows", "TABLE_EMPTY"),
        ("no column", "COLUMNS_MISSING"),
    ],
)  # fmt: skip
def test_planted_faults_are_named(fault: str, outcome: str, keys: Relations) -> None:
    both = shop(1600)
    first = pa.array(np.arange(1600) < 800)
    result = relational_compare(
        cut(both, first), planted(cut(both, pc.invert(first)), fault), relations=keys, fast=True, seed=0
    )
    assert result.decision.verdict is Verdict.FIX
    assert outcome in {rule.outcome for rule in result.decision.rules}


def test_the_interval_of_a_clustered_area_covers() -> None:
    covered = 0
    for seed in range(200):
        rng = stream(seed, "tests", "clusters")
        own = np.repeat(rng.normal(size=60), 10)
        families = np.repeat(np.arange(60), 10)
        y = (families < 30).astype(np.int64)
        area, variance = clustered_area(own + rng.normal(0, 0.5, 600), y, families)
        covered += abs(area - 0.5) <= 1.96 * np.sqrt(variance)
    assert covered >= 180


def test_families_that_are_copied_do_not_fool_the_judge() -> None:
    rng = stream(0, "tests", "apart")
    one = Sample(np.repeat(rng.normal(size=(100, 3)), 8, axis=0), np.repeat(np.arange(100), 8))
    other = Sample(np.repeat(rng.normal(size=(100, 3)), 8, axis=0), np.repeat(np.arange(100), 8))
    auc = tell_apart(one, other, np.zeros(3, dtype=bool), rng=rng)
    assert auc.low < 0.5 < auc.high
    assert tell_apart(one, replace(other, matrix=other.matrix + 2), np.zeros(3, dtype=bool), rng=rng).low > 0.8


# ---- bad input


def test_cyclic_keys_are_named() -> None:
    one = ForeignKey("a", ("b",), "b", ("id",))
    other = ForeignKey("b", ("a",), "a", ("id",))
    with pytest.raises(InputError, match="a -> b -> a"):
        top_down(Relations((TableSpec("a"), TableSpec("b")), (one, other)))


def test_orphans_are_refused_dropped_or_emptied() -> None:
    real = shop(200)
    orders = real["orders"].set_column(1, "customer_id", pc.add(real["orders"]["customer_id"], 20))
    tables = {"customers": real["customers"], "orders": orders}
    specs = (TableSpec("customers", ("id",)), TableSpec("orders", ("order_id",)))
    key = ForeignKey("orders", ("customer_id",), "customers", ("id",))
    with pytest.raises(InputError, match=r"rows name no row of customers, such as 2\d\d"):
        relational_generate(tables, relations=Relations(specs, (key,)))
    dropped = relational_generate(tables, relations=Relations(specs, (replace(key, orphans="drop"),)))
    emptied = relational_generate(tables, relations=Relations(specs, (replace(key, orphans="null"),)))
    assert any("left out" in note for note in dropped.notes)
    assert frames(dropped)["orders"]["customer_id"].null_count == 0
    assert frames(emptied)["orders"]["customer_id"].null_count > 0


def test_repeated_primary_keys_are_refused() -> None:
    tables = {"customers": pa.table({"id": [1, 1, 2], "x": [1.0, 2.0, 3.0]})}
    with pytest.raises(InputError, match=r"1 rows repeat the primary key \(id\)"):
        relational_generate(tables, relations=Relations((TableSpec("customers", ("id",)),)))


def test_unknown_columns_are_answered_with_near_ones() -> None:
    key = ForeignKey("orders", ("custmer_id",), "customers", ("id",))
    with pytest.raises(UnknownName, match="did you mean 'customer_id'"):
        relational_generate(shop(50), relations=Relations((TableSpec("customers"), TableSpec("orders")), (key,)))


def test_odd_databases_are_made() -> None:
    names = {
        "order": pa.table({"id": ["Ä1", "Ä2", "Ä3"], "größe": [1, 2, 3]}),
        "leer": pa.table({"id": pa.array([], pa.int64())}),
    }
    one = frames(relational_generate(names, seed=1))
    assert one["order"].num_rows == 3
    assert one["leer"].num_rows == 0
    parents = {"p": pa.table({"p_id": np.arange(50), "x": np.arange(50.0)})}
    empty = {**parents, "c": pa.table({"p_id": pa.array([], pa.int64()), "y": pa.array([], pa.float64())})}
    key = ForeignKey("c", ("p_id",), "p", ("p_id",))
    relations = Relations((TableSpec("p", ("p_id",)), TableSpec("c")), (key,))
    assert frames(relational_generate(empty, relations=relations))["c"].num_rows == 0
    text = {**parents, "c": pa.table({"p_id": [str(i % 9) for i in range(60)], "y": np.arange(60.0)})}
    tables = frames(relational_generate(text, relations=relations))
    assert tables["c"]["p_id"].type == pa.string()
    assert np.all(positions(tables["c"], ["p_id"], tables["p"], ["p_id"]) >= 0)


def test_tables_of_keys_alone_are_made() -> None:
    real = links(100)
    tables = {**real, "enrolled": real["enrolled"].drop_columns("mark"), "students": real["students"].select(["id"])}
    made = frames(relational_generate(tables, seed=1))
    assert made["enrolled"].num_rows > 0
    assert np.all(positions(made["enrolled"], ["student_id"], made["students"], ["id"]) >= 0)


def test_children_of_kept_tables_alone_are_rows_by_themselves() -> None:
    real = shop(200)
    relations = relational_infer(real).database.relations
    tables = {name: real[name] for name in ("products", "items")}
    keys = tuple(k for k in relations.foreign if k.short == "items.sku>products")
    specs = (replace(relations["products"], keep=True), replace(relations["items"], primary=()))
    made = relational_generate(tables, relations=Relations(specs, keys), seed=1)
    assert made.tables["items"].rows == real["items"].num_rows


def test_a_scale_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="scale"):
        sterling.relational_generate(shop(50), scale=0)


# ---- the command line


def test_the_command_line_from_files_to_verdict(cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    for name, table in shop(300).items():
        csv.write_csv(table, tmp_path / "shop" / f"{name}.csv")
    told = cli("relational", "infer", tmp_path / "shop", "-o", tmp_path / "relations.toml")
    assert told.code == 0
    assert "3 foreign keys" in told.out
    relations = ("--relations", tmp_path / "relations.toml")
    assert cli("relational", "generate", tmp_path / "shop", *relations, "-o", tmp_path / "made").code == 0
    assert cli("relational", "generate", tmp_path / "shop", "-o", f"sqlite:///{tmp_path}/made.db").code == 0
    assert cli("relational", "generate", tmp_path / "shop", "-o", tmp_path / "made").code == 2
    for place in (tmp_path / "made", f"sqlite:///{tmp_path}/made.db"):
        said = cli(
            "relational",
            "compare",
            tmp_path / "shop",
            place,
            *relations,
            "--json",
            tmp_path / "r.json",
            "--html",
            tmp_path / "r.html",
        )
        assert said.code == 0, said.err
        assert "All 3 foreign keys hold" in " ".join(said.out.split())
