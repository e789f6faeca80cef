"""Policies: presets, layers, limits, and errors that name the key."""

from __future__ import annotations

import datetime
import pickle
from pathlib import Path

import pytest

from sterling.decide.policy import (
    CREDENTIALS,
    LoopTerms,
    OrderTerms,
    Policy,
    RareTerms,
    ReviewTerms,
    Waiver,
    load_policy,
    presets,
    waiver,
)
from sterling.kernel import registry
from sterling.kernel.errors import InputError, UnknownName, UnreadableInput


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", presets())
def test_every_preset_loads_is_versioned_and_pickles(name: str) -> None:
    policy = load_policy(name)
    assert policy.label == f"{name} 3"
    assert policy.about
    assert policy.alpha == 0.02
    assert pickle.loads(pickle.dumps(policy)) == policy


def test_the_default_holds_the_documented_bounds() -> None:
    policy = load_policy()
    assert (policy.name, policy.stakes, policy.purpose) == ("default", "low", "any")
    assert policy.bounds["two_sample_auc"] == 0.60
    assert policy.bounds["marginal_gap"] == 0.05
    assert policy.bounds["slice_coverage"] == 0.8
    assert policy.bounds["utility"] == 0.05
    assert policy.benchmark.rows == 314
    assert policy.benchmark.minority_rows == 30
    assert policy.required_for("compare") == ("two_sample_auc", "slice_coverage")
    assert policy.required_for("check") == ()


def test_the_default_states_each_measures_own_bound() -> None:
    import importlib

    bounds = load_policy().bounds
    for name in registry.names("measures"):
        own = importlib.import_module(f"sterling.measures.{name}").BOUND
        assert bounds.get(name, own) == own
        assert name in bounds or name == "label_loss"  # which has one for classes and one for numbers


def test_stakes_make_any_policy_at_least_as_strict(tmp_path: Path) -> None:
    assert load_policy(stakes="low") == load_policy()
    assert load_policy(stakes="consequential") == load_policy("consequential")
    assert load_policy("consequential").benchmark.rows == 1960
    mine = load_policy(write(tmp_path, "[mix]\nse_factor = 3.0\n[bounds]\nutility = 0.1\n"), stakes="consequential")
    assert (mine.stakes, mine.mix.se_factor, mine.bounds["utility"]) == ("consequential", 3.0, 0.02)
    assert "consequential" in mine.label
    assert load_policy("privacy", stakes="consequential").purpose == "privacy"
    strict = load_policy("consequential")
    assert (mine.gate.worse, mine.bias) == (strict.gate.worse, strict.bias) == ("refuse", "block")
    assert load_policy("five_percent", stakes="consequential").bias == "block"


def strictness(policy: Policy) -> dict[str, float]:
    """Everything that stakes set, larger is stricter."""
    return {
        "delta": -policy.bounds["utility"],
        "benchmark rows": policy.benchmark.rows,
        "minority rows": policy.benchmark.minority_rows,
        "leak": -policy.benchmark.leaked_share,
        "mix SE": policy.mix.se_factor,
        "order SE": policy.order.se_factor,
        "slice kept": policy.loops.keep,
        "fresh rows": policy.loops.fresh_rows,
        "replace": policy.loops.replace == "refuse",
        "review bar": -policy.review.error_max,
        "overlap": policy.review.overlap,
        "credentials": CREDENTIALS.index(policy.review.credentials),
        "agreement": policy.review.agreement,
        "kappa": policy.review.kappa,
        "review required": policy.review.required == "yes",
        "few": policy.rare.few,
        "by interval": policy.utility_by == "interval",
        "bias": policy.bias == "block",
        "worse": policy.gate.worse == "refuse",
    }


