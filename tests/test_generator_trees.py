"""`cart` and `forest`: planted dependence comes back; settings do what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from sterling.generators.cart import Cart
from sterling.generators.forest import Forest
from sterling.kernel.errors import InputError, UnknownName
from sterling.modalities.tabular import from_table, row_hashes, with_roles

BOTH: list[Any] = [Cart(), Forest(trees=4)]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sampled(generator: Any, rows: pa.Table, n: int, *, seed: int = 0, **kwargs: Any) -> pa.Table:
    fitted = generator.fit(from_table(rows), rng=rng(seed))
    return pa.concat_tables(list(generator.sample(fitted, n, rng=rng(seed + 1), **kwargs)))


def mixture(n: int, seed: int) -> pa.Table:
    """Two clusters that overlap, a category that follows them, an exclusive-or."""
    r = rng(seed)
    cluster = r.integers(0, 2, n)
    x, y = r.normal(3 * cluster, 1.0), r.normal(-2 * cluster, 0.5 + cluster)
    a, b = r.integers(0, 2, n), r.integers(0, 2, n)
    word = np.where(r.random(n) < 0.1, "other", np.where(cluster == 1, "one", "zero"))
    return pa.table({"x": x, "y": y, "word": word, "a": a, "b": b, "xor": a ^ b})


def auc_between(real: pa.Table, made: pa.Table) -> float:
    """Boosted trees trained on one half of both, scored on the other."""
    code = {"zero": 0, "one": 1, "other": 2}

    def matrix(t: pa.Table) -> np.ndarray:
        return np.array(
            [[code[v] for v in t[c].to_pylist()] if c == "word" else t[c].to_numpy() for c in t.column_names]
        ).T

    rows = np.vstack([matrix(real), matrix(made)])
    truth = np.repeat([0, 1], [real.num_rows, made.num_rows])
    fold = rng(9).permutation(truth.size) % 2
    model = HistGradientBoostingClassifier(max_iter=40, random_state=0).fit(rows[fold == 0], truth[fold == 0])
    return float(roc_auc_score(truth[fold == 1], model.predict_proba(rows[fold == 1])[:, 1]))


@pytest.mark.parametrize("generator", BOTH, ids=["cart", "forest"])
def test_a_simple_mixture_cannot_be_told_from_fresh_rows(generator: Any) -> None:
    made = sampled(generator, mixture(6000, 0), 6000)
    assert auc_between(mixture(6000, 1), made) < 0.56
    assert np.mean((made["a"].to_numpy() ^ made["b"].to_numpy()) == made["xor"].to_numpy()) > 0.99


@pytest.mark.parametrize("generator", BOTH, ids=["cart", "forest"])
def test_a_joint_table_comes_back_within_noise(generator: Any) -> None:
    n = 20_000
    joint = np.array([[0.30, 0.02, 0.08], [0.01, 0.25, 0.04], [0.05, 0.05, 0.20]])
    cells = rng().choice(9, n, p=joint.ravel())
    rows = pa.table({"a": pa.array(cells // 3).cast(pa.string()), "b": pa.array(cells % 3).cast(pa.string())})
    made = sampled(generator, rows, n)
    seen = np.zeros((3, 3))
    np.add.at(seen, (made["a"].cast(pa.int64()).to_numpy(), made["b"].cast(pa.int64()).to_numpy()), 1 / n)
    # Two samples of n: the variance of a share counts twice.
    assert (np.abs(seen - joint) < 5 * np.sqrt(2 * joint / n)).all()


def test_missing_cells_follow_the_other_columns() -> None:
    n = 3000
    rich = rng().integers(0, 2, n)
    rows = pa.table(
        {"rich": rich, "income": pa.array(rng(1).normal(size=n), mask=(rich == 1) & (rng(2).random(n) < 0.6))}
    )
    made = sampled(Cart(), rows, n)
    gone = made["income"].is_null().to_numpy()
    assert abs(gone[made["rich"].to_numpy() == 1].mean() - 0.6) < 0.06
    assert gone[made["rich"].to_numpy() == 0].sum() == 0


def test_smoothing_moves_rare_numbers_and_none_repeats_them() -> None:
    rows = pa.table({"x": rng().normal(size=2000)})
    exact, moved = (sampled(Cart(smoothing=s, protect=1), rows, 2000) for s in (0.0, 1.0))
    real = row_hashes(rows)
    assert np.isin(row_hashes(exact), real).all()
    assert np.isin(row_hashes(moved), real).mean() < 0.01
    assert abs(np.std(moved["x"].to_numpy()) - np.std(rows["x"].to_numpy())) < 0.08


def test_depth_zero_draws_columns_independently() -> None:
    x = rng().normal(size=4000)
    made = sampled(Cart(max_depth=0, structure="ignored", pool=1), pa.table({"x": x, "y": x}), 4000)
    assert abs(np.corrcoef(made["x"].to_numpy(), made["y"].to_numpy())[0, 1]) < 0.08


def test_the_target_is_drawn_last_and_stays_in_its_place() -> None:
    data = from_table(mixture(400, 0))
    data = replace(data, schema=with_roles(data.schema, target="x"))
    fitted = Cart().fit(data, rng=rng())
    assert fitted.anatomy.outcomes[fitted.chain.order[-1]].field.name == "x"
    assert next(Cart().sample(fitted, 5, rng=rng())).column_names == data.table().column_names


def test_given_columns_must_come_first_and_first_puts_them_there() -> None:
    rows = mixture(2000, 0)
    given = pa.table({"xor": [1] * 50, "word": ["one"] * 50})
    with pytest.raises(InputError, match="--set first=xor,word"):
        sampled(Cart(), rows, 50, given=given)
    made = sampled(Cart(first=("word", "xor")), rows, 50, given=given)
    assert made.column_names == rows.column_names
    assert made["xor"].to_pylist() == [1] * 50
    assert (made["a"].to_numpy() ^ made["b"].to_numpy()).all()
    assert made["x"].to_numpy().mean() > 2
    with pytest.raises(UnknownName, match="did you mean 'word'"):
        Cart(first=("wrod",)).fit(from_table(rows), rng=rng())


def test_columns_that_never_vary_may_always_be_given() -> None:
    rows = pa.table({"x": rng().normal(size=50), "k": ["k"] * 50})
    made = sampled(Cart(), rows, 3, given=pa.table({"k": ["k", "k", "new"]}))
    assert made["k"].to_pylist() == ["k", "k", "new"]


@pytest.mark.parametrize(
    "settings",
    [
        {"min_leaf": 0},
        {"max_depth": -1},
        {"smoothing": 1.5},
        {"evidence": -1.0},
        {"most_parents": 0},
        {"protect": 0},
        {"pool": 0},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    for kind in (Cart, Forest):
        with pytest.raises(InputError, match=f"--set {next(iter(settings))}="):
            kind(**settings)
    with pytest.raises(InputError, match="--set trees=1"):
        Forest(trees=0)


def test_of_many_columns_a_tree_asks_those_that_matter() -> None:
    noise = rng().normal(size=(1500, 60))
    columns = {f"n{j}": noise[:, j] for j in range(60)}
    rows = pa.table({"cause": rng(1).integers(0, 3, 1500), **columns}).append_column(
        "effect", pa.array(rng(1).integers(0, 3, 1500))
    )
    made = sampled(Cart(most_parents=3, min_leaf=50), rows, 1500)
    assert np.mean(made["cause"].to_numpy() == made["effect"].to_numpy()) == 1.0


def test_more_levels_than_codes_keep_their_dependence() -> None:
    city = rng().integers(0, 900, 9000)
    rows = pa.table({"city": [f"{c:03d}x" for c in city], "region": city // 300})
    made = sampled(Cart(min_leaf=5), rows, 3000)
    agree = [int(c[:3]) // 300 == r for c, r in zip(made["city"].to_pylist(), made["region"].to_pylist(), strict=True)]
    assert np.mean(agree) > 0.97


def test_what_holds_in_every_row_holds_in_every_made_row() -> None:
    n = 2000
    a, b = np.round(rng().gamma(2, 50, n), 2), np.round(rng(1).gamma(1, 20, n), 2)
    code = rng(2).integers(0, 5, n)
    rows = pa.table({"a": a, "b": b, "total": np.round(a + b, 2), "code": code, "name": [f"n{c}" for c in code]})
    for generator in BOTH:
        made = sampled(generator, rows, 1000)
        assert made.column_names == rows.column_names
        assert np.array_equal(np.round(made["a"].to_numpy() + made["b"].to_numpy(), 2), made["total"].to_numpy())
        assert made["name"].to_pylist() == [f"n{c}" for c in made["code"].to_pylist()]
    given = pa.table({"total": [100.0] * 5})
    with pytest.raises(InputError, match="--set first=total"):
        sampled(Cart(), rows, 5, given=given)
    assert sampled(Cart(first=("total",)), rows, 5, given=given)["total"].to_pylist() == [100.0] * 5


def test_what_fewer_than_five_people_have_does_not_come_out() -> None:
    n = 3000
    town = np.where(np.arange(n) < 3, "Lonely", rng().choice(["A", "B", "C"], n))
    wage = np.r_[9e9, rng(1).lognormal(10, 1, n - 1)]
    rows = pa.table({"town": town, "wage": wage})
    for generator in BOTH:
        made = sampled(generator, rows, 6000)
        assert set(made["town"].to_pylist()) == {"A", "B", "C"}
        assert made["wage"].to_numpy().max() < 1e8
    assert "Lonely" in sampled(Cart(protect=1), rows, 6000)["town"].to_pylist()


def test_single_people_are_not_copied_more_often_than_chance_makes() -> None:
    n = 400
    rows = pa.table({f"c{j}": rng(j).integers(0, 3, n).astype(str) for j in range(12)})
    made = sampled(Cart(min_leaf=1, evidence=0.0, pool=1, max_depth=400), rows, n)
    fresh = pa.table({f"c{j}": rng(100 + j).integers(0, 3, n).astype(str) for j in range(12)})
    real = row_hashes(rows)
    assert np.isin(row_hashes(made), real).sum() <= np.isin(row_hashes(fresh), real).sum() + 3


def test_a_pool_mends_pairs_of_columns_that_the_trees_leave() -> None:
    n = 8000
    x = rng().integers(0, 8, n)
    rows = pa.table({"x": x, **{f"y{j}": (x + rng(j).integers(0, 3, n)) % 8 for j in range(1, 4)}})
    blunt = [sampled(Cart(max_depth=1, structure="ignored", pool=p), rows, n) for p in (1, 6)]

    def gap(made: pa.Table) -> float:
        joint = [np.histogram2d(t["x"].to_numpy(), t["y1"].to_numpy(), bins=8)[0] / n for t in (rows, made)]
        return float(np.abs(joint[0] - joint[1]).sum() / 2)

    before, after = map(gap, blunt)
    assert after < before / 2


def test_a_declared_target_is_drawn_from_boosted_trees() -> None:
    n = 8000
    x = rng().normal(size=(n, 8))
    y = (rng(1).random(n) < 1 / (1 + np.exp(-x.sum(axis=1)))).astype(str)  # many weak causes: no tree sees them all
    data = from_table(pa.table({**{f"x{j}": x[:, j] for j in range(8)}, "y": y}))
    data = replace(data, schema=with_roles(data.schema, target="y"))
    fitted = Cart(pool=1).fit(data, rng=rng())
    assert fitted.head is not None
    agree = []
    for f in (fitted, replace(fitted, head=None)):
        made = pa.concat_tables(list(Cart(pool=1).sample(f, n, rng=rng(2))))
        total = sum(made[f"x{j}"].to_numpy() for j in range(8))
        agree.append(roc_auc_score(made["y"].to_numpy() == "True", total))
    truth = roc_auc_score(y == "True", x.sum(axis=1))
    assert abs(agree[0] - truth) < 0.04
    assert agree[1] < agree[0] - 0.03


def test_rows_made_beside_given_ones_are_chosen_for_each() -> None:
    rows = mixture(4000, 0)
    given = pa.table({"word": ["one"] * 300 + ["zero"] * 300})
    made = sampled(Cart(first=("word",)), rows, 600, given=given)
    assert made["word"].to_pylist() == given["word"].to_pylist()
    x = made["x"].to_numpy()
    assert x[:300].mean() > 2.5
    assert x[300:].mean() < 0.6


@pytest.mark.slow
def test_ten_thousand_columns_are_made_in_bounded_time() -> None:
    import time

    values = rng().normal(size=(300, 1)) + rng(1).normal(size=(300, 10_000))
    rows = pa.table({f"c{j}": values[:, j] for j in range(10_000)})
    start = time.process_time()
    assert sampled(Cart(), rows, 50).shape == (50, 10_000)
    assert time.process_time() - start < 300
