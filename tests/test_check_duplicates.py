"""`duplicates`: planted copies are dropped, natural ones only flagged."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sterling.checks.duplicates import Duplicates
from sterling.kernel.protocols import Marks
from sterling.modalities.tabular import from_table


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def people(n: int, *, seed: int) -> pa.Table:
    """Rarely equal: a measurement among categories; the key never counts."""
    r = rng(seed)
    return pa.table(
        {
            "id": [f"p{seed}-{i}" for i in range(n)],
            "income": np.round(r.lognormal(9, 1, n), 2),
            "age": r.integers(18, 90, n),
            "sex": r.choice(["F", "M"], n),
        }
    )


def answers(n: int, *, seed: int) -> pa.Table:
    """A short questionnaire: many records are equal by nature."""
    r = rng(seed)
    mood = r.integers(0, 2, n)
    return pa.table({f"q{j}": np.where(r.random(n) < 0.8, mood, r.integers(0, 5, n)) for j in range(6)})


def marks(batch: pa.Table, reference: pa.Table | None) -> Marks:
    check = Duplicates()
    return check.apply(check.fit(None if reference is None else from_table(reference, name="real"), rng=rng()), batch)


def count(found: Marks, action: str) -> int:
    return int(pc.sum(pc.equal(found.actions, action)).as_py())


def test_copies_of_the_reference_are_dropped_whatever_their_key() -> None:
    real, fresh = people(3000, seed=0), people(970, seed=1)
    copies = real.slice(100, 30).set_column(0, "id", pa.array([f"new{i}" for i in range(30)]))
    found = marks(pa.concat_tables([fresh, copies]), real)
    assert found.actions.to_pylist() == ["keep"] * 970 + ["drop"] * 30
    assert "copy of a record of real" in found.reasons[-1].as_py()


def test_repeats_within_the_set_leave_the_first() -> None:
    fresh = people(500, seed=1)
    for reference in (people(2000, seed=0), None):
        found = marks(pa.concat_tables([fresh, fresh.slice(0, 40)]), reference)
        assert found.actions.to_pylist() == ["keep"] * 500 + ["drop"] * 40
        assert "repeats an earlier record" in found.reasons[-1].as_py()


def test_storage_types_and_column_order_do_not_hide_a_copy() -> None:
    real = people(1000, seed=0)
    copies = pa.table(
        {
            "sex": real["sex"].cast(pa.large_string()).combine_chunks().dictionary_encode(),
            "age": real["age"].cast(pa.float32()),
            "income": pc.cast(real["income"], pa.string()),
        }
    )
    assert count(marks(copies, real), "drop") == 1000


def test_natural_duplicates_are_flagged_with_their_context() -> None:
    found = marks(answers(1500, seed=1), answers(3000, seed=0))
    assert count(found, "drop") == 0
    assert count(found, "flag") > 700
    assert any("% of fresh real records would be" in r for r in found.reasons.drop_null().to_pylist())
    assert any("% of so many records of real do" in r for r in found.reasons.drop_null().to_pylist())


def test_too_many_natural_duplicates_are_dropped() -> None:
    real, fresh = answers(3000, seed=0), answers(1000, seed=1)
    flooded = pa.concat_tables([fresh, *[real.slice(7, 1)] * 2500])
    assert count(marks(flooded, real), "drop") >= 2500


def test_false_alarms_over_many_clean_splits() -> None:
    alarms = 0
    for seed in range(60):
        rows = (answers if seed % 2 else people)(900, seed=seed + 10)
        order = rng(seed).permutation(900)
        found = marks(rows.take(order[:300]), rows.take(order[300:]))
        alarms += count(found, "drop") > 0
    assert alarms <= 1


def test_near_copies_are_flagged_and_name_the_column() -> None:
    real, fresh = people(3000, seed=0), people(900, seed=1)
    jittered = real.slice(0, 60)
    jittered = jittered.set_column(2, "age", pc.add(jittered["age"], 1))
    found = marks(pa.concat_tables([fresh, jittered]), real)
    assert found.actions.to_pylist()[900:] == ["flag"] * 60
    assert "equals a record of real but for 'age'" in found.reasons[-1].as_py()
    assert count(found, "flag") < 65


def test_near_copies_within_the_set_are_flagged() -> None:
    fresh = people(900, seed=1)
    again = fresh.slice(0, 50).set_column(3, "sex", pa.array(["X"] * 50))
    for reference in (people(2000, seed=0), None):
        found = marks(pa.concat_tables([fresh, again]), reference)
        assert found.actions.to_pylist()[900:] == ["flag"] * 50
        assert "earlier record but for 'sex'" in found.reasons[-1].as_py()


def test_records_of_few_columns_repeat_by_chance_without_a_reference() -> None:
    dice = pa.table({"a": rng().integers(0, 6, 500), "b": rng(1).integers(0, 6, 500)})
    found = marks(dice, None)
    assert count(found, "drop") == 0
    assert count(found, "flag") > 400


@pytest.mark.parametrize("m", [50, 1500, 6000])
def test_expected_repeats_match_what_fresh_records_show(m: int) -> None:
    from sterling.checks.duplicates import _expected_repeats, _index, _parts

    real = from_table(answers(3000, seed=0))
    index = _index(_parts(real.table(), real.schema.fields))
    seen = _index(_parts(answers(m, seed=1), real.schema.fields))
    assert _expected_repeats(index, m) == pytest.approx(1 - seen.whole.size / m, abs=0.08 if m <= 3000 else 0.4)
