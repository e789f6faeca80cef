"""What leaves the house: papers that tell the truth, no real row for a recipient, no formula for a spreadsheet."""

from __future__ import annotations

import csv
import datetime
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from sterling.kernel.dataset import Dataset, Lineage, Origin
from sterling.kernel.errors import InputError, UnknownName
from sterling.kernel.schema import Role
from sterling.modalities.tabular import from_table
from sterling.ship.card import number
from sterling.ship.export import export
from sterling.ship.package import ship_set
from sterling.sources.store import read_set, verify, with_lineage_columns, write_set

REAL, MADE = "cd" * 32, "ab" * 32
NASTY = "x|y`z <script>alert(1)</script>\n# not a title [a](javascript:b)"


def table(rows: int = 300) -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "age": pa.array(rng.integers(0, 99, rows), mask=rng.random(rows) < 0.1),
            "Einkommen €|x": rng.normal(size=rows),
            "when": pa.array(rng.integers(0, 10**9, rows), pa.timestamp("s", tz="UTC")),
            "ok": rng.random(rows) < 0.5,
            "income": rng.choice(["low", "high"], rows),
        }
    )


def mix(folder: Path) -> Dataset:
    from dataclasses import replace

    schema = from_table(table()).schema
    schema = schema.replaced(replace(schema["income"], role=Role.TARGET))
    real = with_lineage_columns(
        table().slice(0, 200), origin=Origin.REAL, parent=REAL, depth=0, run="census", weight=1.0
    )
    made = with_lineage_columns(
        table().slice(200), origin=Origin.SYNTHETIC, parent=MADE, depth=1, run="cart", weight=0.25
    )
    lineage = Lineage("blend", (REAL, MADE), 1, "real")
    return write_set([real, made], folder, schema=schema, origin=Origin.MIXED, lineage=lineage, name="mix")


def synthetic() -> Dataset:
    return from_table(table(), name="A", origin=Origin.SYNTHETIC, lineage=Lineage("cart", (REAL,), 1, "other"))


def result(policy: str = "default 1") -> dict:
    finding = {
        "measure": "two_sample_auc", "slice": None, "candidate": "A", "value": 0.61, "low": 0.58, "high": 0.64,
        "level": 0.95, "n": 4000, "floor": 0.5, "better": "lower", "status": "warn", "reason": "trees tell",
        "evidence": {"example": {"age": 61}},
    }  # fmt: skip
    few = {**finding, "measure": "slice_coverage", "slice": "sex=F", "value": 3.25, "n": 4, "high": None}
    none = {**finding, "measure": "nearest_record", "value": None, "n": 0, "reason": "no holdout"}
    return {
        "sterling": "0.1", "kind": "run", "verdict": "SHIP", "summary": "A is worth 3,900 rows.",
        "rules": [{"rule": "D5", "outcome": "MIX", "reason": NASTY, "waived": None}],
        "unmeasured": ["nearest_record"], "findings": [finding, few, none],
        "inputs": [
            {"name": "real", "rows": 200, "fingerprint": REAL, "origin": "real", "notes": []},
            {"name": "A", "rows": 100, "fingerprint": MADE, "origin": "synthetic", "notes": []},
        ],
        "seed": 0, "policy": policy, "notes": ["a note"],
        "mix": {"sources": [{"name": "A", "origin": "synthetic", "rows": 100, "weight": 0.25}]},
    }  # fmt: skip


def ship(dataset: Dataset, out: Path, **changed: object) -> Path:
    given: dict = {
        "title": "census mix",
        "result_json": result(),
        "report_html": "<p>report</p>",
        "licence": "CC-BY-4.0",
    }
    return ship_set(dataset, out, **{**given, "audience": "owner", **changed})


def test_the_folder_holds_rows_papers_and_evidence(tmp_path: Path) -> None:
    out = ship(mix(tmp_path / "mix"), tmp_path / "out")
    assert {p.name for p in out.iterdir()} == {
        "README.md", "croissant.json", "data", "manifest.json", "prov.json", "report.html", "result.json",
    }  # fmt: skip
    shipped = verify(out)
    assert shipped.rows == 300
    assert shipped.table()["_sterling_origin"].to_pylist() == ["real"] * 200 + ["synthetic"] * 100
    assert json.loads((out / "result.json").read_text()) == result()
    assert not (tmp_path / ".out.shipping").exists()