def test_stakes_set_everything_together(tmp_path: Path) -> None:
    low, high = strictness(load_policy()), strictness(load_policy(stakes="consequential"))
    assert all(high[k] >= low[k] for k in low)
    same = {"minority rows", "replace", "few", "by interval"}  # at their strictest already
    assert {k for k in low if high[k] > low[k]} == set(low) - same
    lax = """
        [loops]
        replace = "warn"
        keep = 0.1
        fresh_rows = 1
        [order]
        se_factor = 0.5
        [review]
        error_max = 0.2
        overlap = 1
        credentials = "anyone"
        agreement = 0.1
        kappa = 0.0
        [utility]
        judge = "point"
    """
    for which in ("default", "privacy", "five_percent", write(tmp_path, lax)):
        assert strictness(load_policy(which, stakes="consequential")) == high
    stricter = load_policy(write(tmp_path, "[review]\nerror_max = 0.001\noverlap = 3\n"), stakes="consequential")
    assert (stricter.review.error_max, stricter.review.overlap, stricter.review.credentials) == (0.001, 3, "expert")


def test_terms_for_loops_orders_review_and_rare_classes() -> None:
    policy = load_policy()
    assert policy.loops == LoopTerms("refuse", 0.8, 5, 1, 2)
    assert policy.order == OrderTerms(2.0)
    assert policy.review == ReviewTerms(0.01, 0.8, 0.6, "no", 0.2, 1, "qualified")
    assert policy.rare == RareTerms(30, 8)
    assert load_policy("privacy").review.required == "yes"


def test_what_is_declared_of_the_data(tmp_path: Path) -> None:
    assert load_policy().declares == ()
    mine = load_policy(write(tmp_path, 'declares = ["safety", "regional"]\n'), declares=["expert", "safety"])
    assert mine.declares == ("regional", "expert", "safety")


def test_a_file_says_only_what_differs(tmp_path: Path) -> None:
    path = write(tmp_path, '[bounds]\ntwo_sample_auc = 0.55\n[gate]\nallow = ["SHIP", "PROTOTYPE_ONLY"]\n')
    mine = load_policy(path)
    assert mine.bounds == {**load_policy().bounds, "two_sample_auc": 0.55}
    assert mine.gate.allow == ("SHIP", "PROTOTYPE_ONLY")
    assert mine.name == "mine"
    assert mine == load_policy(str(path))
    before = mine.label
    assert load_policy(write(tmp_path, "[bounds]\ntwo_sample_auc = 0.56\n")).label != before
    assert load_policy(write(tmp_path, 'extends = "privacy"\nversion = 4')).label == "mine 4"
    assert load_policy(path.with_name("mine.toml")).purpose == "privacy"


@pytest.mark.parametrize(
    "name", ["slice_coverage", "representation", "rare_modes", "unique_values", "hapax", "distinct_n"]
)
def test_a_bound_that_every_set_keeps_is_refused(tmp_path: Path, name: str) -> None:
    for value in ("0", "-1", "0.0", "1.01"):
        with pytest.raises(InputError, match="outside 0 to 1") as caught:
            load_policy(write(tmp_path, f"[bounds]\n{name} = {value}\n"))
        assert "above 0 and at most 1" in caught.value.mend
    for value in (0.001, 0.5, 1.0):
        assert load_policy(write(tmp_path, f"[bounds]\n{name} = {value}\n")).bounds[name] == value


