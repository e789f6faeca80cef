"""Credit of rows and of settings: a planted harm is named, an innocent setting is not, and the command answers."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pytest

from sterling.api.credit import Credited
from sterling.api.credit import credit as credit_sets
from sterling.api.setting_columns import read_settings
from sterling.blend.credit import Setting, Value, credit, worst
from sterling.blend.leave_out import LeftOut, confirm, leave_out
from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError, TaskFailed, UnknownName
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Status, Verdict
from sterling.kernel.protocols import silent
from sterling.kernel.schema import Kind, Role
from sterling.kernel.seeds import stream
from sterling.kernel.view import Column, View, stack
from sterling.learners.logistic import Logistic
from sterling.sources.frames import from_frame
from sterling.stats.scores import score_of


def made_view(n: int, *, seed: int, kind: Kind = Kind.CATEGORY) -> View:
    """Rows whose target follows from two numbers."""
    rng = stream(seed, "rows", n)
    x = rng.normal(size=(n, 2))
    score = 2 * x[:, 0] - x[:, 1] + rng.normal(size=n)
    y = (score > 0).astype(np.int64) if kind is Kind.CATEGORY else score
    levels = ("no", "yes") if kind is Kind.CATEGORY else None
    columns = [Column(f"x{j}", Kind.NUMBER, Role.FEATURE, x[:, j]) for j in range(2)]
    return View(n, f"v{seed}", (*columns, Column("y", kind, Role.TARGET, y, levels)))


def spoiled(view: View, rows: np.ndarray, *, how: str) -> View:
    """The target of some rows turned round, or their features exchanged."""
    columns: list[Column] = []
    for c in view.columns or ():
        values = c.values.copy()
        if how == "flip" and c.role is Role.TARGET:
            values[rows] = 1 - values[rows] if c.kind is Kind.CATEGORY else -values[rows]
        if how == "shuffle" and c.role is Role.FEATURE:
            at = np.flatnonzero(rows)
            values[at] = values[np.roll(at, 7)]
        columns.append(replace(c, values=values))
    return replace(view, columns=tuple(columns))


def settings(n: int, *, seed: int, values: int = 8) -> Setting:
    codes = stream(seed, "codes").integers(0, values, n)
    return Setting("persona", tuple("abcdefgh"[:values]), codes)


def found(real: View, made: View, one: Setting, *, seed: int = 0) -> Any:
    return credit(real, made, [one], guide=Logistic(), seed=seed, effort="fast", alpha=0.05, on_event=silent)


@pytest.mark.parametrize("kind", [Kind.CATEGORY, Kind.NUMBER])
@pytest.mark.parametrize("how", ["flip", "shuffle"])
def test_the_setting_that_spoils_rows_is_named_first(kind: Kind, how: str) -> None:
    for seed in range(3):
        one = settings(1600, seed=seed)
        made = spoiled(made_view(1600, seed=100 + seed, kind=kind), one.codes == 3, how=how)
        got = found(made_view(600, seed=seed, kind=kind), made, one, seed=seed)
        named = worst(got, 0.05)
        assert got.values[0].title == "persona=d"
        assert named is not None
        assert named.title == "persona=d"
        assert named.harms(0.05) or how == "shuffle"


def test_good_rows_are_worth_about_a_real_row_and_spoiled_ones_less_than_nothing() -> None:
    one = settings(2000, seed=1, values=2)
    got = found(made_view(1500, seed=2), spoiled(made_view(2000, seed=3), one.codes == 1, how="flip"), one)
    by_title = {v.title: v.credit for v in got.values}
    assert by_title["persona=b"].high < 0 < 0.8 < by_title["persona=a"].value < 1.2
    assert np.nanmean(got.rows[one.codes == 0]) > 0.8 > 0 > np.nanmean(got.rows[one.codes == 1])


def test_an_innocent_setting_is_named_no_more_often_than_alpha_allows() -> None:
    named = 0
    for seed in range(20):
        one = settings(600, seed=seed, values=6)
        named += worst(found(made_view(300, seed=seed), made_view(600, seed=500 + seed), one), 0.05) is not None
    assert named <= 4  # 20 trials at .05: more has a chance of .003


@pytest.mark.slow
def test_the_interval_covers_what_many_sets_show() -> None:
    truth = np.mean([_credit_of_b(seed).value for seed in range(200, 230)])
    covered = sum(e.low <= truth <= e.high for e in (_credit_of_b(seed) for seed in range(30)))
    assert covered >= 26


def _credit_of_b(seed: int) -> Estimate:
    one = settings(400, seed=seed, values=2)
    made = spoiled(made_view(400, seed=1000 + seed), one.codes == 1, how="flip")
    got = found(made_view(300, seed=3000 + seed), made, one, seed=seed)
    return next(v.credit for v in got.values if v.title == "persona=b")


def test_few_rows_of_a_value_and_few_real_rows_are_said() -> None:
    codes = np.zeros(300, dtype=np.int64)
    codes[:5] = 1
    one = Setting("t", ("0", "1"), codes)
    got = found(made_view(200, seed=1), made_view(300, seed=2), one)
    assert isinstance(next(v for v in got.values if v.title == "t=1").credit, Unmeasured)
    small = made_view(14, seed=1)
    assert isinstance(found(small, made_view(300, seed=2), one), Unmeasured)
    one_class = small.take(np.flatnonzero(small.column("y").values == 1))
    assert isinstance(found(one_class, made_view(300, seed=2), one), Unmeasured)


def test_rows_without_a_target_have_no_credit() -> None:
    made, one = made_view(400, seed=2), settings(400, seed=2, values=3)
    target = made.column("y").values.copy()
    target[:10] = -1
    columns = tuple(replace(c, values=target) if c.name == "y" else c for c in made.columns or ())
    got = found(made_view(300, seed=1), replace(made, columns=columns), one)
    assert np.isnan(got.rows[:10]).all()
    assert np.isfinite(got.rows[10:]).all()


def test_leaving_spoiled_rows_out_gains_and_is_told_in_real_rows() -> None:
    one = settings(1500, seed=4, values=2)
    real, made = made_view(200, seed=1, kind=Kind.NUMBER), made_view(1500, seed=9, kind=Kind.NUMBER)
    made = spoiled(made, one.codes == 1, how="flip")
    parts = {"a": one.codes == 0, "b": one.codes == 1}
    got = leave_out(real, made, parts, weight=0.2, learner=Logistic(), seed=0, effort="full", on_event=silent)
    assert isinstance(got["b"].gain, Estimate)
    assert got["b"].gain.low > 0
    assert isinstance(got["a"].gain, Estimate)
    assert got["a"].gain.high < 0
    seen = confirm(
        real, made_view(800, seed=77, kind=Kind.NUMBER), made, one.codes == 1, weight=0.2, learner=Logistic(), seed=0,
        effort="fast", on_event=silent,
    )  # fmt: skip
    assert isinstance(seen, Estimate)
    assert seen.low > 0


WIDE, HARM, WEIGHT = 40, 0.3, 0.3


def wide_view(n: int, rng: np.random.Generator, *, flipped: np.ndarray | None = None) -> View:
    """Ten numbers of forty matter, so that more rows help much; some rows have their target turned round."""
    x = rng.normal(size=(n, WIDE))
    y = x[:, :10].sum(axis=1) / 2 + 0.7 * rng.normal(size=n)
    y = y if flipped is None else np.where(flipped, -y, y)
    columns = [Column(f"x{j}", Kind.NUMBER, Role.FEATURE, x[:, j]) for j in range(WIDE)]
    return View(n, "w", (*columns, Column("y", Kind.NUMBER, Role.TARGET, y)))


def true_cost(real_rows: int, made_rows: int, *, repeats: int) -> float:
    """Real rows that the flipped 30 % cost: their harm by the slope of the real curve, on fresh rows every time."""
    learner, test = Logistic(), wide_view(4000, stream(0, "fresh test"))
    target = test.column("y")

    def score(train: View, weights: np.ndarray | None, rng: np.random.Generator) -> float:
        return score_of(target, np.asarray(learner.predict(learner.fit(train, weights, rng=rng), test)))

    sizes = [round(f * real_rows) for f in (0.8, 0.9, 1.0, 1.1, 1.2)]
    gains, curve = [], []
    for repeat in range(repeats):
        rng = stream(repeat, "fresh")
        real, bad = wide_view(real_rows, rng), rng.random(made_rows) < HARM
        made = wide_view(made_rows, rng, flipped=bad)
        scores = [
            score(stack([real, part]), np.r_[np.ones(real.n), np.full(part.n, WEIGHT)], rng)
            for part in (made, made.take(~bad))
        ]
        gains.append(scores[1] - scores[0])
        curve.append([score(wide_view(size, rng), None, rng) for size in sizes])
    slope = np.polyfit(np.array(sizes) - real_rows, np.mean(curve, axis=0), 2)[1]
    return float(np.mean(gains) / slope)


def test_real_rows_that_a_harm_costs_are_what_fresh_rows_show() -> None:
    truth = true_cost(120, 400, repeats=100)  # a fold keeps 120 of 150 rows
    assert 50 < truth < 200
    sure = covered = told = 0
    for seed in range(20):
        rng = stream(seed, "planted harm")
        real, bad = wide_view(150, rng), rng.random(400) < HARM
        got = leave_out(
            real, wide_view(400, rng, flipped=bad), {"b": bad}, weight=WEIGHT, learner=Logistic(), seed=seed,
            effort="full", on_event=silent,
        )["b"]  # fmt: skip
        assert isinstance(got.gain, Estimate)
        if isinstance(got.real_rows, Unmeasured):  # an interval of more than ten times the rows is not told
            continue
        sure += 1
        covered += got.real_rows.low <= truth <= got.real_rows.high
        told += got.gain.low > 0 and got.real_rows.low > 0
    assert sure >= 17
    assert covered >= sure - 4  # 20 trials at .95: fewer has a chance of .003
    assert told >= 12


def framed(view: View, **more: Any) -> pa.Table:
    return pa.table({c.name: c.values for c in view.columns or ()} | more)


def test_what_a_harm_costs_is_said_in_real_rows() -> None:
    rng = stream(0, "said harm")
    bad = rng.random(400) < HARM
    made = framed(wide_view(400, rng, flipped=bad), persona=np.where(bad, "bad", "good"))
    got = credit_sets(
        framed(wide_view(150, rng)), made, target="y", by=["persona"], holdout=framed(wide_view(800, rng)),
        learner="logistic", weight=WEIGHT,
    )  # fmt: skip
    said = re.search(r"persona=bad costs you (\d+) real rows \(([\d.]+) to ([\d.]+)\)", got.decision.rules[0].reason)
    assert said is not None, got.decision.rules[0].reason
    rows, low, high = (float(x) for x in said.groups())
    assert 0 < low < rows < high
    assert low < 105 < high  # as 300 sets of fresh rows show: true_cost(120, 400, repeats=300)
    assert "The benchmark confirms it" in got.decision.rules[0].reason


def test_the_written_set_and_the_verdict_do_not_depend_on_the_benchmark(
    folder: Path, spoiled_set: Path, tmp_path: Path
) -> None:
    holdout = pc.read_csv(folder / "holdout.csv")
    turned = pa.array([">50K" if v == "<=50K" else "<=50K" for v in holdout["label"].to_pylist()])
    answers = [
        credit_sets(
            folder / "real.csv", spoiled_set, target="label", by=["persona"], holdout=table, out=tmp_path / name,
            learner="logistic", effort="fast",
        )
        for name, table in (("a.csv", holdout), ("b.csv", holdout.set_column(6, "label", turned)))
    ]  # fmt: skip
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    first, second = (a.decision.rules[0] for a in answers)
    assert (first.outcome, second.outcome) == ("DROP_SETTING", "DROP_SETTING")
    assert answers[0].decision.verdict is answers[1].decision.verdict is Verdict.FIX
    assert "The benchmark confirms it" in first.reason
    assert "The benchmark contradicts it" in second.reason


def test_dropping_rests_on_the_train_rows_and_pays_for_every_look() -> None:
    one = settings(900, seed=4, values=3)
    real, made = wide_view(150, stream(1, "a")), wide_view(900, stream(2, "a"), flipped=one.codes == 1)
    parts = {"persona=b": one.codes == 1}
    terms: dict[str, Any] = {"weight": 0.3, "learner": Logistic(), "seed": 0, "effort": "full", "on_event": silent}
    alone, of_many = (leave_out(real, made, parts, looks=k, **terms)["persona=b"] for k in (1, 200))
    assert isinstance(alone.sure, Estimate)
    assert isinstance(of_many.sure, Estimate)
    assert alone.gain == of_many.gain
    assert alone.gains
    assert of_many.sure.high - of_many.sure.low > 1.5 * (alone.sure.high - alone.sure.low)
    lags = Value("persona=b", one.codes == 1, Estimate(0.2, 0.1, 0.3, 300, 0.95, "t"), 0.001)
    hurts = replace(lags, credit=Estimate(-0.2, -0.3, -0.1, 300, 0.95, "t"))
    nothing = LeftOut(alone.gain, alone.real_rows, Estimate(0.0, -0.1, 0.1, 100, 0.95, "t"))
    loses = replace(nothing, sure=Estimate(-0.2, -0.3, -0.1, 100, 0.95, "t"))
    for gained, dropped in ((alone, (True, True)), (nothing, (False, True)), (loses, (False, False))):
        about = Credited("v", Unmeasured("-", "-"), (one,), {"persona=b": gained}, None, None, 0.05, 1.0)
        assert (about.drops(lags), about.drops(hurts)) == dropped


@dataclass(frozen=True)
class Fails(Logistic):
    """Fails as soon as synthetic rows come in."""

    def fit(self, data: View, weights: Any, *, rng: np.random.Generator, start: Any = None) -> Any:
        if weights is not None:
            raise TaskFailed("no memory", mend="buy some")
        return super().fit(data, weights, rng=rng)


def test_a_learner_that_fails_leaves_the_credits_standing() -> None:
    one = settings(300, seed=4, values=2)
    got = leave_out(
        made_view(200, seed=1), made_view(300, seed=2), {"a": one.codes == 0}, weight=1.0, learner=Fails(), seed=0,
        effort="fast", on_event=silent,
    )  # fmt: skip
    assert isinstance(got["a"].gain, Unmeasured)
    assert "no memory" in got["a"].gain.reason


@pytest.fixture(scope="module")
def spoiled_set(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """vendor.csv with columns that say how each row was made; one persona's labels are turned round."""
    table = pc.read_csv(folder / "vendor.csv")
    rng = stream(1, "persona")
    persona = np.array(["expert", "Müller", "clerk", "nurse", "pilot"])[rng.integers(0, 5, table.num_rows)]
    label = np.array(table["label"].to_pylist())
    wrong = np.where(label == "<=50K", ">50K", "<=50K")
    table = table.set_column(6, "label", pa.array(np.where(persona == "expert", wrong, label)))
    table = table.append_column("persona", pa.array(persona))
    table = table.append_column("temperature", pa.array(rng.uniform(0, 1.2, table.num_rows)))
    table = table.append_column("prompt", pa.array([f"row {i}" if i % 4 else None for i in range(table.num_rows)]))
    table = table.append_column("model", pa.array(["m1"] * table.num_rows))
    out = tmp_path_factory.mktemp("spoiled") / "made.csv"
    pc.write_csv(table, out)
    return out