def test_rows_without_origin_get_the_set_s(tmp_path: Path) -> None:
    shipped = read_set(ship(synthetic(), tmp_path / "out")).table()
    assert set(shipped["_sterling_origin"].to_pylist()) == {"synthetic"}
    assert set(shipped["_sterling_parent"].to_pylist()) == {REAL}
    assert set(shipped["_sterling_depth"].to_pylist()) == {1}


def test_croissant_names_every_file_and_column(tmp_path: Path) -> None:
    out = ship(mix(tmp_path / "mix"), tmp_path / "out", created="2026-11-24")
    told = json.loads((out / "croissant.json").read_text())
    assert told["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    required = {"@context", "@type", "conformsTo", "description", "license", "name", "url", "creator", "datePublished"}
    assert required <= set(told)
    assert told["license"] == "https://spdx.org/licenses/CC-BY-4.0"
    files = {f["contentUrl"]: f["sha256"] for f in told["distribution"] if f["@type"] == "cr:FileObject"}
    on_disk = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()} - {"croissant.json"}
    assert set(files) == on_disk
    for name, sha256 in files.items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == sha256
    (records,) = told["recordSet"]
    types = {f["name"]: f["dataType"] for f in records["field"]}
    assert types["age"] == "sc:Integer"
    assert types["Einkommen €|x"] == "sc:Float"
    assert types["when"] == "sc:DateTime"
    assert types["ok"] == "sc:Boolean"
    assert types["income"] == ["sc:Text", "cr:Label"]
    assert types["_sterling_weight"] == "sc:Float"
    ids = [f["@id"] for f in records["field"]] + [f["@id"] for f in told["distribution"]]
    assert len(ids) == len(set(ids))


def test_provenance_says_from_what_and_by_what(tmp_path: Path) -> None:
    out = ship(mix(tmp_path / "mix"), tmp_path / "out")
    told = json.loads((out / "prov.json").read_text())
    shipped = f"sha256:{read_set(out).fingerprint}"
    assert {e["prov:label"] for e in told["entity"].values()} == {"real", "A", "census mix", "result.json"}
    derived = {(r["prov:generatedEntity"], r["prov:usedEntity"]) for r in told["wasDerivedFrom"].values()}
    assert derived == {(shipped, f"sha256:{REAL}"), (shipped, f"sha256:{MADE}")}
    names = {**told["entity"], **told["activity"], **told["agent"]}
    for relation in ("used", "wasGeneratedBy", "wasDerivedFrom", "wasAssociatedWith", "wasAttributedTo"):
        for ends in told[relation].values():
            assert set(ends.values()) <= set(names), "a relation points at something that is not described"
    assert told["entity"][shipped]["sterling:realRows"] == 200


def test_a_set_is_not_derived_from_itself(tmp_path: Path) -> None:
    alone = synthetic()
    same = Lineage("blend", (alone.fingerprint, REAL), 0, "real")
    out = ship(from_table(table(), origin=Origin.REAL, lineage=same), tmp_path / "out")
    told = json.loads((out / "prov.json").read_text())
    assert [r["prov:usedEntity"] for r in told["wasDerivedFrom"].values()] == [f"sha256:{REAL}"]


def test_the_card_tells_verdict_findings_and_limits(tmp_path: Path) -> None:
    text = (ship(mix(tmp_path / "mix"), tmp_path / "out") / "README.md").read_text()
    header, body = text.removeprefix("---\n").split("\n---\n", 1)
    for line in (
        'pretty_name: "census mix"', 'license: "cc-by-4.0"', "- tabular-classification", "- n<1K",
        '  data_files: "data/*.parquet"',
    ):  # fmt: skip
        assert line in header.splitlines()
    for told in (
        "**Verdict: SHIP.** A is worth 3,900 rows.",
        "| real | 200 | 66.7% |",
        "| two_sample_auc | A | 0.61 | 0.58 to 0.64 |",
        "0.58 to ∞",
        "Could not be measured: nearest_record",
        "200 rows are real",
        REAL,
        MADE,
        "a note",
        "no holdout",
    ):
        assert told in body, told


