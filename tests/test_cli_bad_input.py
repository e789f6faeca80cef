"""Every mistake gets a paragraph with a mend and exit code 2; shortage is an answer with exit code 0."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

Cli = Callable[..., "object"]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def table(n: int, *, seed: int = 0, positives: int | None = None) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = (np.arange(n) < positives) if positives is not None else x + rng.normal(size=n) > 0
    return pa.table({"x": x, "z": rng.integers(0, 5, n), "y": np.where(y, "yes", "no")})


@pytest.fixture
def real(tmp_path: Path) -> Path:
    path = tmp_path / "real.csv"
    pc.write_csv(table(300), path)
    return path


def refused(said, *words: str) -> None:
    assert said.code == 2, said
    assert "To mend:" in said.err
    assert "Traceback" not in said.err
    assert said.out == ""
    for word in words:
        assert word in said.err, said.err


def test_wrong_path(cli, real: Path) -> None:
    refused(cli("compare", real.with_name("reel.csv"), real), "reel.csv", "real.csv")


def test_wrong_target_name(cli, real: Path) -> None:
    refused(cli("compare", real, real, "--target", "yy"), "'yy'", "did you mean 'y'")


def test_unrelated_tables(cli, real: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other.csv", "a,b\n1,2\n3,4\n")
    refused(cli("compare", real, other), "a, b")


def test_corrupt_parquet(cli, real: Path, tmp_path: Path) -> None:
    good = tmp_path / "vendor.parquet"
    pq.write_table(table(300), good)
    data = bytearray(good.read_bytes())
    good.write_bytes(data[: len(data) // 2])
    refused(cli("compare", real, good), "vendor.parquet")


def test_ragged_csv(cli, real: Path, tmp_path: Path) -> None:
    ragged = write(tmp_path / "ragged.csv", "x,z,y\n1,2,yes\n1,2\n3,4,no,5\n")
    refused(cli("compare", real, ragged), "ragged.csv", "--quarantine")


@pytest.mark.parametrize("text", ["", "\n", "x,z,y\n"])
def test_empty_file(cli, real: Path, tmp_path: Path, text: str) -> None:
    refused(cli("compare", real, write(tmp_path / "empty.csv", text)), "empty")


def test_unknown_generator(cli, real: Path, tmp_path: Path) -> None:
    refused(cli("generate", "crat", "--from", real, "-n", "5", "-o", tmp_path / "out"), "did you mean 'cart'")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("n", ["0", "-3"])
def test_nothing_to_make(cli, real: Path, tmp_path: Path, n: str) -> None:
    refused(cli("generate", "cart", "--from", real, "-n", n, "-o", tmp_path / "out"), n)
    assert not (tmp_path / "out").exists()


def test_unknown_setting(cli, real: Path, tmp_path: Path) -> None:
    said = cli("generate", "cart", "--from", real, "-n", "5", "-o", tmp_path / "out", "--set", "min_leef=3")
    refused(said, "did you mean 'min_leaf'")
    said = cli("generate", "cart", "--from", real, "-n", "5", "-o", tmp_path / "out", "--set", "min_leaf=three")
    refused(said, "three")
    assert not (tmp_path / "out").exists()


def test_generator_without_real_data(cli, tmp_path: Path) -> None:
    refused(cli("generate", "cart", "-n", "5", "-o", tmp_path / "out"), "--from")


def test_unknown_policy_and_learner(cli, real: Path) -> None:
    refused(cli("compare", real, real, "--policy", "privacyy"), "did you mean 'privacy'")
    refused(cli("worth", real, real, "--target", "y", "--learner", "boosted"), "boosted_trees")


def test_worth_without_its_words(cli, real: Path) -> None:
    refused(cli("worth", real), "--target")


def test_gate_on_something_else(cli, tmp_path: Path) -> None:
    refused(cli("gate", write(tmp_path / "r.json", "{}")), "r.json")
    refused(cli("gate", write(tmp_path / "r.json", "not json")), "r.json")
    refused(cli("gate", tmp_path / "none.json"), "none.json")


def test_ship_without_a_run(cli, tmp_path: Path) -> None:
    refused(cli("ship", tmp_path / "none", "-o", tmp_path / "out"), "none")
    assert not (tmp_path / "out").exists()


def test_bad_study_names_every_mistake(cli, tmp_path: Path) -> None:
    study = write(tmp_path / "study.toml", '[real]\npath="r.csv"\ntarged="y"\n[[candidate]]\nname="a"\n')
    refused(cli("run", study, "--out", tmp_path / "out"), "did you mean 'target'", "either path or generator")
    refused(cli("run", write(tmp_path / "broken.toml", "[real"), "--out", tmp_path / "out"), "TOML")


def test_usage_mistake_is_exit_code_2(cli) -> None:
    said = cli("compare", "only-one")
    assert said.code == 2
    assert cli("no-such-command").code == 2


# Shortage is an answer.
@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("one class", pa.table({"x": np.arange(300.0), "y": ["a"] * 300})),
        ("few minority rows", table(300, positives=8).select(["x", "y"])),
        ("tiny", table(6).select(["x", "y"])),
        ("one row", table(1).select(["x", "y"])),
    ],
)
def test_shortage_is_insufficient_and_says_what_it_would_take(cli, tmp_path: Path, name: str, made: pa.Table) -> None:
    pq.write_table(made, tmp_path / "real.parquet")
    pq.write_table(made, tmp_path / "vendor.parquet")
    said = cli(
        "compare", tmp_path / "real.parquet", tmp_path / "vendor.parquet", "--target", "y", "--json",
        tmp_path / "r.json", "--fast",
    )  # fmt: skip
    assert said.code == 0, said
    envelope = json.loads((tmp_path / "r.json").read_text())
    assert envelope["verdict"] in ("INSUFFICIENT", "BLOCK"), name
    short = [r for r in envelope["rules"] if r["rule"] == "D0" and r["verdict"] == "INSUFFICIENT"]
    assert any("would decide" in r["reason"] or "another" in r["reason"] for r in short), envelope["rules"]


def test_columns_missing_extra_and_retyped_are_named_and_the_rest_is_judged(cli, real: Path, tmp_path: Path) -> None:
    made = table(300, seed=1)
    made = pa.table({"x": made["x"].cast(pa.string()), "new": made["z"], "y": made["y"]})
    pc.write_csv(made, tmp_path / "vendor.csv")
    said = cli("compare", real, tmp_path / "vendor.csv", "--target", "y", "--fast", "--json", tmp_path / "r.json")
    assert said.code == 0
    notes = " ".join(json.loads((tmp_path / "r.json").read_text())["notes"])
    assert "lacks z" in notes
    assert "new" in notes


def test_vendor_fitted_on_everything_names_what_remains_valid_and_three_steps(
    cli, folder: Path, tmp_path: Path
) -> None:
    said = cli("compare", folder / "real.csv", folder / "vendor.csv", "--fast", "--json", tmp_path / "r.json")
    assert said.code == 0
    envelope = json.loads((tmp_path / "r.json").read_text())
    notes = " ".join(envelope["notes"])
    for step in ("split the real data", "refit the generator", "compare again", "upper bounds"):
        assert step in notes
    nearest = [f for f in envelope["findings"] if f["measure"] == "nearest_record"]
    assert nearest
    assert all(f["status"] == "unmeasured" and f["mend"] for f in nearest)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("compare", "real.csv", "vendor.csv", "--json", "real.csv"), "real.csv is read by this command"),
        (("compare", "real.csv", "vendor.csv", "--html", "./sub/../vendor.csv"), "is read by this command"),
        (("compare", "real.csv", "vendor.csv", "--json", "x.out", "--html", "x.out"), "both name x.out"),
        (("check", "real.csv", "-o", "real.csv"), "is read by this command"),
        (("judge-here", "real.csv", "vendor.csv", "--key", "k.pem", "-o", "k.pem"), "is read by this command"),
        (("judge-here", "real.csv", "vendor.csv", "--key", "k.pem", "-o", "k.pem.pub"), "is read by this command"),
        (("compare", "real.csv", "vendor.csv", "--json", "/proc/x.json"), "nothing can be written to /proc"),
    ],
)
def test_nothing_that_is_read_is_overwritten_and_nothing_starts_that_cannot_be_written(
    cli, folder: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(folder)
    (folder / "sub").mkdir(exist_ok=True)
    before = (folder / "real.csv").read_bytes()
    answer = cli(*args)
    assert answer.code == 2
    assert said in " ".join(answer.err.split())
    assert (folder / "real.csv").read_bytes() == before
    assert not (folder / "k.pem").exists()
