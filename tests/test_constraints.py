"""Constraints: read, refused where they contradict each other, counted, and kept by any generator."""

from __future__ import annotations

import itertools
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import sterling
from sterling.api.constraints import constraints, read_constraints
from sterling.generators.cart import Cart
from sterling.generators.copula import Copula
from sterling.generators.events import Events
from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.modalities.tabular import from_table
from sterling.modalities.tabular.constrained import constrained
from sterling.modalities.tabular.constraints import Constraints, parse_constraints, satisfied
from sterling.modalities.tabular.contradictions import refuse_contradictions
from sterling.modalities.tabular.expressions import names_in, parse_formula, quoted, value_of


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def people(n: int = 1500, seed: int = 0) -> pa.Table:
    r = rng(seed)
    sex = r.choice(["Male", "Female"], n)
    pregnant = np.where((sex == "Female") & (r.random(n) < 0.2), "yes", "no")
    came = 18_000 + r.integers(0, 900, n)
    stay = r.integers(0, 20, n)
    net, tax = r.integers(1, 900, n), r.integers(1, 90, n)
    code = r.integers(0, 8, n)
    return pa.table(
        {
            "sex": sex,
            "pregnant": pregnant,
            "came": pa.array(came.astype(np.int32), pa.int32()).cast(pa.date32()),
            "left": pa.array((came + stay).astype(np.int32), pa.int32()).cast(pa.date32()),
            "net": net,
            "unit tax": tax,
            "total": net + tax,
            "code": code,
            "name": [f"n{c % 5}" for c in code],
            "age": pa.array(r.integers(0, 100, n), mask=r.random(n) < 0.1),
        }
    )


DATA = from_table(people())


def parse(*blocks: str) -> Constraints:
    return parse_constraints("\n".join(f"[[constraint]]\n{b}" for b in blocks), DATA.schema)


ALL = (
    'at_most = ["came", "left"]',
    'formula = "total = net + `unit tax`"',
    'decides = { by = ["code"], column = "name" }',
    'forbid = { sex = "Male", pregnant = "yes" }',
    'range = { column = "age", low = 0, high = 99 }',
    'levels = { column = "sex", allowed = ["Male", "Female"] }',
    'not_null = "net"',
)


def test_each_kind_is_counted_row_by_row() -> None:
    table = pa.table(
        {
            "sex": ["Male", "Male", "Other", "Female"],
            "pregnant": ["yes", "no", "no", None],
            "came": pa.array([2, 2, 2, None], pa.int32()).cast(pa.date32()),
            "left": pa.array([1, 2, 3, 1], pa.int32()).cast(pa.date32()),
            "net": [1, 2, None, 4],
            "unit tax": [1, 1, 1, 1],
            "total": [2, 4, 9, 5],
            "code": [1, 1, 1, 2],
            "name": ["a", "a", "b", "b"],
            "age": [-1, 100, None, 50],
        }
    )
    kept = [k.tolist() for k in satisfied(table, parse(*ALL, 'unique = ["code", "name"]'), DATA.schema)]
    assert kept[0] == [False, True, True, True]
    assert kept[1] == [True, False, True, True]
    assert kept[2] == [True, True, False, True]
    assert kept[3] == [False, True, True, True]
    assert kept[4] == [False, False, True, True]
    assert kept[5] == [True, True, False, True]
    assert kept[6] == [True, True, False, True]
    assert kept[7] == [True, False, True, True]
    gaps = parse('missing = { column = "age", where = "sex", is = ["Other", ""] }', 'below = ["came", "left"]')
    assert [k.tolist() for k in satisfied(table, gaps, DATA.schema)] == [[True] * 4, [False, False, True, True]]


