"""What only a few people have does not come through; what k people share stays as it is."""

from __future__ import annotations

import datetime
import re
import tracemalloc
import unicodedata
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError
from sterling.kernel.schema import Kind, Role
from sterling.modalities.tabular import from_table, with_roles
from sterling.modalities.tabular.protect import protect
from sterling.stats.tails import crowd_limit, gather_top


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def as_kind(data: Dataset, name: str, kind: Kind) -> Dataset:
    return replace(data, schema=data.schema.replaced(replace(data.schema[name], kind=kind, role=Role.FEATURE)))


def level_table(n: int = 4000) -> pa.Table:
    city = rng().choice(["Bern", "Genf", "Basel"], n, p=[0.5, 0.3, 0.2]).astype(object)
    city[:3], city[3:8] = "Vaduz", "Thun"
    canton = np.where(city == "Genf", "GE", np.where(city == "Basel", "BS", "BE"))
    return pa.table({"city": city.tolist(), "canton": canton.tolist(), "x": rng(1).integers(5, size=n)})


def test_a_level_of_three_is_replaced_and_one_of_five_stays() -> None:
    data = from_table(level_table())
    safe, told = protect(data, k=5)
    levels = set(safe.table()["city"].to_pylist())
    assert levels == {"Bern", "Genf", "Basel", "Thun"}
    assert [(c.name, c.levels, c.rows) for c in told.columns] == [("city", 1, 3)]
    assert safe.table()["city"].slice(3).equals(data.table()["city"].slice(3))
    assert safe.schema["city"].levels == ("Basel", "Bern", "Genf", "Thun")
    assert "Vaduz" not in told.sentence
    assert told.sentence.startswith("1 level that fewer than 5 people have: replaced in 3 cells; ")
    assert safe.fingerprint != data.fingerprint


def test_the_stand_in_comes_from_rows_that_are_alike() -> None:
    data = from_table(level_table())
    # All three lived where the canton is BE: two of the four levels have it.
    for city in protect(data, k=5)[0].table()["city"].to_pylist()[:3]:
        assert city in ("Bern", "Thun")


def test_other_is_a_level_only_if_it_is_asked_for() -> None:
    safe, _ = protect(from_table(level_table()), k=5, other="Other")
    assert safe.table()["city"].to_pylist()[:4] == ["Other", "Other", "Other", "Thun"]


