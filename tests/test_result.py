"""The envelope: written whole, read back equal, and every broken one answered with a mend."""

from __future__ import annotations

import json
import pickle
from math import inf
from pathlib import Path

import pytest

from sterling.decide.result import InputRecord, Result, parse_result, read_result, write_result
from sterling.kernel.errors import InputError, UnreadableInput
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Decision, Finding, RuleOutcome, Status, Verdict
from sterling.kernel.table import Table


def sample() -> Result:
    floor = Estimate(0.5, 0.48, 0.52, 600, 0.95, "DeLong")
    auc = Estimate(0.55, 0.53, 0.57, 1200, 0.95, "DeLong")
    return Result(
        kind="compare",
        decision=Decision(
            Verdict.FIX,
            "default 1",
            (
                RuleOutcome("D2", "FIX_GENERATOR", ("slice_coverage:größe=<groß>",), "A slice is gone.", Verdict.FIX),
                RuleOutcome("D7", "UPPER_BOUND", (), "Unknown.", waived="known (until 2030-01-01, Ada)", candidate="v"),
            ),
            ("nearest_record",),
        ),
        findings=(
            Finding("two_sample_auc", auc, "lower", Status.PASS, floor=floor, params={"bound": 0.6, "seed": 3}),
            Finding("slice_coverage", Estimate(0.0, 0.0, 0.1, 40, 0.95, "Clopper-Pearson"), "higher", Status.FAIL,
                    slice="größe=<groß>", candidate="v", reason="gone", evidence={"rows": [1, None, "é"]}),
            Finding("real_equivalent_rows", Estimate(900.0, 700.0, inf, 500, 0.9, "bootstrap"), "higher", Status.PASS),
            Finding("nearest_record", Unmeasured("no holdout", "give --holdout"), "lower", Status.UNMEASURED,
                    fingerprints=("ab", "cd")),
        ),
        inputs=(InputRecord("real", 6000, "ab", "real", ("2 rows repaired",)), InputRecord("v", 10, "cd", "synthetic")),
        seed=7,
        policy="default 1",
        curve={"metric": "AUC", "points": []},
        notes=("a plain sentence",),
        tables=(Table("Sets", ("set", "rows", "gain"), (("größe", 3, 0.5), ("v", 40, None)), "n", owner_only=True),),
        picture={"kind": "generations", "points": [1.0, None]},
    )  # fmt: skip


def test_the_envelope_is_the_documented_one() -> None:
    data = sample().as_json()
    documented = ["sterling", "kind", "verdict", "rules", "findings", "inputs", "seed", "policy"]
    assert set(documented) <= set(data)
    assert (data["sterling"], data["kind"], data["verdict"], data["policy"]) == ("0.1", "compare", "FIX", "default 1")
    assert data["rules"][0]["because"] == ["slice_coverage:größe=<groß>"]
    finding = data["findings"][0]
    assert {"measure", "slice", "value", "low", "high", "level", "n", "floor", "better", "status", "reason"} <= set(
        finding
    )
    assert data["findings"][2]["high"] is None
    assert data["inputs"][0]["fingerprint"] == "ab"


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_result(sample(), path)
    again = read_result(path)
    assert again.as_json() == sample().as_json()
    assert again.decision == sample().decision
    assert again.inputs == sample().inputs
    assert again.findings[2].result == sample().findings[2].result
    assert isinstance(again.findings[3].result, Unmeasured)
    assert pickle.loads(pickle.dumps(again)) == again
    write_result(again, path)
    assert read_result(path) == again
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_a_result_of_before_there_were_tables_has_none() -> None:
    data = {k: v for k, v in sample().as_json().items() if k not in ("tables", "picture")}
    assert (parse_result(data).tables, parse_result(data).picture) == ((), None)


def test_an_infinity_in_a_table_is_null_in_the_envelope() -> None:
    assert Table("T", ("x",), ((inf,),)).as_json()["rows"] == [[None]]
    with pytest.raises(ValueError, match="2 values"):
        Table("T", ("x", "y"), ((1,),))


