"""The privacy passport: one verdict, and a recipient's form in which nothing real can be found."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sterling.api.compare import compare
from sterling.api.passport import ATTACKS, passport, passports
from sterling.api.ship import write_report
from sterling.decide.inputs import InputRecord
from sterling.decide.people_rules import ATTACKS as JUDGED
from sterling.decide.people_rules import COPIES
from sterling.decide.result import Result, parse_result, write_result
from sterling.kernel.audience import FEWEST, is_private, step
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Decision, Finding, RuleOutcome, Status, Verdict
from sterling.report import render
from sterling.report.passport import render_passport
from sterling.report.recipient import recipients

# Cells that a handful of real rows alone have; no reader but the owner may ever see one.
SECRETS = ("Xanthippe-Quux", "Zz&<Ünique>", "914273.5519", "K-77-RARE")


def found(
    measure: str, status: Status = Status.PASS, *, where: str | None = None, n: int = 4000, **evidence: Any
) -> Finding:
    told, reason = Estimate(0.004, -0.016, 0.024, n, 0.95, "x"), "3 people of K-77-RARE."
    params = {"bound": 0.05}
    return Finding(measure, told, "lower", status, slice=where, reason=reason, params=params, evidence=evidence)


def result(findings: Sequence[Finding], *, policy: str = "privacy 3", generator: str | None = None) -> Result:
    inputs = (InputRecord("real", 4000, "f" * 64), InputRecord("hold", 7, "e" * 64),
              InputRecord("made", 4000, "d" * 64, "synthetic", generator=generator))  # fmt: skip
    rule = RuleOutcome("D2", "FIX_GENERATOR", ("slice_coverage:site=K-77-RARE",), "In K-77-RARE 3 rows.", Verdict.FIX)
    return Result("compare", Decision(Verdict.FIX, policy, (rule,)), tuple(findings), inputs, 0, policy)


def all_pass() -> list[Finding]:
    return [found(a.measure, where=a.slice) for a in ATTACKS]


def with_status(measure: str, status: Status) -> list[Finding]:
    return [replace(f, status=status) if f.measure == measure and f.slice is None else f for f in all_pass()]


def test_every_attack_that_the_rules_know_has_a_line() -> None:
    assert {a.measure for a in ATTACKS} == {*COPIES, *JUDGED}


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        (all_pass(), "SHARE"),
        (with_status("linkability", Status.FAIL), "BLOCK"),
        (with_status("canaries", Status.FAIL), "BLOCK"),
        (with_status("singling_out", Status.UNDECIDED), "INSUFFICIENT"),
        (with_status("near_copies", Status.NOT_APPLICABLE), "SHARE"),
        ([f for f in all_pass() if f.measure != "nearest_record"], "INSUFFICIENT"),
        ([*all_pass(), found("attribute_inference", Status.FAIL, where="column=income")], "BLOCK"),
    ],
)
def test_one_verdict(findings: list[Finding], verdict: str) -> None:
    made = passports(result(findings), audience="owner")
    assert [p.verdict for p in made] == [verdict]
    assert verdict in render_passport(made, created="")
    assert made[0].because


def test_an_open_answer_says_what_it_would_take() -> None:
    open_one = replace(found("linkability", Status.UNDECIDED), evidence={"times_the_rows_would_decide": 3.4})
    why = Unmeasured("no real rows are known to be unseen by the generator", "split")
    blind = Finding("membership_inference", why, "lower", Status.UNMEASURED, reason=why.reason)
    told = passports(result([open_one, blind]), audience="owner")[0]
    assert "3.4 times the rows" in told.needs[0]
    assert "--holdout" in told.needs[1]
    assert any("no real rows are known to be unseen" in line for line in told.untested)
    assert any(line.endswith("Not taken.") for line in told.untested)
    none = Finding("canaries", Unmeasured("no canaries", "plant some"), "lower", Status.UNMEASURED, reason="none")
    quiet = passports(result([*all_pass()[:-1], none]), audience="recipient")[0]
    assert (quiet.verdict, "None were planted" in quiet.untested[0]) == ("SHARE", True)


def test_attack_and_control_stand_side_by_side() -> None:
    risk = found("linkability", train_linked=300, tried=4000, control_hits=50, control_tried=1000)
    line = passports(result([risk]), audience="owner")[0].threats[0]
    assert (line.success, line.control, line.bound) == ("7.5 %", "5.0 %", "0.050")


def test_a_claim_is_read_from_the_lineage() -> None:
    told = passports(result(all_pass(), generator="aim(epsilon=1.0, delta=1e-06)"), audience="recipient")[0]
    facts = dict(told.facts)
    assert facts["made by"] == "aim"
    assert facts["claimed"].startswith("epsilon 1, delta 1e-06")
    assert not any("no epsilon is claimed" in line for line in told.unpromised)
    plain = passports(result(all_pass(), generator="cart(first=('K-77-RARE',))"), audience="recipient")[0]
    assert dict(plain.facts)["made by"] == "cart"
    assert any("no epsilon is claimed" in line for line in plain.unpromised)


def test_the_generator_survives_the_envelope() -> None:
    one = result(all_pass(), generator="cart(min_leaf=5)")
    assert parse_result(json.loads(json.dumps(one.as_json()))).inputs == one.inputs


def test_a_recipient_sees_no_small_count_no_sentence_and_no_real_fingerprint() -> None:
    few = found("canaries", n=7)
    noted = replace(result([*all_pass()[:-1], few]), notes=("K-77-RARE has 3 rows",))
    page = render_passport(passports(noted, audience="recipient"), created="")
    told = json.dumps([p.as_json() for p in passports(noted, audience="recipient")])
    envelope = json.dumps(recipients(noted).as_json())
    for text in (page, told, envelope):
        assert "K-77-RARE" not in text
        assert "f" * 12 not in text
        assert "3 people" not in text
    assert "&lt;10" in page
    canaries = next(t for t in passports(noted, audience="recipient")[0].threats if t.measure == "canaries")
    assert (canaries.judged, canaries.success) == ("", "")


def test_a_column_that_is_called_as_a_measures_own_slices_stays_with_the_owner() -> None:
    own = [found("rare_exposure", Status.FAIL, where="values=exact numbers")]
    others = [found("slice_coverage", Status.FAIL, where="values=HIV positive"),
              found("rare_exposure", Status.FAIL, where="values=HIV positive"),
              found("outcome_gap", Status.FAIL, where="descriptions=K-77-RARE")]  # fmt: skip
    assert [f.slice for f in recipients(result([*own, *others])).findings] == ["values=exact numbers"]


def test_a_recipients_envelope_names_no_setting_and_no_exact_or_small_count() -> None:
    made = recipients(result([found("copies", n=4013)], generator="cart(first=('hiv_status',))"))
    assert [(r.rows, r.generator) for r in made.inputs] == [(4000, None), (9, None), (4000, "cart")]
    assert "fewer than 10 rows" in made.inputs[1].notes[0]
    assert [f.result.n for f in made.findings if isinstance(f.result, Estimate)] == [4010]
    private = recipients(result([], generator="aim(epsilon=1.0, delta=1e-06, first=hiv_status)")).inputs[2]
    assert private.generator == "aim(epsilon=1, delta=1e-06)"
    page = render(made, audience="recipient", created="")
    assert ("&lt;10" in page, ">9<" in page, "hiv_status" in page) == (True, False, False)


@pytest.mark.parametrize(
    ("control", "shown"), [(9, ("", "", "")), (10, ("5 %", "0 %", "0 [−1.000, 1.000]")), (1000, ("5 %", "0 %", ""))]
)
def test_a_share_is_no_finer_than_ten_of_its_own_group(control: int, shown: tuple[str, str, str]) -> None:
    rare = found("rare_exposure", shown=200, lone=4000, control_shown=1, control_lone=control)
    told = next(t for t in passports(result([rare]), audience="recipient")[0].threats)
    assert (told.success.replace("5.0", "5"), told.control.replace("0.0", "0")) == shown[:2]
    if control < 1000:
        assert told.judged == shown[2]
    envelope = recipients(result([rare])).findings[0].result
    assert isinstance(envelope, Estimate) == (control >= FEWEST)


@pytest.mark.parametrize("whole", [Status.UNDECIDED, Status.UNMEASURED, Status.PASS, None])
def test_a_part_that_fails_is_told_whatever_its_whole_says(whole: Status | None) -> None:
    part = found("attribute_inference", Status.FAIL, where="column=income")
    others = [f for f in all_pass() if f.measure != "attribute_inference"]
    of_all = [] if whole is None else [found("attribute_inference", whole)]
    if whole is Status.UNMEASURED:
        why = Unmeasured("too few", "give more")
        of_all = [Finding("attribute_inference", why, "lower", whole, reason=why.reason)]
    for audience in ("owner", "recipient"):
        told = passports(result([*others, *of_all, part]), audience=audience)[0]
        assert (told.verdict, "attribute inference" in told.because) == ("BLOCK", True)
        assert [t.status for t in told.threats if t.measure == "attribute_inference"] == ["fail"] * len(of_all)


def test_a_recipients_numbers_are_no_finer_than_ten_rows_and_still_hold_the_interval() -> None:
    one = Finding("copies", Estimate(0.00123, 0.00041, 0.00297, 1000, 0.95, "x"), "lower", Status.PASS)
    told = next(f for f in recipients(result([one])).findings if f.measure == "copies").result
    assert isinstance(told, Estimate)
    assert (told.low, told.high) == (0.0, 0.01)
    assert step(1000) == 0.01
    assert step(1000) >= FEWEST / 1000


def test_only_policies_that_are_known_to_be_open_are() -> None:
    assert [is_private(p) for p in ("default 3", "privacy 3", "ours 1a", "")] == [False, True, True, True]
    begins = [write_text_of(result(all_pass(), policy=p)) for p in ("privacy 3", "default 3")]
    assert ["Privacy passport of" in html for html in begins] == [True, False]


def write_text_of(one: Result) -> str:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        write_report(one, Path(folder) / "r.html")
        return (Path(folder) / "r.html").read_text(encoding="utf-8")


def test_a_result_without_attacks_has_no_passport(tmp_path: Path) -> None:
    write_result(replace(result([found("utility")]), kind="worth"), tmp_path / "w.json")
    with pytest.raises(InputError, match="holds no attack"):
        passport(tmp_path / "w.json", out=tmp_path / "p.html")


def town(n: int, seed: int) -> dict[str, list[Any]]:
    r = np.random.default_rng(seed)
    z = r.normal(size=n)
    return {
        "age": (40 + 10 * z).round().tolist(), "pay": (900 + 100 * z + 40 * r.normal(size=n)).round(2).tolist(),
        "site": r.choice(["north", "south", "east"], size=n).tolist(), "sick": r.choice(["yes", "no"], size=n).tolist(),
    }  # fmt: skip


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """Real rows with secrets that few have, and a synthetic set that repeats a tenth of the real rows, those too."""
    cells = town(1000, 0)
    for i in range(4):
        cells["site"][i] = SECRETS[i % 2]
        cells["pay"][i] = float(SECRETS[2])
        cells["sick"][i] = SECRETS[3]
    real, fresh = pa.table(cells), pa.table(town(1000, 1))
    made = pa.concat_tables([real.slice(0, 100), fresh.slice(0, 900)])
    judged = compare(real, made, holdout=pa.table(town(500, 2)), target="sick", slices=("site",), policy="privacy",
                     effort="fast")  # fmt: skip
    return judged, tmp_path_factory.mktemp("passport")


def test_nothing_planted_in_the_real_rows_reaches_a_recipient(planted: tuple[Result, Path]) -> None:
    judged, folder = planted
    owners = json.dumps(judged.as_json(), ensure_ascii=False)
    assert any(secret in owners for secret in SECRETS)  # else nothing is tested here
    write_result(judged, folder / "result.json")
    passport(folder / "result.json", out=folder / "p.html", audience="recipient", as_json=folder / "p.json")
    write_report(judged, folder / "report.html", audience="recipient")
    write_result(recipients(judged), folder / "r.json")
    reals = [r.fingerprint for r in judged.inputs if r.origin == "real"]
    for name in ("p.html", "p.json", "report.html", "r.json"):
        told = (folder / name).read_text(encoding="utf-8")
        for secret in (*SECRETS, "Xanthippe", "Ünique", "914,273", "914273", *reals):
            assert secret not in told, f"{name}: {secret}"
        assert "BLOCK" in told


def test_the_owners_form_names_what_fails(planted: tuple[Result, Path]) -> None:
    told = passports(planted[0], audience="owner")[0]
    assert told.verdict == "BLOCK"
    assert next(t for t in told.threats if t.measure == "copies").status == "fail"
    assert any("Most exposed training rows" in note for note in told.notes)


def test_the_command_writes_both_forms(planted: tuple[Result, Path], cli: Callable[..., Any], tmp_path: Path) -> None:
    write_result(planted[0], tmp_path / "result.json")
    said = cli("passport", tmp_path / "result.json", "-o", tmp_path / "p.html", "--for", "recipient")
    assert (said.code, "BLOCK" in said.out) == (0, True)
    html = (tmp_path / "p.html").read_text()
    assert "recipient’s form" in html
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")
    broken = cli("passport", tmp_path / "none.json", "-o", tmp_path / "q.html")
    assert (broken.code, "none.json" in broken.err) == (2, True)