def test_people_count_and_not_their_rows() -> None:
    n = 400
    rows = pa.table({
        "patient": np.repeat(np.arange(n // 4), 4),
        "drug": ["orphan"] * 16 + ["aspirin"] * (n - 16),
        "dose": np.concatenate([np.full(4, 900.0), rng().choice(np.arange(1.0, 20.0), n - 4)]),
    })  # fmt: skip
    plain = as_kind(from_table(rows), "drug", Kind.CATEGORY)
    owned = replace(plain, schema=with_roles(plain.schema, entity="patient"))
    assert "orphan" in protect(plain, k=5)[0].table()["drug"].to_pylist()  # sixteen rows
    safe, told = protect(owned, k=5)
    assert "orphan" not in safe.table()["drug"].to_pylist()  # of four people
    assert told.people == 100
    assert max(safe.table()["dose"].to_pylist()) < 30
    assert safe.table()["patient"].equals(owned.table()["patient"])


def test_an_extreme_is_drawn_in_and_a_shared_one_stays() -> None:
    n = 2000
    pay = np.round(rng().lognormal(8, 0.5, n), 2)
    pay[0] = 9_999_999.0
    hours = np.where(rng(1).random(n) < 0.05, 99, rng(2).integers(10, 60, n))
    data = from_table(pa.table({"pay": pay, "hours": hours}))
    safe, told = protect(data, k=5)
    made = safe.table()["pay"].to_numpy()
    assert made.max() < 60_000
    assert made.max() >= np.sort(pay)[-5]
    assert safe.table()["hours"].equals(data.table()["hours"])  # 99 and 10 are had by many
    assert [(c.name, c.low, c.high) for c in told.columns] == [("pay", 4, 4)]
    # Four of 2,000 move at each end, in their old order, and nothing else does.
    moved = np.flatnonzero(made != pay)
    assert moved.size <= 8
    assert np.all(np.diff(made[np.argsort(pay, kind="stable")]) >= 0)


def test_no_single_value_decides_where_the_tail_goes() -> None:
    body = rng().normal(50, 10, 1000)
    for k in (3, 5, 10):
        near, far = (gather_top(np.append(body, v), k)[1].max() for v in (1e5, 1e9))
        assert near == far


def test_the_tail_is_about_where_it_was() -> None:
    for draw in (rng().exponential, rng().pareto):
        ratio = []
        for _ in range(200):
            values = draw(2.0, 2000) if draw.__name__ == "exponential" else draw(2.5, 2000) + 1
            at, new = gather_top(values, 5)
            ratio.append(new.sum() / values[at].sum())
        assert 0.75 < np.mean(ratio) < 1.0  # drawn in a little: never beyond the mean of the extreme ones


def test_crowd_limit_counts_owners() -> None:
    assert crowd_limit(np.array([9.0, 8, 7, 1]), 2, owners=np.array([0, 0, 0, 1])) == 1.0
    assert crowd_limit(np.array([9.0, np.nan]), 2) is None


@pytest.mark.parametrize(
    ("kind", "unit"),
    [(pa.int16(), 1), (pa.uint8(), 1), (pa.float32(), 0.5), (pa.date32(), 1), (pa.timestamp("ms", tz="UTC"), 60_000)],
)
def test_storage_and_grid_are_kept(kind: pa.DataType, unit: float) -> None:
    ticks = np.append(rng().integers(50, 90, 500), [1, 240]) * unit
    plain = ticks if unit == 0.5 else ticks.astype(np.int32 if kind == pa.date32() else np.int64)
    column = pa.array(plain).cast(kind) if kind != pa.float32() else pa.array(plain.astype(np.float32))
    safe, _ = protect(from_table(pa.table({"v": column, "w": ["a", "b"] * 251})), k=5)
    cells = safe.table()["v"]
    assert cells.type == kind
    made = cells.to_numpy() if kind == pa.float32() else cells.cast(pa.int32() if kind == pa.date32() else pa.int64())
    made = np.asarray(made, dtype=np.float64)
    assert made.max() < 240 * unit
    assert made.min() > unit
    assert np.all(made % unit == 0)


def test_prices_keep_their_endings() -> None:
    price = rng().geometric(0.02, 3000) + 0.99
    safe, told = protect(from_table(pa.table({"price": price})), k=10)
    made = safe.table()["price"].to_numpy()
    assert told.columns[0].high
    assert np.allclose(made % 1, 0.99)
    assert made.max() < price.max()


def test_numbers_in_text_take_the_text_of_a_neighbour() -> None:
    words = [f"{v:.1f}" for v in np.append(rng().integers(10, 90, 300) / 2, 7000.0)]
    safe, _ = protect(from_table(pa.table({"t": words})), k=3)
    assert set(safe.table()["t"].to_pylist()) < set(words)
    assert "7000.0" not in safe.table()["t"].to_pylist()


def icd_table(n: int = 20_000) -> pa.Table:
    r = rng()
    codes = [
        f"{'IEJ'[a]}{20 + min(b, 9)}.{c}" for a, b, c in zip(r.integers(3, size=n), r.geometric(0.4, n),
                                                             np.minimum(r.geometric(0.3, n), 5000), strict=True)
    ]  # fmt: skip
    return pa.table({"icd": codes, "x": r.integers(3, size=n)})


def test_a_few_rare_codes_become_kept_ones_with_the_same_head() -> None:
    data = as_kind(from_table(icd_table()), "icd", Kind.CATEGORY)
    old, new = data.table()["icd"].to_pylist(), protect(data, k=5)[0].table()["icd"].to_pylist()
    counts = dict(zip(*np.unique(old, return_counts=True), strict=True))
    rare = {w for w, count in counts.items() if count < 5}
    assert rare
    assert set(new) == set(old) - rare  # no code that was not there
    changed = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
    assert all(a[:3] == b[:3] for a, b in changed)


def test_mostly_rare_codes_are_made_in_their_form_under_known_heads() -> None:
    n = 6000
    r = rng()
    codes = [f"PR-{a:02d}/{b:05d}" for a, b in zip(r.integers(12, size=n), r.integers(50_000, size=n), strict=True)]
    data = from_table(pa.table({"article": pa.array(codes, mask=r.random(n) < 0.1), "x": r.integers(3, size=n)}))
    safe, told = protect(data, k=5)
    made = safe.table()["article"]
    assert made.null_count == data.table()["article"].null_count
    assert not set(made.drop_null().to_pylist()) & set(data.table()["article"].to_pylist())
    assert all(re.fullmatch(r"PR-(0\d|1[01])/\d{5}", w) for w in made.drop_null().to_pylist())
    heads = [(a[:5], b[:5]) for a, b in zip(codes, made.to_pylist(), strict=True) if b is not None]
    assert all(a == b for a, b in heads)
    assert told.columns[0].rows == n - made.null_count


def test_names_addresses_and_numbers_in_text_are_not_copied() -> None:
    r, n = rng(), 2000
    first = r.choice(["Ana", "Ben", "Ida", "Jan"], n)
    last = ["".join(w).capitalize() for w in r.choice(list("abeilmnorst"), (n, 7))]
    said = r.choice(["pain", "fever", "cough", "rest", "advised", "after", "fall", "none"], (n, 6))
    note = [
        f"{' '.join(w)}. Seen by Dr {b}, call 0{r.integers(10**8, 10**9)}." for w, b in zip(said, last, strict=True)
    ]
    rows = pa.table({
        "name": [f"{a} {b}" for a, b in zip(first, last, strict=True)],
        "mail": [f"{a.lower()}.{b.lower()}@mail.example" for a, b in zip(first, last, strict=True)],
        "note": note,
    })  # fmt: skip
    data = from_table(rows)
    safe, told = protect(data, k=5)
    made = safe.table()
    surnames = set(map(str.casefold, last))
    assert {c.name for c in told.columns} == {"name", "mail", "note"}
    for name in made.column_names:
        words = {w.casefold() for t in made[name].to_pylist() for w in re.findall(r"[^\W\d_]+", t)}
        assert not words & surnames, name
        assert not set(made[name].to_pylist()) & set(rows[name].to_pylist()), name
    assert all(t.endswith("@mail.example") for t in made["mail"].to_pylist())
    assert all(re.search(r"Seen by Dr \w+, call \d+\.$", t) for t in made["note"].to_pylist())
    assert [t.split(".")[0] for t in made["note"].to_pylist()] == [" ".join(w) for w in said]


def test_nothing_rare_means_nothing_changes() -> None:
    data = from_table(pa.table({"a": ["x", "y"] * 50, "b": [1, 2] * 50}))
    safe, told = protect(data, k=5)
    assert safe is data
    assert told.columns == ()
    assert protect(data, k=1)[0] is data
    with pytest.raises(InputError, match="at least"):
        protect(data, k=0)


def test_the_same_table_gives_the_same_result() -> None:
    data = from_table(level_table())
    assert protect(data, k=5)[0].table().equals(protect(data, k=5)[0].table())
    assert protect(data, k=5)[0].fingerprint == protect(data, k=5)[0].fingerprint


@pytest.mark.parametrize(
    "rows",
    [
        {"one": [1], "b": ["x"], "c": [None]},
        {"few": [1.5, 2.5, 900.0], "w": ["a", "b", "c"]},
        {"constant": ["x"] * 40, "n": [7] * 40},
        {"gone": pa.nulls(30), "also": pa.nulls(30, pa.int16())},
        {"wild": [np.inf, -np.inf, np.nan, 0.0, 1.0, 2.0] * 10, "y": [True, False, None] * 20},
        {"one inf": [np.inf, *range(99)], "tiny": [5e-324, 1e308, -1e308, *[0.0] * 97]},
        {
            "huge": pa.array([2**63 - 1, -(2**63), *range(60)], pa.int64()),
            "u": pa.array([2**64 - 1, *range(61)], pa.uint64()),
        },
        {"mixed": ["1", "2", "x", "2024-01-01", "Ünal", "東京"] * 10, "": list(range(60))},
        {"when": [datetime.date(1, 1, 1), datetime.date(9999, 12, 31), *[datetime.date(2020, 1, 1)] * 50]},
        {"name": [f"Ünal{chr(0x4E00 + i)}" for i in range(50)]},
    ],
    ids=lambda rows: next(iter(rows)),
)
def test_odd_tables_are_borne(rows: dict[str, object]) -> None:
    data = from_table(pa.table(rows))
    safe, told = protect(data, k=5)
    assert safe.rows == data.rows
    assert safe.table().schema.equals(data.table().schema)
    for name in safe.table().column_names:
        assert safe.table()[name].null_count == data.table()[name].null_count
    if data.rows < 5:
        assert set(told.unprotected) <= set(data.table().column_names)
        assert told.unprotected
        assert "not protected" in told.sentence


def test_a_hundred_thousand_levels() -> None:
    words = [f"{'ABCD'[i % 4]}{i // 4:06d}" for i in range(100_000)]
    data = as_kind(from_table(pa.table({"code": words, "x": [1, 2] * 50_000})), "code", Kind.CATEGORY)
    made = protect(data, k=5)[0].table()["code"].to_pylist()
    assert all(re.fullmatch(r"[ABCD]\d{6}", w) for w in made)
    assert len(set(made) & set(words)) == 0


@pytest.mark.parametrize("script", ["hindi", "thai", "arabic", "nfd"])
def test_a_name_is_one_word_with_its_vowel_signs(script: str) -> None:
    letters, marks = {
        "hindi": ("कखगघचजटडतदनपबमरलवसह", "ािीुूेैोौं"),
        "thai": ("กขคงจชดตถทนบปพมยรลวส", "\u0e31\u0e34\u0e35\u0e36\u0e37\u0e38\u0e39\u0e47"),
        "arabic": ("بتثجحخدرزسشصطعفقكلمن", "\u064e\u064f\u0650\u0652"),
        "nfd": ("bcdfghklmnprst", ["á", "é", "ö", "ü", "q̃"]),
    }[script]
    r, n = rng(), 400
    names = ["".join(r.choice(list(letters)) + r.choice(list(marks)) for _ in range(5)) for _ in range(n)]
    said = r.choice(["one", "two", "three", "four"], (n, 3))
    notes = [f"{a} {name} {b} {c}" for name, (a, b, c) in zip(names, said, strict=True)]
    data = as_kind(from_table(pa.table({"note": notes})), "note", Kind.TEXT)
    made = protect(data, k=5)[0].table()["note"].to_pylist()
    assert not {unicodedata.normalize("NFC", t.split()[1]) for t in made} & {
        unicodedata.normalize("NFC", name) for name in names
    }
    assert [t.split()[0] for t in made] == [t.split()[0] for t in notes]


def test_what_is_common_keeps_its_spelling() -> None:
    notes = [f"cafe\u0301 {w} visited" for w in ("red", "blue") for _ in range(50)] + ["cafe\u0301 Zanzibar visited"]
    data = as_kind(from_table(pa.table({"note": notes})), "note", Kind.TEXT)
    made = protect(data, k=5)[0].table()["note"].to_pylist()
    assert made[:-1] == notes[:-1]
    assert "Zanzibar" not in made[-1]


def test_the_many_rows_of_one_person_do_not_decide_the_maximum() -> None:
    r = rng()
    who = np.concatenate([np.repeat(np.arange(300), 3), np.full(100, 300)])
    pay = np.concatenate([r.uniform(20_000, 150_000, 900), r.uniform(900_000, 1_000_000, 100)])
    plain = from_table(pa.table({"who": who, "pay": pay}))
    data = replace(plain, schema=with_roles(plain.schema, entity="who"))
    made = protect(data, k=5)[0].table()["pay"].to_numpy()
    assert made.max() < 200_000
    assert np.all(np.diff(made[np.argsort(pay, kind="stable")]) >= 0)
    far = np.where(who == 300, pay * 1000, pay)
    for values in (pay, far):  # one row each or a hundred: the same place
        rows = np.append(np.flatnonzero(who < 300), np.argmax(np.where(who == 300, values, 0)))
        one = gather_top(values[rows], 5, owners=who[rows])[1].max()
        assert gather_top(values, 5, owners=who)[1].max() == pytest.approx(one)


def test_words_of_many_texts_are_counted_in_little_memory() -> None:
    r = rng()
    vocabulary = np.array([f"word{i}".translate(str.maketrans("0123456789", "abcdefghij")) for i in range(3000)])
    notes = [" ".join(row) for row in vocabulary[np.minimum(r.geometric(0.004, (20_000, 20)) - 1, 2999)]]
    data = as_kind(from_table(pa.table({"note": notes})), "note", Kind.TEXT)
    tracemalloc.start()
    protect(data, k=5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6  # 400,000 words: 150 bytes each