@pytest.mark.parametrize("rows", ["no list", [1], [[1, 2], [3]]])
def test_broken_tables_are_answered(rows) -> None:
    table = {"title": "T", "columns": ["x", "y"], "rows": rows}
    with pytest.raises(InputError, match=r"tables\[0\]"):
        parse_result({**sample().as_json(), "tables": [table]})


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_result(sample(), path)
    before = path.read_bytes()
    broken = Result("compare", sample().decision, (), (), 0, "p", cost={"seconds": float("nan")})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_result(broken, path)
    assert path.read_bytes() == before
    with pytest.raises(InputError):
        write_result(sample(), tmp_path)


def test_files_that_are_no_result_are_answered(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with pytest.raises(UnreadableInput, match="cannot read result"):
        read_result(path)
    with pytest.raises(UnreadableInput, match="cannot read result"):
        read_result(tmp_path)
    for text in (b"", b"{", b"[" * 100_000, b"\xff\xfe{}"):
        path.write_bytes(text)
        with pytest.raises(UnreadableInput):
            read_result(path)


def change(**what) -> dict:
    return {**json.loads(json.dumps(sample().as_json())), **what}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "not an object"),
        ({}, "lacks sterling"),
        ({"sterling": "0.1", "kind": "x"}, "lacks verdict, rules, findings"),
        (change(sterling="9.0"), "written by Sterling 9.0"),
        (change(sterling="new"), "not a version"),
        (change(verdict="SHIPP"), "no verdict"),
        (change(kind=3), "'kind' is 3, not text"),
        (change(seed="1"), "not a whole number"),
        (change(seed=True), "not a whole number"),
        (change(findings={}), "not a list"),
        (change(findings=[3]), r"findings\[0\] is int"),
        (change(findings=[{"measure": "m"}]), "lacks better"),
        (change(curve=[1]), "curve is list"),
        (change(notes="a"), "list of texts"),
        (change(inputs=[{"name": "a", "rows": 1.5, "fingerprint": "x"}]), "not a whole number"),
    ],
)  # fmt: skip
def test_broken_envelopes_name_the_place(data, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        parse_result(data)
    assert caught.value.mend


def test_broken_numbers_in_a_finding_are_answered() -> None:
    for key, value in (("low", 2.0), ("value", "0.5"), ("level", 2.0), ("n", -1), ("status", "good"), ("better", "up")):
        data = change()
        data["findings"][0][key] = value
        with pytest.raises(InputError, match=r"findings\[0\]"):
            parse_result(data)


def test_a_patch_release_reads_its_predecessors() -> None:
    assert parse_result(change(sterling="0.1.7")).seed == 7
    assert parse_result(change(sterling="0.0")).seed == 7


def summary(verdict: Verdict, rules: tuple[RuleOutcome, ...], findings: tuple[Finding, ...]) -> str:
    return Result("run", Decision(verdict, "p", rules), findings, (), 0, "p").summary


def test_the_summary_says_worth_and_what_is_refused() -> None:
    worth = tuple(
        Finding("real_equivalent_rows", Estimate(v, lo, hi, 500, 0.95, "b"), "higher", Status.PASS, candidate=c)
        for c, v, lo, hi in (
            ("A", 3010, 2150, inf),
            ("B", 182, 140, 236),
            ("C", 1500, 1000, 2000),
            ("D", 4800, 4800, inf),
        )
    )
    gone = RuleOutcome("D2", "FIX_GENERATOR", ("slice_coverage:sex=F",), "gone", Verdict.FIX, candidate="C")
    mixed = RuleOutcome("D5", "MIX", ("mix_gain",), "Adding A raises the score.")
    text = summary(Verdict.SHIP, (gone, mixed), worth)
    assert "A is worth at least 2,150 real rows (best estimate 3,010)" in text
    assert "B is worth 182 real rows (140 to 236)" in text
    assert "C is refused: slices are missing or thin (sex=F)" in text
    assert "D is worth at least 4,800 real rows" in text
    assert text.endswith("Adding A raises the score.")
    few = RuleOutcome(
        "D0", "COLLECT_TEST", (), "You have 212 benchmark rows; 314 would decide. More.", Verdict.INSUFFICIENT
    )
    assert summary(Verdict.INSUFFICIENT, (few,), ()) == "You have 212 benchmark rows; 314 would decide."
    assert "stands against it (0 findings" in summary(Verdict.SHIP, (), ())
    assert summary(Verdict.FIX, (), ()) == "See the rules."