def test_the_command_names_confirms_and_writes(
    cli: Callable[..., Any], folder: Path, spoiled_set: Path, tmp_path: Path
) -> None:
    said = cli(
        "credit", folder / "real.csv", spoiled_set, "--target", "label", "--by", "persona", "--by", "temperature",
        "--holdout", folder / "holdout.csv", "--fast", "-o", tmp_path / "kept.csv",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "Drop persona=expert" in said.out
    assert "What each setting is worth" in said.out
    assert "CREDIT KEEP" in said.out
    assert max(len(line) for line in said.out.splitlines()) <= 80
    with (tmp_path / "kept.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert not any(row["persona"] == "expert" for row in rows)
    assert all(float(row["_sterling_credit"]) > -99 for row in rows)


def test_the_result_says_what_the_finding_rests_on(folder: Path, spoiled_set: Path) -> None:
    got = credit_sets(
        folder / "real.csv", spoiled_set, target="label", by=["persona"], holdout=folder / "holdout.csv",
        learner="logistic", effort="fast",
    )  # fmt: skip
    first = got.findings[0]
    assert (first.name, first.status) == ("setting_credit:persona=expert", Status.FAIL)
    assert got.decision.verdict is Verdict.FIX
    assert [f.measure for f in got.findings].count("setting_ablation") == 1
    assert got.decision.rules[0].outcome == "DROP_SETTING"


def test_the_same_seed_gives_the_same_answer(folder: Path, spoiled_set: Path) -> None:
    one, two = (
        credit_sets(
            folder / "real.csv", spoiled_set, target="label", by=["persona"], learner="logistic", effort="fast"
        ).as_json()
        for _ in range(2)
    )
    assert one == two


@pytest.mark.parametrize(
    ("by", "words"),
    [("presona", "persona"), ("model", "one value only"), ("label", "the target"), ("nothing", "no column")],
)
def test_what_cannot_be_a_setting_is_said(
    cli: Callable[..., Any], folder: Path, spoiled_set: Path, by: str, words: str
) -> None:
    said = cli("credit", folder / "real.csv", spoiled_set, "--target", "label", "--by", by, "--fast")
    assert said.code == 2
    assert words in said.err
    assert "Traceback" not in said.err


def dataset(**columns: list[Any]) -> Dataset:
    return from_frame(pa.table(columns), name="set")


def test_settings_of_many_values_are_gathered() -> None:
    prompts = [f"p{min(i // 30, 24)}" for i in range(900)]
    codes = read_settings(dataset(prompt=prompts, t=[i % 90 / 90 for i in range(900)]), ["prompt", "t"], target="y")
    assert len(codes[0].labels) == 21
    assert "(rest)" in codes[0].labels
    assert len(codes[1].labels) == 5
    missing = read_settings(dataset(p=["a", None] * 50), ["p"], target="y")[0]
    assert set(missing.labels) == {"a", "missing"}
    with pytest.raises(InputError, match="none in 20 rows"):
        read_settings(dataset(p=[f"free text {i}" for i in range(200)]), ["p"], target="y")
    with pytest.raises(UnknownName):
        read_settings(dataset(p=["a", "b"]), ["q"], target="y")
