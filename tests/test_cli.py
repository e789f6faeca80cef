"""The commands do what their page says, on census rows; each result is the documented envelope."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ENVELOPE = {"sterling", "kind", "verdict", "rules", "findings", "inputs", "seed", "policy"}
FINDING = {"measure", "slice", "value", "low", "high", "level", "n", "floor", "better", "status", "reason"}


def envelope(path: Path) -> dict:
    data = json.loads(path.read_text())
    assert set(data) >= ENVELOPE
    assert all(set(f) >= FINDING for f in data["findings"])
    return data


def test_other_peoples_real_rows_offered_as_synthetic_ship(cli, folder: Path, tmp_path: Path) -> None:
    said = cli(
        "compare", folder / "real.csv", folder / "vendor.csv", "--holdout", folder / "holdout.csv",
        "--target", "label", "--group", "sex", "--fast", "--json", tmp_path / "r.json", "--html", tmp_path / "r.html",
    )  # fmt: skip
    assert said.code == 0, said.err
    data = envelope(tmp_path / "r.json")
    assert data["verdict"] == "SHIP", [r for r in data["rules"] if r["verdict"]]
    assert not [f for f in data["findings"] if f["status"] == "fail"]
    assert "SHIP" in said.out
    assert max(len(line) for line in said.out.splitlines()) <= 80
    assert "<svg" in (tmp_path / "r.html").read_text()


def test_flipped_labels_do_not_ship_and_the_reason_names_the_labels(cli, folder: Path, tmp_path: Path) -> None:
    cli(
        "compare", folder / "real.csv", folder / "other.csv", "--holdout", folder / "holdout.csv", "--target", "label",
        "--fast", "--json", tmp_path / "r.json",
    )  # fmt: skip
    data = envelope(tmp_path / "r.json")
    assert data["verdict"] == "FIX"
    assert any(f["measure"] == "label_loss" and f["status"] == "fail" for f in data["findings"])
    gate = cli("gate", tmp_path / "r.json", "--junit", tmp_path / "gate.xml")
    assert gate.code == 1
    assert "label" in gate.out
    assert "<testsuite" in (tmp_path / "gate.xml").read_text()


def test_same_seed_same_bytes(cli, folder: Path, tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        cli(
            "compare",
            folder / "real.csv",
            folder / "vendor.csv",
            "--target",
            "label",
            "--fast",
            "--json",
            tmp_path / name,
        )
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_worth_places_each_candidate_in_the_order_given(cli, folder: Path, tmp_path: Path) -> None:
    said = cli(
        "worth", folder / "real.csv", folder / "vendor.csv", folder / "other.csv", "--target", "label",
        "--holdout", folder / "holdout.csv", "--fast", "--json", tmp_path / "w.json",
    )  # fmt: skip
    assert said.code == 0, said.err
    data = envelope(tmp_path / "w.json")
    rows = [f for f in data["findings"] if f["measure"] == "real_equivalent_rows" and f["slice"] is None]
    assert [f["candidate"] for f in rows] == ["vendor", "other"]
    assert rows[0]["low"] > 100  # 1,500 rows of the same population
    assert rows[1]["value"] < 100  # every label flipped
    assert data["curve"]["points"]


def test_generated_rows_carry_their_lineage_and_keep_the_holdout_clean(cli, folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    said = cli("generate", "cart", "--from", folder / "real.csv", "-n", "800", "--seed", "3", "-o", made)
    assert said.code == 0, said.err
    said = cli("compare", folder / "real.csv", made, "--target", "label", "--fast", "--json", tmp_path / "r.json")
    assert said.code == 0, said.err
    data = envelope(tmp_path / "r.json")
    nearest = [f for f in data["findings"] if f["measure"] == "nearest_record"]
    assert nearest[0]["value"] is not None  # fitted on the train part alone, so the holdout is a control
    assert any(r["rule"] == "D7" for r in data["rules"])


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_generate_writes_plain_files_too(cli, folder: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"made.{suffix}"
    assert cli("generate", "copula", "--from", folder / "real.csv", "-n", "50", "-o", out).code == 0
    assert cli("check", out, "--against", folder / "real.csv").code == 0


def test_workers_do_not_change_the_bytes(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sterling
    from sterling.api import generate

    monkeypatch.setattr(generate, "SHARD_ROWS", 100)
    for workers in (1, 2):
        sterling.generate(
            "cart", source=folder / "real.csv", rows=350, seed=5, out=tmp_path / str(workers), workers=workers
        )
    one, two = ((tmp_path / w / "manifest.json").read_bytes() for w in ("1", "2"))
    assert one == two


def test_check_names_what_is_wrong_and_writes_what_is_right(cli, folder: Path, tmp_path: Path) -> None:
    text = (folder / "vendor.csv").read_text().splitlines()
    doubled = [*text, text[1], text[1]]
    (tmp_path / "set.csv").write_text("\n".join(doubled) + "\n")
    kept = tmp_path / "kept.parquet"
    said = cli(
        "check", tmp_path / "set.csv", "--against", folder / "real.csv", "-o", kept, "--json", tmp_path / "c.json"
    )
    assert said.code == 0, said.err
    data = envelope(tmp_path / "c.json")
    assert {f["measure"] for f in data["findings"]} >= {"validity", "duplicates"}
    assert pq.read_table(kept).num_rows <= len(doubled) - 1


def test_blend_writes_rows_with_origin_and_weight(cli, folder: Path, tmp_path: Path) -> None:
    said = cli(
        "blend", folder / "real.csv", folder / "vendor.csv", "--target", "label", "--holdout", folder / "holdout.csv",
        "--fast", "-o", tmp_path / "mix", "--json", tmp_path / "b.json",
    )  # fmt: skip
    assert said.code == 0, said.err
    data = envelope(tmp_path / "b.json")
    assert any(r["rule"] == "D5" for r in data["rules"])
    rows = pq.read_table(tmp_path / "mix" / "data")
    assert {"_sterling_origin", "_sterling_parent", "_sterling_depth", "_sterling_run", "_sterling_weight"} <= set(
        rows.column_names
    )
    origins = set(rows["_sterling_origin"].to_pylist())
    assert origins == ({"real", "synthetic"} if data["mix"]["adopted"] else {"real"})


def test_worth_from_runs(cli, tmp_path: Path) -> None:
    real = [("real", n, s + 0.002 * k) for n, s in [(100, 0.8), (200, 0.85), (400, 0.88), (800, 0.9)] for k in range(3)]
    runs = [*real, *(("vendor", 5000, 0.88 + 0.002 * k) for k in range(3))]
    (tmp_path / "runs.csv").write_text("arm,rows,score\n" + "".join(f"{a},{n},{s}\n" for a, n, s in runs))
    said = cli("worth", "--from-runs", tmp_path / "runs.csv", "--json", tmp_path / "w.json")
    assert said.code == 0, said.err
    finding = envelope(tmp_path / "w.json")["findings"][0]
    assert 300 < finding["value"] < 520


@pytest.mark.parametrize("room", [[], ["generators"], ["checks"], ["measures"], ["learners"], ["rules"], ["faults"]])
def test_list(cli, room: list[str]) -> None:
    said = cli("list", *room)
    assert said.code == 0
    assert max((len(line) for line in said.out.splitlines()), default=0) <= 80


def test_help_and_version_are_short_of_the_terminal_width(cli) -> None:
    assert cli("--version").out.startswith("sterling 0.1")
    for command in ([], ["compare"], ["worth"], ["generate"], ["run"]):
        out = cli(*command, "--help").out
        assert max(len(line) for line in out.splitlines()) <= 80
