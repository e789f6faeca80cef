"""Boosted trees of our own: known answers, what they must find, what must not move them."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from sterling.stats.auc import delong
from sterling.stats.boosting import Boosting, Coded, Held, boost, encode, learn_codes, predict

STUMP = Boosting(rounds=1, rate=1.0, leaves=2, min_leaf=1, l2=0.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def coded(x: np.ndarray, *categories: int, most: int = 254) -> Coded:
    categorical = np.isin(np.arange(x.shape[1]), categories)
    return encode(learn_codes(x, categorical, most=most), x)


def auc(score: np.ndarray, y: np.ndarray) -> float:
    return delong(score[y == 1], score[y == 0]).value


def log_loss(chance: np.ndarray, y: np.ndarray) -> float:
    return float(-np.log(chance[np.arange(y.size), y]).mean())


def signal(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers with holes, a category in column 3, and what follows from them."""
    r = rng(seed)
    x = r.normal(size=(n, 4))
    x[:, 3] = r.integers(6, size=n)
    z = x[:, 0] + np.abs(x[:, 1]) + np.isin(x[:, 3], [1, 4]) - 1
    x[r.random(n) < 0.1, 0] = np.nan
    return x, z


# Known answers


@pytest.mark.parametrize("n", [40, 120_000])  # the second fills packed histograms more than once
def test_a_stump_gives_both_sides_their_mean(n: int) -> None:
    x = np.repeat([0.0, 3.0], [n // 4, n - n // 4])
    y = np.where(x > 0, 5.0, -2.0) + rng().normal(size=n)
    model = boost(coded(x[:, None]), y, classes=0, boosting=replace(STUMP, min_leaf=n // 4))
    found = predict(model, coded(x[:, None]))
    assert found == pytest.approx(np.where(x > 0, y[x > 0].mean(), y[x == 0].mean()))


def test_a_stump_takes_a_newton_step_from_the_base_rate() -> None:
    x, y = np.repeat([0.0, 1.0], 10), np.array([1] * 2 + [0] * 8 + [1] * 7 + [0] * 3)
    model = boost(coded(x[:, None]), y, classes=2, boosting=replace(STUMP, l2=0.5))
    steps = [(10 * (k - 0.45)) / (10 * 0.45 * 0.55 + 0.5) for k in (0.2, 0.7)]
    raw = np.log(0.45 / 0.55) + np.repeat(steps, 10)
    assert predict(model, coded(x[:, None]))[:, 1] == pytest.approx(1 / (1 + np.exp(-raw)), rel=1e-12)


def test_the_best_of_all_cuts_is_found() -> None:
    x, y = np.round(rng(1).normal(size=(300, 5)), 1), rng(2).normal(size=300)
    model = boost(coded(x), y, classes=0, boosting=replace(STUMP, min_leaf=20))
    gains = {
        (f, v): y[left].sum() ** 2 / left.sum() + y[~left].sum() ** 2 / (~left).sum() - y.sum() ** 2 / 300
        for f in range(5)
        for v in np.unique(x[:, f])
        if 20 <= (left := x[:, f] <= v).sum() <= 280
    }
    column, value = max(gains, key=lambda k: gains[k])
    assert model.used.tolist() == [column]
    left = predict(model, coded(x)) == predict(model, coded(x))[x[:, column] <= value][0]
    assert np.array_equal(left, x[:, column] <= value)


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_the_held_loss_is_the_loss_of_what_it_predicts(classes: int) -> None:
    x, z = signal(700, 0)
    y = np.digitize(z, [0.0, 0.8][: classes - 1]) if classes else 1000 + 50 * z
    data, weights = coded(x, 3), rng(1).random(300) + 0.1
    train, test = data.take(np.arange(400)), data.take(np.arange(400, 700))
    held = Held(test, y[400:], weights)
    model = boost(train, y[:400], classes=classes, boosting=Boosting(rounds=20, patience=50), held=held)
    said = predict(model, test)
    losses = -np.log(said[np.arange(300), y[400:]]) if classes else (y[400:] - said) ** 2
    assert model.rounds == 20
    assert model.held_loss[-1] == pytest.approx(np.average(losses, weights=weights))
    assert model.held_loss[0] > 1.1 * model.held_loss[-1]


def test_exponentials_are_exact() -> None:
    from sterling.stats._boosting_kernels import exponentials

    x = np.r_[np.linspace(-690, 690, 5001), 0.0, 1e-300]
    out = x.copy()
    exponentials(out)
    assert out == pytest.approx(np.exp(x), rel=4e-15)


# What must be found


def test_exclusive_or_among_noise() -> None:
    x = rng().normal(size=(4000, 8))
    y = ((x[:, 2] > 0) ^ (x[:, 5] > 0)).astype(np.int64)
    data = coded(x)
    model = boost(data.take(np.arange(2000)), y[:2000], classes=2, boosting=Boosting())
    assert auc(predict(model, data.take(np.arange(2000, 4000)))[:, 1], y[2000:]) > 0.95


def test_missing_cells_go_where_they_belong() -> None:
    x = rng().normal(size=(1000, 1))
    missing = rng(1).random(1000) < 0.2
    for like in (-2.0, 2.0):  # missing cells behave like low, then like high values
        y = (np.where(missing, like, x[:, 0]) > 0).astype(np.int64)
        seen = np.where(missing[:, None], np.nan, x)
        model = boost(coded(seen), y, classes=2, boosting=STUMP)
        assert log_loss(predict(model, coded(seen)), y) < 0.2
    y = missing.astype(np.int64)  # and like nothing else
    assert auc(predict(boost(coded(seen), y, classes=2, boosting=STUMP), coded(seen))[:, 1], y) == 1.0


def test_one_split_parts_the_levels_of_a_category() -> None:
    levels = rng().integers(60, size=(3000, 1)).astype(float)
    odd = levels[:, 0] % 2
    model = boost(coded(levels, 0), odd, classes=0, boosting=STUMP)
    assert predict(model, coded(levels, 0)) == pytest.approx(odd)
    again = boost(coded(59 - levels, 0), odd, classes=0, boosting=STUMP)  # what levels are called is no matter
    assert predict(again, coded(59 - levels, 0)) == pytest.approx(odd)


def test_many_levels_do_not_win_by_luck() -> None:
    r = rng(3)
    x = np.column_stack([r.normal(size=2000), r.integers(100, size=2000).astype(float)])
    y = 0.3 * x[:, 0] + r.normal(size=2000)
    data = coded(x, 1)
    model = boost(data.take(np.arange(1000)), y[:1000], classes=0, boosting=Boosting(rounds=30))
    without = boost(coded(x[:, :1]).take(np.arange(1000)), y[:1000], classes=0, boosting=Boosting(rounds=30))
    errors = [
        float(((predict(m, d.take(np.arange(1000, 2000))) - y[1000:]) ** 2).mean())
        for m, d in ((model, data), (without, coded(x[:, :1])))
    ]
    assert errors[0] < 1.03 * errors[1]


def test_many_classes() -> None:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = rng().permutation(y.size)
    x, y = x[order], y[order]
    model = boost(coded(x).take(np.arange(1200)), y[:1200], classes=10, boosting=Boosting(rounds=40))
    chance = predict(model, coded(x).take(np.arange(1200, y.size)))
    assert chance.sum(axis=1) == pytest.approx(1.0)
    assert (chance.argmax(axis=1) == y[1200:]).mean() > 0.95


def test_one_telling_column_of_many() -> None:
    x, y = rng().normal(size=(1200, 400)), rng(1).integers(2, size=1200)
    x[:, 333] += y
    data = coded(x)
    model = boost(data.take(np.arange(600)), y[:600], classes=2, boosting=Boosting(most_columns=16))
    assert auc(predict(model, data.take(np.arange(600, 1200)))[:, 1], y[600:]) > 0.7
    assert model.used.size > 16  # the others have their turn


def test_it_is_as_good_as_scikit_learn() -> None:
    from importlib.resources import files

    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    from sklearn.ensemble import HistGradientBoostingClassifier

    table = pq.read_table(str(files("sterling.sources") / "embedded" / "adult.parquet"))
    table = table.take(rng().permutation(table.num_rows)[:12_000])
    texts = [str(f.type) in ("string", "large_string") or "dict" in str(f.type) for f in table.schema]
    x = np.column_stack(
        [
            pc.rank(table[i], tiebreaker="dense").to_numpy() - 1.0 if text else table[i].to_numpy().astype(float)
            for i, text in enumerate(texts)
        ]
    )
    place = table.column_names.index("income")
    y, x = x[:, place].astype(np.int64), np.delete(x, place, axis=1)
    categorical = np.delete(np.array(texts), place)
    data = encode(learn_codes(x, categorical), x)
    model = boost(data.take(np.arange(5000)), y[:5000], classes=2, boosting=Boosting())
    theirs = HistGradientBoostingClassifier(
        max_iter=60, max_leaf_nodes=15, l2_regularization=1.0, categorical_features=categorical, early_stopping=False
    ).fit(x[:5000], y[:5000])
    ours = predict(model, data.take(np.arange(5000, 12_000)))
    assert log_loss(ours, y[5000:]) < log_loss(theirs.predict_proba(x[5000:]), y[5000:]) + 0.002


# What must not matter, and what must


def test_weights_equal_repetition_and_no_weight_is_no_row() -> None:
    x, z = signal(300, 0)
    times = rng(1).integers(0, 4, size=300)
    data, repeated = coded(x[:, :3]), np.repeat(np.arange(300), times)
    for classes, y in ((0, z), (2, (z > 0).astype(np.int64)), (3, np.digitize(z, [0.0, 1.0]))):
        how = Boosting(rounds=15, min_leaf=1)
        one = boost(data, y, classes=classes, boosting=how, weights=times.astype(float))
        other = boost(data.take(repeated), y[repeated], classes=classes, boosting=how)
        assert predict(one, data) == pytest.approx(predict(other, data), abs=1e-6)


def test_units_and_monotone_changes_do_not_matter() -> None:
    x, z = signal(500, 0)
    found = predict(boost(coded(x, 3), z, classes=0, boosting=Boosting()), coded(x, 3))
    stretched = np.column_stack([np.exp(x[:, 0]), x[:, 1] ** 3, 1e9 * x[:, 2], x[:, 3]])
    scaled = predict(boost(coded(stretched, 3), 1e200 * z, classes=0, boosting=Boosting()), coded(stretched, 3))
    assert scaled / 1e200 == pytest.approx(found)


def test_noise_ends_early_and_signal_does_not() -> None:
    x, z = signal(2000, 0)
    data, halves = coded(x, 3), (np.arange(1000), np.arange(1000, 2000))
    rounds = []
    for y in (rng(1).integers(2, size=2000), (z > 0).astype(np.int64)):
        held = Held(data.take(halves[1]), y[halves[1]])
        model = boost(data.take(halves[0]), y[:1000], classes=2, boosting=Boosting(rounds=200, patience=5), held=held)
        best = int(model.held_loss.argmin())
        assert model.rounds == min(200, best + 5)
        rounds.append(best)
    assert rounds[0] < 10 < rounds[1]


def test_same_input_same_bytes_and_nothing_is_changed() -> None:
    x, z = signal(800, 0)
    y = np.digitize(z, [0.0, 1.0])
    kept = x.copy(), y.copy()
    first, second = (boost(coded(x, 3), y, classes=3, boosting=Boosting(rounds=10)) for _ in range(2))
    assert pickle.dumps(first) == pickle.dumps(second)
    again = pickle.loads(pickle.dumps(first))
    assert np.array_equal(predict(again, coded(x, 3)), predict(first, coded(x, 3)))
    assert np.array_equal(x, kept[0], equal_nan=True)
    assert np.array_equal(y, kept[1])


def test_leaves_hold_enough_rows() -> None:
    x, z = signal(500, 0)
    model = boost(coded(x, 3), z, classes=0, boosting=Boosting(rounds=1, min_leaf=40, leaves=31))
    counts = np.unique(predict(model, coded(x, 3)), return_counts=True)[1]
    assert counts.min() >= 40
    assert counts.size > 5


# Codes


def test_frequent_numbers_have_codes_of_their_own() -> None:
    x = np.r_[np.zeros(500), rng().normal(size=500), np.full(80, 7.0)][:, None]
    coder = learn_codes(x, np.array([False]), most=16)
    codes = encode(coder, x).words[0] & np.uint64(255)
    for value in (0.0, 7.0):
        assert np.array_equal(codes == codes[x[:, 0] == value][0], x[:, 0] == value)
    assert coder.sizes[0] <= 17
    assert np.unique(codes, return_counts=True)[1][1:-1].min() > 5


def test_bins_never_exceed_what_is_allowed() -> None:
    for seed in range(60):
        r = rng(seed)
        atoms = r.integers(2, 40)
        x = np.r_[r.normal(size=r.integers(1, 2000)), np.repeat(r.normal(size=atoms), r.integers(1, 200, size=atoms))]
        most = int(r.integers(1, 60))
        coder = learn_codes(x[:, None], np.array([False]), most=most)
        assert coder.cuts[0].size < most
        assert (np.diff(coder.cuts[0]) > 0).all()
        if most >= 8:
            counts = np.bincount((encode(coder, x[:, None]).words[0] & np.uint64(255)).astype(np.int64))
            alone = np.unique(x, return_counts=True)[1].max()
            assert counts.max() <= max(alone, 4 * x.size / most)


def test_other_rows_are_coded_alike() -> None:
    x = np.column_stack([[0.0, 1.0, 4.0, np.nan], [0.0, 2.0, 2.0, np.nan]])
    coder = learn_codes(x, np.array([False, True]))
    other = np.column_stack([[-9.0, 0.6, 2.4, 2.6, np.inf, np.nan], [0.0, 1.0, 2.0, 77.0, -1.0, np.nan]])
    words = encode(coder, other).words[0]
    assert (words & np.uint64(255)).tolist() == [1, 2, 2, 3, 3, 0]
    assert (words >> np.uint64(8)).tolist() == [1, 0, 2, 0, 0, 0]


def test_shuffling_moves_these_columns_only() -> None:
    x = np.arange(60.0).reshape(5, 12) % 7
    order = np.array([4, 3, 2, 1, 0])
    moved = x.copy()
    moved[:, [0, 9]] = x[order][:, [0, 9]]
    coder = learn_codes(x, np.zeros(12, dtype=bool))
    found = encode(coder, x).shuffled(np.array([0, 9]), order)
    assert np.array_equal(found.words, encode(coder, moved).words)


# Degenerate input


@pytest.mark.parametrize("n", [0, 1, 2, 5, 29])
@pytest.mark.parametrize("classes", [0, 2, 3])
def test_few_rows_give_a_model(n: int, classes: int) -> None:
    x, z = signal(40, 0)
    y = np.digitize(z, [0.0, 0.8][: classes - 1]) if classes else z
    coder = learn_codes(x[:n], np.isin(np.arange(4), 3))
    said = predict(boost(encode(coder, x[:n]), y[:n], classes=classes, boosting=Boosting()), encode(coder, x))
    assert said.shape == ((40, classes) if classes else (40,))
    assert np.isfinite(said).all()


def test_columns_that_say_nothing() -> None:
    y = rng().integers(2, size=200)
    for column in (np.full(200, np.nan), np.zeros(200), np.r_[np.inf, -np.inf, np.full(198, 1e308)]):
        for categories in ((), (0,)):
            if categories and not np.isfinite(column[~np.isnan(column)]).all():
                continue
            said = predict(
                boost(coded(column[:, None], *categories), y, classes=2, boosting=Boosting()),
                coded(column[:, None], *categories),
            )
            assert said[:, 1] == pytest.approx(y.mean(), abs=0.05)
    nothing = Coded(np.empty((0, 200), dtype=np.uint64), learn_codes(np.empty((200, 0)), np.empty(0, dtype=bool)))
    assert predict(boost(nothing, y, classes=2, boosting=Boosting()), nothing)[:, 1] == pytest.approx(y.mean())


def test_one_class_a_constant_and_no_weight() -> None:
    x, z = signal(100, 0)
    data = coded(x, 3)
    one = predict(boost(data, np.full(100, 2), classes=4, boosting=Boosting()), data)
    assert np.array_equal(one, np.tile([0.0, 0.0, 1.0, 0.0], (100, 1)))
    assert predict(boost(data, np.full(100, 3.5), classes=0, boosting=Boosting()), data) == pytest.approx(3.5)
    flat = boost(data, z, classes=0, boosting=Boosting(), weights=np.zeros(100))
    assert np.isfinite(predict(flat, data)).all()
    two = predict(boost(data, np.where(z > 0, 3, 1), classes=5, boosting=Boosting()), data)
    assert (two[:, [0, 2, 4]] == 0).all()
    assert auc(two[:, 3], (z > 0).astype(np.int64)) > 0.9


def test_held_rows_of_an_unknown_class_are_left_out() -> None:
    x, z = signal(200, 0)
    data, y = coded(x, 3), (z > 0).astype(np.int64)
    first, last = np.arange(100), np.arange(100, 200)
    strange = np.where(np.arange(100) < 30, 2, y[100:])
    model = boost(data.take(first), y[:100], classes=3, boosting=Boosting(), held=Held(data.take(last), strange))
    known = boost(data.take(first), y[:100], classes=3, boosting=Boosting(), held=Held(data.take(last[30:]), y[130:]))
    assert np.array_equal(model.held_loss, known.held_loss)


def test_thousands_of_levels() -> None:
    r = rng()
    levels = r.integers(5000, size=(4000, 1)).astype(float)
    y = (levels[:, 0] < 2500).astype(np.int64)
    said = predict(boost(coded(levels, 0), y, classes=2, boosting=Boosting()), coded(levels, 0))
    assert np.isfinite(said).all()
