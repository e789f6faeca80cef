"""Advice: an answer to every combination of answers, contradictions named, studies that run, no set let pass."""

from __future__ import annotations

import datetime
import itertools
import json
import os
import pty
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

import sterling
from sterling.api.advise import advise
from sterling.cli.app import app
from sterling.decide.advise import COMMANDS, advice
from sterling.decide.answers import KEYS, QUESTIONS, Answers, blank, contradictions, parse_answers, settled
from sterling.decide.policy import load_policy
from sterling.decide.result import Result, parse_result, read_result
from sterling.decide.rulebook import RULES
from sterling.kernel.errors import InputError, UnknownName, UnreadableInput
from sterling.kernel.finding import RuleOutcome, Verdict
from sterling.study import read_study

TODAY = datetime.date(2026, 11, 24)
# The strictest three: none of them lets synthetic rows be more than a prototype.
AT_MOST_A_PROTOTYPE = {Verdict.BLOCK, Verdict.REAL_REQUIRED, Verdict.PROTOTYPE_ONLY}
GOOD = {"real_rows": 5000, "benchmark_rows": 2000, "real": "real.csv", "holdout": "holdout.csv", "target": "label"}


def outcomes(result: Result) -> set[str]:
    return {f"{r.rule} {r.outcome}" for r in result.decision.rules}


def table(result: Result, title: str) -> list[tuple]:
    return [row for t in result.tables if t.title == title for row in t.rows]


def steps(result: Result) -> str:
    return " | ".join(str(row[1]) for row in table(result, "Route"))


def commands(result: Result) -> str:
    return "\n".join(str(row[1]) for row in table(result, COMMANDS))


def options(key: str) -> tuple[str, ...]:
    return next(q.names for q in QUESTIONS if q.key == key)


def test_every_combination_of_answers_is_answered() -> None:
    policies = {
        (preset, stakes): load_policy(preset, stakes=stakes)
        for preset in (None, "privacy")
        for stakes in ("low", "consequential")
    }
    purposes = [(), *((p,) for p in options("purpose")), options("purpose")]
    declares = [(), *((d,) for d in options("declares")), options("declares")]
    rows = [(None, None, None), (0, 0, None), (0, 400, 5), (60, 0, 4), (5000, 0, 24), (5000, 2000, 900)]
    turn = itertools.cycle(itertools.product((None, *options("source")), options("fitted_on"), options("loop")))
    people = itertools.cycle([(None, None, 0, 0), (0.7, 0.5, 0, 0), (0.9, 0.7, 300, 0), (None, None, 50, 9)])
    tried = 0
    for modality, purpose, stakes, declared, (n, test, rare) in itertools.product(
        options("modality"), purposes, options("stakes"), declares, rows
    ):
        source, fitted_on, loop = next(turn)
        agreement, kappa, reviewed, wrong = next(people)
        answers = Answers(
            modality=modality, purpose=purpose, stakes=stakes, declares=declared, real_rows=n, benchmark_rows=test,
            rarest_rows=rare, source=source, fitted_on=fitted_on, loop=loop, agreement=agreement, kappa=kappa,
            reviewed=reviewed, wrong=wrong, command="python t.py" if tried % 3 == 0 else None,
            groups=("sex",) if tried % 2 else (),
        )  # fmt: skip
        policy = policies["privacy" if "privacy" in purpose else None, settled(answers).stakes]
        holds_together(answers, advice(answers, policy=policy, measured=None, today=TODAY))
        tried += 1
    assert tried == 7 * 9 * 2 * 6 * 6