def test_formulas_are_read_as_they_are_written() -> None:
    cells = {"a b": pa.array([2.0, None]), "c": pa.array([3.0, 4.0])}
    for text, value in {
        "x = 2 * (`a b` + c) - 1": 9.0,
        "x = -c / `a b`": -1.5,
        "x = sqrt(square(c)) + 1e1": 13.0,
    }.items():
        target, node = parse_formula(text)
        assert target == "x"
        made = value_of(node, cells, 2)
        assert made[0] == value
    assert np.isnan(value_of(parse_formula("x = `a b` / 0")[1], cells, 2)).all()


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ('at_most = ["came", "lefft"]', "did you mean 'left'"),
        ('atmost = ["came", "left"]', "did you mean 'at_most'"),
        ('at_most = ["came", "net"]', "compare numbers with numbers"),
        ('at_most = ["came"]', "takes 2"),
        ('at_most = ["came", "left"]\nnot_null = "age"', "at_most and not_null"),
        ('formula = "total = net +"', "ends too early"),
        ('formula = "total = net + (1"', r"lacks a '\)'"),
        ('formula = "total = net ; rm"', "cannot be read"),
        ('formula = "total = exec(net)"', "no function 'exec'"),
        ('formula = "3 = net"', "names no column"),
        ('range = { column = "age" }', "has no end"),
        ('range = { column = "age", low = "soon" }', "neither a number nor a date"),
        ('levels = { column = "sex" }', "lacks allowed"),
        ("forbid = 3", "write it as"),
        ("unique = []", "list columns"),
        ('evidence = "x"', "says nothing"),
    ],
)
def test_what_says_nothing_is_refused_with_the_way_to_mend_it(block: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse(block)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_constraints(tmp_path / "no.toml", DATA.schema)
    with pytest.raises(InputError, match="no TOML"):
        parse_constraints("[[constraint", DATA.schema)
    with pytest.raises(UnknownName, match="did you mean 'constraint'"):
        parse_constraints("[[constraints]]\nkeep = true", DATA.schema)
    assert len(parse_constraints('[[constraint]]\nnot_null = "age"\nkeep = false', DATA.schema)) == 0


@pytest.mark.parametrize(
    ("blocks", "named"),
    [
        (('below = ["net", "total"]', 'not_null = "age"', 'below = ["total", "net"]'), ["net < total", "total < net"]),
        (('range = { column = "age", low = 9, high = 1 }',), ["age >= 9 and <= 1"]),
        (
            ('range = { column = "age", low = 9 }', 'range = { column = "age", high = 1 }'),
            ["age >= 9", "age <= 1"],
        ),
        (('formula = "total = net + 1"', 'formula = "total = net"'), ["total = net + 1", "total = net"]),
        (
            ('levels = { column = "sex", allowed = ["Male"] }', 'forbid = { sex = "Male" }'),
            ["sex is one of Male", "never sex = Male"],
        ),
        (
            (
                'at_most = ["net", "age"]',
                'range = { column = "net", low = 90 }',
                'range = { column = "age", high = 80 }',
            ),
            ["net <= age", "net >= 90", "age <= 80"],
        ),
        (
            ('below = ["net", "total"]', 'at_most = ["total", "age"]', 'at_most = ["age", "net"]'),
            ["net < total", "total <= age", "age <= net"],
        ),
    ],
)
def test_contradictions_are_named_by_the_fewest(blocks: tuple[str, ...], named: list[str]) -> None:
    found = parse(*blocks, 'decides = { by = ["code"], column = "name" }')
    with pytest.raises(InputError) as caught:
        refuse_contradictions(found, schema=DATA.schema)
    assert all(repr(name) in caught.value.message for name in named)
    assert "decides" not in caught.value.message


def test_what_no_real_row_keeps_is_named_too() -> None:
    both = parse('forbid = { sex = "Male" }', 'forbid = { sex = "Female" }', 'not_null = "net"')
    with pytest.raises(InputError, match="hold together in none of the 1,500 real rows"):
        refuse_contradictions(both, schema=DATA.schema, real=DATA.table())
    alone = parse('range = { column = "net", low = 5000 }')
    with pytest.raises(InputError, match="'net >= 5000' holds in none"):
        refuse_contradictions(alone, schema=DATA.schema, real=DATA.table())
    refuse_contradictions(parse(*ALL), schema=DATA.schema, real=DATA.table())


@pytest.mark.parametrize("generator", [Copula(), Cart(first=("sex",))])
def test_every_made_row_keeps_them_and_looks_as_before(generator: Any) -> None:
    found = parse(*ALL, 'unique = ["net", "unit tax", "came"]')
    held = constrained(generator, found)
    fitted = held.fit(DATA, rng=rng(1))
    assert set(fitted.structure.derived) == {"total", "name"}
    made = pa.concat_tables(list(held.sample(fitted, 3000, rng=rng(2))))
    assert made.num_rows == 3000
    assert made.schema.equals(next(generator.sample(generator.fit(DATA, rng=rng()), 1, rng=rng())).schema)
    assert all(k.all() for k in satisfied(made, found, DATA.schema))
    again = pa.concat_tables(list(held.sample(pickle.loads(pickle.dumps(fitted)), 3000, rng=rng(2))))
    assert made.equals(again)
    shares = [np.mean(t["sex"].to_numpy() == "Male") for t in (made, people())]
    assert abs(shares[0] - shares[1]) < 0.08
    given = pa.table({"sex": ["Male"] * 300 + ["Female"] * 300})
    asked = pa.concat_tables(list(held.sample(fitted, 600, rng=rng(3), given=given)))
    assert asked["sex"].to_pylist() == given["sex"].to_pylist()
    assert all(k.all() for k in satisfied(asked, found, DATA.schema))


def test_without_the_wrapper_the_same_generator_breaks_them() -> None:
    plain = pa.concat_tables(list(Copula().sample(Copula().fit(DATA, rng=rng()), 1000, rng=rng())))
    kept = satisfied(plain, parse(*ALL), DATA.schema)
    assert min(k.mean() for k in kept[:4]) < 0.95


def test_formulas_and_tables_that_real_rows_break_give_their_column() -> None:
    table = people()
    total = table["total"].to_numpy().copy()
    total[::4] += 3
    spoiled = table.set_column(table.column_names.index("total"), "total", pa.array(total))
    names = table["name"].to_pylist()
    names[0] = "slip"
    data = from_table(spoiled.set_column(table.column_names.index("name"), "name", pa.array(names)))
    found = parse(ALL[1], ALL[2])
    held = constrained(Copula(), found)
    fitted = held.fit(data, rng=rng())
    made = pa.concat_tables(list(held.sample(fitted, 500, rng=rng(1))))
    assert all(k.all() for k in satisfied(made, found, data.schema))
    given = pa.table({"name": ["n1"] * 40})
    asked = pa.concat_tables(list(held.sample(fitted, 40, rng=rng(1), given=given)))
    assert set(asked["code"].to_pylist()) <= {1, 6}


def test_what_cannot_be_drawn_is_named_with_its_rate() -> None:
    rare = parse('range = { column = "net", low = 890 }', 'not_null = "age"')
    held = constrained(Copula(), rare, cap=3)
    fitted = held.fit(DATA, rng=rng())
    with pytest.raises(InputError, match=r"'net >= 890' is kept by [01]\.\d\d% of them"):
        list(held.sample(fitted, 1000, rng=rng()))
    with pytest.raises(InputError, match="'net >= 890' is kept by"):
        list(
            held.sample(fitted, 50, rng=rng(), given=pa.table({"net": [5] * 50, "sex": ["Male"] * 50}).select(["sex"]))
        )
    with pytest.raises(InputError, match="50 of 50 given rows break 'net >= 890', the first is row 1"):
        held.sample(fitted, 50, rng=rng(), given=pa.table({"net": [5] * 50}))
    with pytest.raises(InputError, match="at least one"):
        held.sample(fitted, 0, rng=rng())
    with pytest.raises(InputError, match="cap"):
        constrained(Copula(), rare, cap=0)


def test_mined_constraints_are_written_read_back_and_judged(tmp_path: Path) -> None:
    out = tmp_path / "c.toml"
    result = constraints(people(), out=out)
    assert len(result.tables[0].rows) == 4
    found = read_constraints(out, DATA.schema, real=DATA)
    assert {"came <= left", "total = net + `unit tax`", "code decides name", "never sex = Male and pregnant = yes"} <= {
        c.text for c in found.items
    }
    kept = constraints(people(400, seed=5), against=out)
    assert {f.status.value for f in kept.findings} == {"pass"}
    made = next(Copula().sample(Copula().fit(DATA, rng=rng()), 800, rng=rng()))
    broken = constraints(made, against=out)
    assert broken.decision.verdict.value == "FIX"
    assert any("total" in name for name in broken.decision.rules[0].because)
    with pytest.raises(InputError, match="exists"):
        constraints(people(), out=out)
    empty = tmp_path / "none.toml"
    empty.write_text("")
    with pytest.raises(InputError, match="confirms no constraint"):
        constraints(people(), against=empty)


def test_names_and_values_of_any_kind_survive_the_file(tmp_path: Path) -> None:
    n = 300
    net = rng().integers(1, 99, n)
    table = pa.table(
        {
            'ne"t\n': net,
            "β €": 2 * net,
            "year": [2013] * n,
            "on": [True] * n,
            "k": net % 3,
            "v": [f"'{v % 3}\"" for v in net],
        }
    )
    constraints(table, out=tmp_path / "c.toml")
    data = from_table(table)
    found = read_constraints(tmp_path / "c.toml", data.schema, real=data)
    assert len(found) >= 4
    assert all(k.all() for k in satisfied(table, found, data.schema))


def visits(n: int = 1500, seed: int = 0) -> pa.Table:
    """Rows of patients, of which a quarter breaks a <= b when drawn one column after the other."""
    r = rng(seed)
    a = r.integers(0, 100, n)
    patient = np.sort(r.integers(0, n // 10, n))
    return pa.table(
        {
            "id": [f"V{i:05d}" for i in range(n)],
            "patient": [f"P{i:04d}" for i in patient],
            "visit": r.integers(0, 40, n),
            "a": a,
            "b": a + r.integers(-20, 40, n),
        }
    )


def with_kept_roles(table: pa.Table, roles: dict[str, Role]) -> Dataset:
    data = from_table(table)
    fields = tuple(replace(f, role=roles.get(f.name, Role.FEATURE)) for f in data.schema)
    return replace(data, schema=Schema(fields, data.schema.modality))


VISITS = with_kept_roles(visits(), {"id": Role.KEY, "patient": Role.ENTITY})


def visit_rules(*blocks: str) -> Constraints:
    return parse_constraints("\n".join(f"[[constraint]]\n{b}" for b in blocks), VISITS.schema)


@pytest.mark.parametrize("given", [None, pa.table({"a": np.arange(1000) % 90})])
def test_identifiers_are_numbered_over_the_rows_that_stay(given: pa.Table | None) -> None:
    found = visit_rules('at_most = ["a", "b"]', 'unique = ["id"]', 'unique = ["patient", "visit"]')
    held = constrained(Cart(first=("a",)), found)
    fitted = held.fit(VISITS, rng=rng())
    made = pa.concat_tables(list(held.sample(fitted, 1000, rng=rng(1), given=given)))
    assert len(set(made["id"].to_pylist())) == 1000
    assert set(made["id"].to_pylist()).isdisjoint(VISITS.table()["id"].to_pylist())
    assert all(k.all() for k in satisfied(made, found, VISITS.schema))
    patients = made["patient"].to_pylist()
    assert 70 <= len(set(patients)) <= 140  # ten rows each, as in the real rows
    assert sum(x != y for x, y in itertools.pairwise(patients)) == len(set(patients)) - 1
    held_id = pa.table({"id": [f"X{i}" for i in range(200)]})
    kept = pa.concat_tables(list(held.sample(fitted, 200, rng=rng(1), given=held_id)))
    assert kept["id"].to_pylist() == held_id["id"].to_pylist()


def test_a_generator_of_whole_entities_loses_and_keeps_them_whole() -> None:
    r = rng(3)
    sizes = r.integers(2, 6, 400)
    who, n = np.repeat(np.arange(400), sizes), int(sizes.sum())
    order = np.concatenate([np.arange(k) for k in sizes])
    # The first event of everyone is "start", and one event in thirty is of a kind that is forbidden.
    kind = np.where(order == 0, "start", r.choice(["x", "y", "bad"], n, p=[0.5, 0.46, 0.04]))
    day = (18_000 + r.integers(0, 99, 400)[who] + order * 7).astype(np.int32)
    table = pa.table(
        {
            "key": [f"K{i:05d}" for i in range(n)],
            "patient": [f"P{w:04d}" for w in who],
            "day": pa.array(day, pa.int32()).cast(pa.date32()),
            "kind": kind,
        }
    )
    data = with_kept_roles(table, {"key": Role.KEY, "patient": Role.ENTITY, "day": Role.TIME})
    found = parse_constraints('[[constraint]]\nforbid = { kind = "bad" }\n[[constraint]]\nunique = "key"', data.schema)
    held = constrained(Events(), found)
    fitted = held.fit(data, rng=rng())
    assert fitted.in_one_task
    made = pa.concat_tables(list(held.sample(fitted, 1000, rng=rng(1))))
    assert made.num_rows == len(set(made["key"].to_pylist())) == 1000
    assert all(k.all() for k in satisfied(made, found, data.schema))
    runs = [
        (p, [k for _, k in rows])
        for p, rows in itertools.groupby(
            zip(made["patient"].to_pylist(), made["kind"].to_pylist(), strict=True), lambda x: x[0]
        )
    ]
    assert len({p for p, _ in runs}) == len(runs)
    assert np.mean([kinds[0] == "start" for _, kinds in runs]) > 0.9
    assert sum(kinds.count("start") for _, kinds in runs) <= len(runs) * 1.05
    never = parse_constraints('[[constraint]]\nforbid = { kind = "start" }', data.schema)
    hopeless = constrained(Events(), never, cap=3)
    with pytest.raises(InputError, match="one wrong row of a patient has all of them drawn again"):
        list(hopeless.sample(hopeless.fit(data, rng=rng()), 200, rng=rng()))


def test_unique_rows_are_made_in_one_task(tmp_path: Path) -> None:
    r = rng()
    table = pa.table({"a": r.integers(0, 400, 4000), "b": r.integers(0, 400, 4000)})
    (tmp_path / "c.toml").write_text('[[constraint]]\nunique = ["a", "b"]')
    made = sterling.generate("copula", source=table, rows=51_000, constraints=tmp_path / "c.toml").table()
    assert made.group_by(["a", "b"]).aggregate([]).num_rows == 51_000
    keyed = constrained(Cart(), visit_rules('unique = ["id"]')).fit(VISITS, rng=rng())
    assert not keyed.in_one_task  # keys are numbered anew over all shards


def test_large_whole_numbers_and_late_moments_are_compared_to_the_last_digit() -> None:
    b = 2**60 + np.arange(50)
    moments = pa.array(np.arange(50) + 1_700_000_000_000_000_000).cast(pa.timestamp("ns"))
    later = pa.array(np.arange(50) + 1_700_000_000_000_000_001).cast(pa.timestamp("ns"))
    table = pa.table({"a": b + 7, "b": b, "u": pa.array(b.tolist(), pa.uint64()), "s": moments, "t": later})
    data = from_table(table)
    text = "".join(f'[[constraint]]\nat_most = ["{x}", "{y}"]\n' for x, y in ("ab", "ba", "au", "bu", "ts", "st"))
    kept = [int(k.sum()) for k in satisfied(table, parse_constraints(text, data.schema), data.schema)]
    assert kept == [0, 50, 0, 50, 0, 50]


def test_values_of_dates_are_alike_however_they_are_written() -> None:
    day = pa.array([18_000, 18_001, None], pa.int32()).cast(pa.date32())
    for cells in (day, day.cast(pa.timestamp("us")), day.cast(pa.string()), day.cast(pa.timestamp("ns", tz="UTC"))):
        table = pa.table({"d": cells, "x": ["p", "q", "r"]})
        schema = from_table(table, schema=Schema((Field("d", Kind.DATETIME), Field("x", Kind.CATEGORY)))).schema
        for word in ("2019-04-14", "2019-04-14 00:00:00"):
            found = parse_constraints(f'[[constraint]]\nforbid = {{ d = "{word}" }}', schema)
            assert satisfied(table, found, schema)[0].tolist() == [False, True, True]


def many_types(seed: int, n: int = 700) -> pa.Table:
    """Columns of many types, with most relations that are mined, each in several storage types."""
    r = rng(seed)
    gone = r.random(n) < 0.25
    day = (18_000 + r.integers(0, 6, n)).astype(np.int32)
    moment = pa.array(day.astype(np.int64) * 86_400_000_000_000 + r.integers(0, 3, n) * 3_600_000_000_001)
    big = 2**60 + r.integers(0, 5, n)
    level = r.integers(0, 4, n)
    net, tax = (np.round(r.uniform(0, 9000, n), 2) for _ in range(2))
    single = r.normal(0, 3000, n).astype(np.float32)
    whole = r.integers(0, 90, n)

    def absent(where: Any) -> pa.Array:
        return pa.array(r.integers(0, 99, n), mask=where)

    columns: dict[str, Any] = {
        "day": pa.array(day, pa.int32(), mask=gone).cast(pa.date32()),
        "no day": absent(np.isin(day, [18_000, 18_003]) & ~gone),
        "moment": moment.cast(pa.timestamp("ns", tz="Europe/Berlin")),
        "no moment": absent(pc.is_in(moment, pc.unique(moment)[:4]).to_numpy(zero_copy_only=False)),
        "second": pa.array(day.astype(np.int64) * 86_400 + 5).cast(pa.timestamp("s")),
        "no second": absent(np.isin(day, [18_001, 18_002])),
        "written": [f"2020-01-{d - 17_990:02d}" for d in day],
        "no written": absent(day == 18_004),
        "big": big,
        "no big": absent(np.isin(big, [2**60 + 1, 2**60 + 3])),
        "unsigned": pa.array((big - 2**60).tolist(), pa.uint8()),
        "no unsigned": absent(big - 2**60 == 2),
        "half": pa.array(level * 0.1, pa.float32()),
        "no half": absent(level == 1),
        "double": level * 0.1 + 1e17,
        "truth": pa.array(level > 1, mask=level == 0),
        "no truth": absent(level > 1),
        "Übung €`": [f'é"{v}\n' for v in level],
        "no Übung": absent(level == 2),
        "net`": net,
        "tax``": pa.array(tax.tolist(), pa.float32()),
        "total": pa.array(np.round(net + tax, 2).tolist(), pa.float32()),
        "single": single,
        "its double": pa.array(2 * single, pa.float32()),
        "off": pa.array(single.astype(np.float64) * 1.5 + 7, pa.float32()),
        "rate": pa.array(np.round(net / (whole + 1), 1), pa.float32()),
        "whole": whole,
        "more": pa.array(whole + r.integers(0, 9, n), mask=gone),
        "root": pa.array(np.sqrt(whole), pa.float32()),
        "year": 2019 + (day > 18_002) * 0,
        "always": pa.array([2**60 + 1] * n),
        "one day": pa.array([18_000] * n, pa.int32()).cast(pa.date32()),
        "true": [True] * n,
    }
    return pa.table(columns)


@pytest.mark.parametrize("seed", range(3))
def test_what_was_mined_from_a_table_holds_in_that_table(seed: int, tmp_path: Path) -> None:
    table, out = many_types(seed), tmp_path / "c.toml"
    constraints(table, out=out)
    told = constraints(table, against=out)
    assert len(told.findings) > 25
    assert {f.slice: f.evidence["broken"] for f in told.findings if f.evidence["broken"]} == {}
    said = " ".join(str(f.slice) for f in told.findings)
    for name in ("day", "moment", "second", "written", "big", "unsigned", "half", "truth", "Übung"):
        assert f"no {name} is missing exactly where" in said
    assert "`net```" in said
    assert "single" in said


def test_rows_that_keep_a_formula_stay_to_the_last_digit() -> None:
    r = rng()
    net = 2**60 + r.integers(0, 999, 400)
    data = from_table(pa.table({"net": net, "total": net + r.integers(0, 999, 400), "x": r.normal(size=400)}))
    found = parse_constraints('[[constraint]]\nformula = "total = net"\ntolerance = 500', data.schema)
    held = constrained(Cart(), found)
    made = pa.concat_tables(list(held.sample(held.fit(data, rng=rng()), 400, rng=rng())))
    assert len(set((made["total"].to_numpy() % 128).tolist())) > 40  # not all on the grid of float64


def test_names_with_backticks_are_read_as_they_are_written() -> None:
    names = ["a`b", "`", "``", "c d", "log", "`x y`"]
    for name in names:
        target, node = parse_formula(f"{quoted(name)} = {quoted('z`')} + {quoted(name)}")
        assert target == name
        assert names_in(node) == ("z`", name)