def test_areas_and_gaps_have_limits_of_their_own(tmp_path: Path) -> None:
    for name, wrong in (
        ("two_sample_auc", 0.4), ("membership_inference", 1.1), ("canaries", 0), ("utility", -0.05), ("copies", -1),
        ("utility", 2e9),
    ):  # fmt: skip
        with pytest.raises(InputError, match="outside"):
            load_policy(write(tmp_path, f"[bounds]\n{name} = {wrong}\n"))
    for name, right in (("two_sample_auc", 0.5), ("canaries", 1.0), ("copies", 0.0), ("utility", 3.0)):
        assert load_policy(write(tmp_path, f"[bounds]\n{name} = {right}\n")).bounds[name] == right


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("bound = 3", UnknownName, "did you mean 'bounds'"),
        ("[bounds]\ntwo_sample_acu = 0.6", UnknownName, "did you mean 'two_sample_auc'"),
        ("[benchmark]\nminority = 3", UnknownName, "did you mean 'minority_rows'"),
        ("[required]\ncompar = []", UnknownName, "did you mean 'compare'"),
        ('[required]\ncompare = ["utilty"]', UnknownName, "did you mean 'utility'"),
        ('[gate]\nallow = ["SHIPP"]', UnknownName, "did you mean 'SHIP'"),
        ('stakes = "high"', UnknownName, "consequential"),
        ('extends = "defaul"', UnknownName, "did you mean 'default'"),
        ("[bounds]\nutility = true", InputError, "not a number"),
        ("[bounds]\nutility = nan", InputError, "not a number"),
        ("[false_alarms]\nalpha = 2", InputError, "outside"),
        ("[benchmark]\nminority_rows = -1", InputError, "whole number"),
        ("bounds = 3", InputError, "not a table"),
        ("[name]\nx = 1", InputError, "is a table"),
        ("version = '1'", InputError, "whole number"),
        ('[decisive]\nmeasures = "utility"', InputError, "not a list"),
        ("waiver = 3", InputError, "list of tables"),
        ("[[waiver]]\nrule = 'D2'", InputError, "states no reason"),
        ("[[waiver]]\nrule = 'D22'\nreason='r'\nuntil=2030-01-01\nby='a'", UnknownName, "did you mean"),
        ("[[waiver]]\nrule = 'D2'\nreason='r'\nuntil='soon'\nby='a'", InputError, "not a date"),
        ("[[waiver]]\nrule = 'D2'\nreason=' '\nuntil=2030-01-01\nby='a'", InputError, "not text"),
        ("[[waiver]]\nrule = 'D2'\nreason='r'\nuntill=2030-01-01\nby='a'", UnknownName, "did you mean 'until'"),
        ('[loops]\nreplace = "forbid"', UnknownName, "refuse"),
        ("[loops]\nkeep = 1.2", InputError, "outside"),
        ("[loops]\nfresh = 3", UnknownName, "did you mean 'fresh_rows'"),
        ("[review]\nerror_max = 0", InputError, "outside"),
        ("[review]\noverlap = 0", InputError, "overlap is 0"),
        ('[review]\ncredentials = "experts"', UnknownName, "did you mean 'expert'"),
        ("[rare]\nfew = 5", InputError, "above rare.few"),
        ("[order]\nse_factor = inf", InputError, "not a number"),
        ('declares = ["regionl"]', UnknownName, "did you mean 'regional'"),
        ('declares = "regional"', InputError, "not a list"),
        ("bounds = [", UnreadableInput, "no TOML"),
    ],
)
def test_mistakes_are_named_with_a_mend(tmp_path: Path, text: str, kind: type[InputError], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        load_policy(write(tmp_path, text))
    assert caught.value.mend


def test_policies_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'default'"):
        load_policy("defalt")
    with pytest.raises(UnreadableInput, match="name a TOML file or one of"):
        load_policy(tmp_path / "none.toml")
    with pytest.raises(UnreadableInput):
        load_policy(tmp_path)


def test_waivers_hold_until_their_last_day(tmp_path: Path) -> None:
    text = '[[waiver]]\nmeasure = "marginal_gap"\nreason = "known"\nuntil = 2026-12-31\nby = "Ada"\n'
    (one,) = load_policy(write(tmp_path, text)).waivers
    assert one == Waiver("marginal_gap", "known", datetime.date(2026, 12, 31), "Ada")
    assert one.holds(datetime.date(2026, 12, 31))
    assert not one.holds(datetime.date(2027, 1, 1))
    assert one.text == "known (until 2026-12-31, Ada)"
    assert waiver("slice_coverage:sex=F", "r", until="2030-01-01", by="Ada").rule == "slice_coverage:sex=F"
    assert load_policy(waivers=[one]).waivers == (one,)
    with pytest.raises(InputError, match="not a date"):
        waiver("D2", "r", until="31.12.2030", by="Ada")


def test_a_study_can_require_measures() -> None:
    policy = load_policy(required=["utility"])
    assert policy.required_for("compare") == policy.required_for("run") == ("utility",)
    with pytest.raises(UnknownName, match="did you mean 'utility'"):
        load_policy(required=["utilty"])