def holds_together(answers: Answers, result: Result) -> None:
    verdict, said = result.decision.verdict, outcomes(result)
    assert verdict is not Verdict.SHIP
    assert "ADVISE NOTHING_MEASURED" in said
    assert {r.rule for r in result.decision.rules} <= set(RULES)
    assert all(r.reason.endswith(".") and ".." not in r.reason for r in result.decision.rules)
    assert steps(result)
    never = dict(table(result, "What is forbidden"))
    if answers.real_rows is None:
        assert "ADVISE COUNT_REAL" in said
        assert verdict is not Verdict.PROTOTYPE_ONLY
    if answers.nothing_real:
        assert verdict in AT_MOST_A_PROTOTYPE
        assert "D15 PROTOTYPE_ONLY" in said
    if not answers.real_rows:
        assert "blend" not in steps(result)
    strict = settled(answers).stakes == "consequential" or {"regional", "expert", "safety"} & {*answers.declares}
    if strict:
        assert verdict in (Verdict.REAL_REQUIRED, Verdict.BLOCK)
        assert never["train on synthetic records alone"] == "D1"
        assert not any("stand in for real" in str(row[1]) for row in table(result, "What would change this"))
    if strict and not answers.real_rows and not answers.has_test and settled(answers).stakes == "consequential":
        assert "prototype" not in steps(result)
    if "subjective" in answers.declares or (answers.agreement or 1) < 0.8:
        assert "D13 REAL_FOR_SUBJECTIVE" in said
    if answers.loop == "replace":
        assert "D10 REPLACE_REFUSED" in said


@pytest.mark.parametrize(
    ("given", "verdict", "route", "spoken"),
    [
        ({"purpose": ["bootstrap"], "real_rows": 0}, "PROTOTYPE_ONLY", "prototype only | collect a real test",
         "D15 PROTOTYPE_ONLY"),
        ({"purpose": ["bootstrap"]}, "INSUFFICIENT", "count the real records | ask again", "ADVISE COUNT_REAL"),
        ({}, "INSUFFICIENT", "count the real records | ask again", "ADVISE COUNT_REAL"),
        ({"stakes": "consequential", "real_rows": 0}, "REAL_REQUIRED", "collect a real test", "D1 REAL_REQUIRED"),
        (GOOD, "INSUFFICIENT", "generate | compare | measure its worth | blend | review 299 rows | gate", "D12 REVIEW"),
        ({**GOOD, "purpose": ["thin_class"], "rarest_rows": 20}, "INSUFFICIENT", "augment the thin class, blend",
         "D8 SHOW_SLICE_GAIN"),
        ({**GOOD, "rarest_rows": 5}, "INSUFFICIENT", "augment the thin class", "D8 INSUFFICIENT"),
        ({**GOOD, "purpose": ["privacy"]}, "INSUFFICIENT", "attack | gate | ship", "D9 ATTACK_FIRST"),
        ({**GOOD, "source": "file", "synthetic": "v.csv", "fitted_on": "real"}, "INSUFFICIENT",
         "compare | measure its worth", "D7 AUGMENT_RARE"),
        ({**GOOD, "source": "file", "synthetic": "v.csv"}, "INSUFFICIENT", "compare", "D12 REVIEW"),
        ({**GOOD, "loop": "replace"}, "INSUFFICIENT", "probe the loop", "D10 REPLACE_REFUSED"),
        ({**GOOD, "groups": "sex, race"}, "INSUFFICIENT", "compare", "D11 COMPARE_GROUPS"),
        ({**GOOD, "command": "python t.py"}, "INSUFFICIENT", "try the order", "D14 TRY_ORDERS"),
        ({**GOOD, "declares": ["expert"]}, "REAL_REQUIRED", "review 299 rows", "D1 REAL_REQUIRED"),
        ({**GOOD, "agreement": 0.7, "annotated": 200}, "REAL_REQUIRED", "blend", "D13 REAL_FOR_SUBJECTIVE"),
        ({**GOOD, "reviewed": 400, "wrong": 0}, "INSUFFICIENT", "keep the review's record", "D12 REVIEWED"),
        ({**GOOD, "reviewed": 299, "wrong": 0}, "INSUFFICIENT", "keep the review's record", "D12 REVIEWED"),
        ({**GOOD, "reviewed": 298, "wrong": 0}, "INSUFFICIENT", "review 1 row", "D12 REVIEW"),
        ({**GOOD, "reviewed": 2000, "wrong": 3}, "INSUFFICIENT", "keep the review's record", "D12 REVIEWED"),
        ({**GOOD, "reviewed": 600, "wrong": 3}, "INSUFFICIENT", "review 582 rows", "D12 REVIEW"),
        ({**GOOD, "reviewed": 400, "wrong": 30}, "INSUFFICIENT", "review 299 rows", "D12 TOO_MANY_WRONG"),
        ({**GOOD, "benchmark_rows": 100}, "INSUFFICIENT", "collect a real test", "D0 COLLECT_TEST"),
        ({**GOOD, "modality": "image", "purpose": ["rare_scenes"]}, "INSUFFICIENT",
         "generate elsewhere | train at several sizes | measure its worth", "D12 REVIEW"),
        ({"real_rows": 0, "benchmark_rows": 2000, "holdout": "h.csv"}, "INSUFFICIENT",
         "judge it on the test | collect real records", "D12 REVIEW"),
        ({**GOOD, "modality": "preference"}, "INSUFFICIENT", "let people validate", "D12 REVIEW"),
        ({**GOOD, "modality": "text", "purpose": ["instructions"]}, "INSUFFICIENT", "score the teacher", "D12 REVIEW"),
    ],
)  # fmt: skip
def test_answers_lead_to_their_route(given: dict, verdict: str, route: str, spoken: str) -> None:
    result = advise(given)
    assert result.decision.verdict.value == verdict
    assert route in steps(result)
    assert spoken in outcomes(result)
    assert parse_result(json.loads(json.dumps(result.as_json()))) == result