def test_text_from_outside_cannot_break_the_card(tmp_path: Path) -> None:
    odd = from_table(pa.table({NASTY: [1], "b": [2]}), origin=Origin.SYNTHETIC)
    text = (ship(odd, tmp_path / "out", title=NASTY, licence=None) / "README.md").read_text()
    body = text.split("\n---\n", 1)[1]
    assert "\n# not a title" not in text
    assert "\\<script\\>" in body
    live = re.sub("`[^`]*`", "", re.sub(r"\\.", "", body))  # neither escaped nor in code
    assert "](javascript" not in live
    assert "<script" not in live
    for line in body.splitlines():
        if line.startswith("| `"):
            assert line.replace("\\|", "").count("|") == 6
    assert 'license: "unknown"' in text
    assert "No licence was declared" in text
    assert json.loads((tmp_path / "out" / "croissant.json").read_text())["license"]["name"] == "not declared"


def test_shipping_twice_gives_the_same_bytes_and_another_set_is_refused(tmp_path: Path) -> None:
    made = mix(tmp_path / "mix")
    first = ship(made, tmp_path / "out")
    before = {p: p.read_bytes() for p in first.rglob("*") if p.is_file()}
    ship(made, tmp_path / "out")
    with pytest.raises(InputError, match="another shipped set"):
        ship(made, tmp_path / "out", title="other")
    assert {p: p.read_bytes() for p in first.rglob("*") if p.is_file()} == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("precious")
    with pytest.raises(InputError, match="something else"):
        ship(made, tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "precious"
    (tmp_path / "empty").mkdir()
    assert verify(ship(made, tmp_path / "empty")).rows == 300
    assert not list(tmp_path.glob(".*"))


def test_a_recipient_under_a_privacy_policy_gets_no_real_row(tmp_path: Path) -> None:
    private = {"audience": "recipient", "result_json": result("privacy 1")}
    with pytest.raises(InputError, match="200 of the 300 rows are real") as told:
        ship(mix(tmp_path / "mix"), tmp_path / "out", **private)
    assert "--audience owner" in told.value.mend
    unmarked = from_table(table(), origin=Origin.MIXED)
    for dataset in (from_table(table(), origin=Origin.REAL), unmarked):
        with pytest.raises(InputError, match="300 of the 300"):
            ship(dataset, tmp_path / "out", **private)
    assert not (tmp_path / "out").exists()
    assert ship(synthetic(), tmp_path / "out", **private).is_dir()
    assert ship(mix(tmp_path / "mix"), tmp_path / "open", audience="recipient").is_dir()


@pytest.mark.parametrize(
    ("policy", "purpose", "refused"),
    [("acme 3", None, True), ("acme 3", "any", False), ("default 1", "privacy", True), ("", None, True)],
)
def test_an_unknown_policy_counts_as_private(policy: str, purpose: str | None, refused: bool, tmp_path: Path) -> None:
    def go() -> Path:
        return ship(
            mix(tmp_path / "mix"), tmp_path / "out", audience="recipient", result_json=result(policy), purpose=purpose
        )

    if refused:
        with pytest.raises(InputError, match="no real row"):
            go()
    else:
        assert go().is_dir()


def test_a_recipient_under_a_privacy_policy_learns_no_setting_and_no_parent(tmp_path: Path) -> None:
    marked = with_lineage_columns(
        table(), origin=Origin.SYNTHETIC, parent=REAL, depth=1, run="cart(first=('hiv_status',))"
    )
    for turn, rows in enumerate((table(), marked)):
        lineage = Lineage("cart(first=('hiv_status',))", (REAL,), 1, "other")
        made = from_table(rows, name="A", origin=Origin.SYNTHETIC, lineage=lineage)
        out = ship(made, tmp_path / str(turn), audience="recipient", result_json=result("privacy 1"))
        shipped = pq.read_table(out / "data")
        assert set(shipped["_sterling_run"].to_pylist()) == {"cart"}
        assert set(shipped["_sterling_parent"].to_pylist()) == {None}
        for name in ("manifest.json", "README.md", "prov.json", "croissant.json"):
            told = (out / name).read_text()
            assert "hiv_status" not in told
            if name != "prov.json":  # which names the inputs of the result that this test gives as the owner has it
                assert REAL not in told


def test_a_recipient_sees_no_evidence_no_small_count_and_no_range(tmp_path: Path) -> None:
    out = ship(synthetic(), tmp_path / "out", audience="recipient")
    whole, few, _ = json.loads((out / "result.json").read_text())["findings"]
    assert whole["evidence"] == few["evidence"] == {}
    assert (few["value"], few["n"], few["status"]) == (None, 0, "unmeasured")
    assert whole["value"] == 0.61
    assert "3.25" not in (out / "README.md").read_text()
    for field in read_set(out).schema:
        assert (field.levels, field.low, field.high) == (None, None, None)
    mine = read_set(ship(synthetic(), tmp_path / "mine"))
    assert mine.schema["income"].levels == ("high", "low")


def test_an_empty_set_ships(tmp_path: Path) -> None:
    empty = from_table(table(0), origin=Origin.SYNTHETIC)
    out = ship(empty, tmp_path / "out", result_json={}, report_html=None)
    assert read_set(out).rows == 0
    assert "No verdict is known" in (out / "README.md").read_text()


def test_export_to_parquet_and_csv_and_back(tmp_path: Path) -> None:
    made = mix(tmp_path / "mix")
    whole = export(made, tmp_path / "new" / "x.parquet", format="parquet")
    assert pq.read_table(whole, page_checksum_verification=True).num_rows == 300
    plain = export(made, tmp_path / "x.csv", format="csv", lineage="drop")
    back = pa_csv.read_csv(plain)
    assert back.column_names == table().column_names
    assert back["age"].to_pylist() == table()["age"].to_pylist()
    assert back["Einkommen €|x"].to_pylist() == table()["Einkommen €|x"].to_pylist()
    assert "_sterling_weight" in pa_csv.read_csv(export(made, tmp_path / "x.csv", format="csv")).column_names


FORMULAS = ["=1+1", "+49 30", "-5", "@SUM(A1)", "\t=1", "\rx", "plain", "a=1", "", None, "'=1"]


def test_no_spreadsheet_runs_a_cell(tmp_path: Path) -> None:
    cells = pa.table({"=cmd()": FORMULAS, "n": [-1.5] * len(FORMULAS)})
    coded = cells.set_column(0, "=cmd()", cells["=cmd()"].dictionary_encode())
    for given in (cells, coded):
        made = from_table(given, origin=Origin.SYNTHETIC)
        with export(made, tmp_path / "x.csv", format="csv").open(newline="") as file:
            header, *rows = csv.reader(file)
        assert header == ["'=cmd()", "n"]
        assert [r[0] for r in rows] == [
            "'=1+1", "'+49 30", "'-5", "'@SUM(A1)", "'\t=1", "'\rx", "plain", "a=1", "", "", "'=1",
        ]  # fmt: skip
        assert {r[1] for r in rows} == {"-1.5"}, "numbers are no formulas"
    kept = export(from_table(cells), tmp_path / "kept.csv", format="csv", formulas="keep")
    assert kept.read_text().startswith('"=cmd()","n"\n"=1+1"')
    assert '\n"",-1.5\n,-1.5\n' in kept.read_text(), "missing and the empty text differ"


def test_jsonl_is_plain_json(tmp_path: Path) -> None:
    odd = pa.table(
        {
            "x": [1.5, float("nan"), float("inf")],
            "n": pa.array([2**63, None, 0], pa.uint64()),
            "d": pa.array([datetime.date(2020, 1, 2), None, None]),
            "é": ["a\nb", "\u2028", None],
        }
    )
    out = export(from_table(odd), tmp_path / "x.jsonl", format="jsonl")
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n")[:-1]]
    assert rows == [
        {"x": 1.5, "n": 2**63, "d": "2020-01-02", "é": "a\nb"},
        {"x": None, "n": None, "d": None, "é": "\u2028"},
        {"x": None, "n": 0, "d": None, "é": None},
    ]


def test_nested_cells_become_json_text_in_csv(tmp_path: Path) -> None:
    schema = from_table(pa.table({"tags": ["x"]})).schema
    nested = write_set(
        [pa.table({"tags": [["a", "é"], None]})], tmp_path / "s", schema=schema, origin=Origin.SYNTHETIC,
        lineage=Lineage(), name="n",
    )  # fmt: skip
    assert export(nested, tmp_path / "x.csv", format="csv").read_text() == '"tags"\n"[""a"", ""é""]"\n\n'


def test_bad_exports_say_how_to_mend(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'csv'"):
        export(synthetic(), tmp_path / "x", format="cvs")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="is a folder"):
        export(synthetic(), tmp_path, format="csv")
    assert list(tmp_path.iterdir()) == []


def test_numbers_read_well() -> None:
    assert [number(x) for x in (0, 1234567.8, 0.000012345, "a|b")] == ["0", "1,234,568", "1.234e-05", "a\\|b"]