def test_commands_are_exact_and_every_one_is_a_command_of_ours() -> None:
    result = advise({
        **GOOD, "real": "my rows.csv", "groups": ["sex"], "region": "state", "stakes": "consequential",
        "loop": "inject", "command": "python train.py", "rarest_rows": 20,
    })  # fmt: skip
    typed = commands(result)
    assert "sterling compare 'my rows.csv' made --holdout holdout.csv --target label --group sex --slice state" in typed
    assert "--slice label --learner command --set command='python train.py' --stakes consequential" in typed
    assert "--inject 10" in typed
    known = {c.name or (c.callback.__name__ if c.callback else "") for c in app.registered_commands}
    for given in (GOOD, {**GOOD, "purpose": ["privacy"]}, {**GOOD, "modality": "text"}, {**GOOD, "source": "none"}, {}):
        typed += "\n" + commands(advise(given))
    assert {line.split()[1] for line in typed.splitlines() if line} <= known | {"advise"}


def test_contradictions_are_named_and_taken_on_the_careful_side() -> None:
    clashes = {
        "labelled": {"real_rows": 10, "labelled_rows": 20},
        "rarest of at least two": {"real_rows": 100, "rarest_rows": 80},
        "there are no real records": {"rarest_rows": 80, "real_rows": 0},
        "cannot have 900 of 500": {
            "real_rows": 0,
            "benchmark_rows": 500,
            "rarest_rows": 900,
            "purpose": ["thin_class"],
        },
        "cannot have 900 of 1,500": {"real_rows": 1000, "benchmark_rows": 500, "rarest_rows": 900},
        "there are none": {"fitted_on": "real", "real_rows": 0},
        "others only": {"real_rows": 100, "fitted_on": "other", "source": "ours"},
        "there is no generator": {"source": "none", "loop": "inject"},
        'write source = "file"': {"synthetic": "v.csv", "source": "ours"},
        "taken as consequential": {"declares": ["safety"], "stakes": "low"},
        "use them": {"purpose": ["bootstrap"], "real_rows": 100},
        "rarest_rows is unknown": {"purpose": ["thin_class"], "real_rows": 100},
        "cannot exceed agreement": {"agreement": 0.5, "kappa": 0.6},
        "taken as declared": {"region": "state"},
        "benchmark_rows is 0": {"holdout": "h.csv", "real_rows": 100, "benchmark_rows": 0},
    }
    for words, given in clashes.items():
        named = [r for r in advise(given).decision.rules if r.outcome == "CONTRADICTION"]
        assert any(words in r.reason for r in named), (words, [r.reason for r in named])
        assert all(r.verdict is Verdict.INSUFFICIENT for r in named)
    assert contradictions(parse_answers(GOOD)) == ()
    careful = settled(parse_answers({**GOOD, "source": "ours", "declares": ["safety"], "region": "state"}))
    assert (careful.stakes, careful.declares, careful.fitted_on) == ("consequential", ("regional", "safety"), "real")
    assert advise({"real_rows": 100, "declares": ["safety"]}).policy.startswith("consequential")


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ({"real_row": 3}, UnknownName, "did you mean 'real_rows'"),
        ({"modality": "tabel"}, UnknownName, "did you mean 'table'"),
        ({"purpose": ["privcy"]}, UnknownName, "did you mean 'privacy'"),
        ({"purpose": [3]}, InputError, "not a list of words"),
        ({"real_rows": -1}, InputError, "0 or more"),
        ({"real_rows": 2.5}, InputError, "whole number"),
        ({"real_rows": True}, InputError, "whole number"),
        ({"real_rows": "many"}, InputError, "whole number"),
        ({"agreement": float("nan")}, InputError, "a number"),
        ({"agreement": 85}, InputError, "above 1"),
        ({"reviewed": 3, "wrong": 4}, InputError, "4 records were wrong of 3"),
        ({"wrong": 4}, InputError, "4 records were wrong of an unknown number"),
        ({"target": 3}, InputError, "not text"),
        ({"stakes": "high"}, UnknownName, "consequential"),
    ],
)
def test_answers_that_cannot_be_read_say_how_to_mend_them(given: dict, kind: type[InputError], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        advise(given)
    assert caught.value.mend


def test_the_blank_form_is_toml_that_answers_nothing(tmp_path: Path) -> None:
    form = tomllib.loads(blank())
    assert parse_answers(form) == Answers()
    assert set(form) == {"modality", "fitted_on", "loop", "purpose", "declares", "groups"}
    assert set(form) <= set(KEYS) == set(Answers.__dataclass_fields__)
    for question in QUESTIONS:
        assert f"{question.key} =" in blank()
    path = tmp_path / "answers.toml"
    path.write_text(blank())
    assert advise(path) == advise({}) == advise()
    with pytest.raises(UnreadableInput, match="cannot read answers"):
        advise(tmp_path / "none.toml")
    path.write_text("real_rows = [")
    with pytest.raises(UnreadableInput, match="no TOML"):
        advise(path)


def test_a_study_is_written_that_reads_and_says_what_was_answered(tmp_path: Path) -> None:
    study = tmp_path / "sub" / "study.toml"
    study.parent.mkdir()
    given = {
        **GOOD, "real": str(tmp_path / 'rä "l".csv'), "groups": ["sex"], "region": "state", "stakes": "consequential",
        "declares": ["expert"], "command": "python 'my train.py'", "real_price": 2.5, "review_price": 30,
    }  # fmt: skip
    sterling.advise(given, study=study)
    plan = read_study(study)
    assert Path(plan.real.path).resolve() == (tmp_path / 'rä "l".csv').resolve()
    assert (plan.real.target, plan.real.groups, plan.real.slices) == ("label", ("sex",), ("state",))
    assert (plan.candidate[0].generator, plan.candidate[0].rows) == ("cart", 5000)
    assert plan.learner.command == "python 'my train.py'"
    assert (plan.policy.stakes, plan.policy.declares) == ("consequential", ("regional", "expert"))
    assert (plan.prices.real_row, plan.prices.review_hour, plan.prices.synthetic_row) == (2.5, 30, None)
    sterling.advise(
        {**GOOD, "source": "file", "synthetic": "v.csv", "fitted_on": "other"}, study=study, policy="privacy"
    )
    plan = read_study(study)
    assert (plan.policy.preset, plan.candidate[0].fitted_on) == ("privacy", "other")
    assert Path(str(plan.candidate[0].path)).resolve() == Path("v.csv").resolve()
    study.unlink()
    for given, why in (({}, "needs real records"), ({**GOOD, "modality": "text"}, "studies read tables")):
        assert any(why in note for note in sterling.advise(given, study=study).notes)
        assert not study.exists()
    with pytest.raises(InputError, match="no file is named"):
        sterling.advise({**GOOD, "source": "file"}, study=study)


def test_what_was_not_answered_is_not_a_fact() -> None:
    rows = {k: v for k, v in GOOD.items() if k != "holdout"}
    silent, low = advise(rows), advise({**rows, "stakes": "low", "source": "ours"})
    assert not any(r.rule == "D7" for r in silent.decision.rules)
    assert "D7 AUGMENT_RARE" in outcomes(low)
    assert "D7 AUGMENT_RARE" in outcomes(advise({**rows, "fitted_on": "real"}))
    assert any("taken as low; consequential would forbid" in n for n in silent.notes)
    assert any("was not answered (source)" in n for n in silent.notes)
    assert not any("taken as low" in n or "(source)" in n for n in low.notes)
    unknown = advise()
    assert unknown.decision.rules[0].reason.startswith("Say how many real records there are")
    assert not any("There are no real rows" in r.reason for r in unknown.decision.rules)
    looked = advise({**GOOD, "reviewed": 400})
    assert any("say how many of the 400 reviewed records were wrong" in n for n in looked.notes)
    assert "D12 REVIEWED" not in outcomes(looked)


def test_commands_and_study_name_the_same_files_and_say_what_was_not_named(tmp_path: Path) -> None:
    real, study = tmp_path / "real.csv", tmp_path / "study.toml"
    real.write_text("x,label\n1,a\n")
    for holdout, counted in ((None, 2000), ("h.csv", None), ("h.csv", 2000), (None, None)):
        given = {"real_rows": 5000, "real": str(real), "benchmark_rows": counted, "holdout": holdout}
        told = advise(given, study=study)
        plan = read_study(study)
        name = holdout or ("holdout.csv" if counted else None)
        assert (f"--holdout {name} --target TARGET" in commands(told)) == (name is not None)
        assert "--holdout" in commands(told) or name is None
        assert (None if plan.real.holdout is None else Path(plan.real.holdout).name) == name
        assert plan.real.target == "TARGET"
        put = [n for n in told.notes if "it was not named" in n]
        assert any("put your holdout's path in where it says holdout.csv" in n for n in put) == (name == "holdout.csv")
        assert any("TARGET" in n for n in put)
        assert any("there is no h.csv here" in n for n in told.notes) == (holdout is not None)


def test_what_was_measured_is_used_and_still_nothing_ships(folder: Path, tmp_path: Path) -> None:
    real, vendor, holdout = (str(folder / f"{n}.csv") for n in ("real", "vendor", "holdout"))
    found = sterling.compare(real, vendor, holdout=holdout, target="label", effort="fast")
    given = {"real_rows": 1500, "benchmark_rows": 1200, "rarest_rows": 360, "source": "file", "synthetic": vendor,
             "fitted_on": "other", "target": "label"}  # fmt: skip
    told = advise(given, result=found)
    assert told.decision.verdict is Verdict.INSUFFICIENT
    assert "ADVISE ASK_GATE" in outcomes(told)
    assert {f.name for f in found.findings} <= {f.name for f in told.findings}
    spoken = {r.outcome for r in found.decision.rules} - {"UPPER_BOUND"}
    assert spoken <= {r.outcome for r in told.decision.rules}
    poisoned = sterling.compare(real, str(folder / "other.csv"), holdout=holdout, target="label", effort="fast")
    worse = advise(given, result=poisoned)
    assert any(r.rule == "D3" and r.verdict is Verdict.FIX for r in worse.decision.rules)
    wrong = advise(
        {**given, "real_rows": 100, "benchmark_rows": 20, "real": real}, result=found, study=tmp_path / "s.toml"
    )
    named = next(r.reason for r in wrong.decision.rules if r.outcome == "CONTRADICTION")
    assert "counts 1,500 real rows and 1,200 test rows, the answers say 100 and 20" in named
    assert "D0 COLLECT_TEST" not in outcomes(wrong)
    assert "collect a real test" not in steps(wrong)
    # What the result counted and nobody answered is taken, and nothing is contradicted.
    silent = advise({"target": "label"}, result=found)
    assert not {"ADVISE COUNT_REAL", "ADVISE CONTRADICTION", "D7 AUGMENT_RARE"} & outcomes(silent)
    seen = RuleOutcome("D7", "AUGMENT_RARE", (), "The generator of vendor was fitted on the same real rows.")
    ours = replace(found, decision=replace(found.decision, rules=(*found.decision.rules, seen)))
    assert "D7 AUGMENT_RARE" in outcomes(advise({"target": "label"}, result=ours))
    # Disagreement tightens what was measured, whichever set it was measured on.
    assert "D13 REAL_FOR_SUBJECTIVE" in outcomes(advise({**given, "agreement": 0.6}, result=found))
    path = tmp_path / "found.json"
    path.write_text(json.dumps(found.as_json()))
    assert outcomes(advise(given, result=path)) == outcomes(told)


def test_the_command_prints_writes_and_asks(cli, tmp_path: Path) -> None:
    form = cli("advise", "--questions")
    assert (form.code, parse_answers(tomllib.loads(form.out))) == (0, Answers())
    answers = tmp_path / "answers.toml"
    answers.write_text('real_rows = 3000\ntarget = "label"\nreal = "real.csv"\n')
    said = cli(
        "advise", answers, "--json", tmp_path / "a.json", "--html", tmp_path / "a.html", "-o", tmp_path / "s.toml"
    )
    assert said.code == 0
    assert "sterling generate cart --from real.csv --target label -n 3000 -o made" in said.out
    assert max(len(line) for line in said.out.split(COMMANDS)[0].splitlines()) <= 80
    assert read_result(tmp_path / "a.json").kind == "advise"
    assert "What is forbidden" in (tmp_path / "a.html").read_text()
    assert read_study(tmp_path / "s.toml").real.target == "label"
    nobody = cli("advise")
    assert (nobody.code, "no terminal to ask in" in nobody.err) == (2, True)
    answers.write_text("real_rows = -3")
    assert cli("advise", answers).code == 2


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal")
def test_the_interview_asks_again_where_it_cannot_read_an_answer() -> None:
    ours, theirs = pty.openpty()
    typed = {"modality": "tabel\ntable", "real_rows": "many\n3,000", "agreement": "85\n0.7"}
    lines = "".join(f"{typed.get(q.key, '')}\n" for q in QUESTIONS)
    code = "import sys; sys.argv = ['sterling', 'advise']; from sterling.cli import main; main()"
    env = {**os.environ, "COLUMNS": "80"}
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True
    )
    os.close(theirs)
    os.write(ours, lines.encode())
    out, err = child.communicate(timeout=60)
    os.close(ours)
    assert child.returncode == 0, err
    assert "did you mean 'table'" in err
    assert "not a whole number" in err
    assert "above 1" in err
    assert "REAL_REQUIRED" in out
    assert "a fifth of the real records (600)" in " ".join(out.split())


@pytest.mark.slow
def test_the_written_study_runs(folder: Path, tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    given = {"real_rows": 1500, "benchmark_rows": 1200, "real": str(folder / "real.csv"), "declares": ["expert"],
             "holdout": str(folder / "holdout.csv"), "target": "label", "groups": ["sex"]}  # fmt: skip
    advise(given, study=study)
    result = sterling.run_study(study, out=tmp_path / "run")
    mixed = any(r.outcome == "MIX" for r in result.decision.rules)
    assert mixed or result.decision.verdict is Verdict.REAL_REQUIRED
