"""A certificate: no row in it, and not a byte of it can be changed."""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sterling.api.judge_here import Judgement, judge_here, verify
from sterling.kernel.errors import InputError, MissingExtra, UnreadableInput
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Status
from sterling.kernel.seeds import stream
from sterling.ship.certificate import (
    AGGREGATES,
    CONCERNED,
    Certificate,
    allowed,
    concerned,
    enough,
    issue,
    read_certificate,
    tellable,
)
from sterling.ship.certificate_page import render_certificate
from sterling.ship.sign import canonical, open_key, read_public_key


@pytest.fixture(scope="module")
def office(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Judgement]:
    """The owner's desk: key.pem, key.pem.pub and c.json about vendor.csv."""
    desk = tmp_path_factory.mktemp("office")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STERLING_HOME", str(desk / "home"))
        done = judge_here(
            folder / "real.csv", folder / "vendor.csv", holdout=folder / "holdout.csv", target="label",
            slices=["sex", "age"], key=desk / "key.pem", out=desk / "c.json", effort="fast",
        )  # fmt: skip
    return desk, done


def test_a_certificate_says_what_was_found_and_holds(office: tuple[Path, Judgement], folder: Path) -> None:
    desk, done = office
    found = verify(desk / "c.json", public_key=desk / "key.pem.pub", synthetic=folder / "vendor.csv")
    body = found.certificate.body
    assert (found.key_known, found.set_known, done.key_made, done.questions) == (True, True, True, 1)
    assert body["verdict"] == done.result.decision.verdict.value
    assert body["set"]["rows"] == 1500
    assert body["benchmark"]["rows"] == 1200
    told = {f["measure"]: f for f in body["findings"] if f["slice"] is None}
    for finding in done.result.findings:
        if finding.slice is None and finding.status is not Status.NOT_APPLICABLE:
            assert told[finding.measure]["status"] in {finding.status.value, "withheld"}
            if finding.measure in AGGREGATES:
                assert told[finding.measure]["status"] == finding.status.value
    utility = next(f for f in done.result.findings if f.measure == "utility")
    assert isinstance(utility.result, Estimate)
    line = told["utility"]
    assert line["low"] <= utility.result.low <= utility.result.high <= line["high"]
    assert abs(line["value"] - utility.result.value) <= 0.005
    nothing = verify(desk / "c.json")
    assert (nothing.key_known, nothing.set_known) == (None, None)
    # Read, and checked, in any format of the same rows.
    vendor = pd.read_csv(folder / "vendor.csv").sample(frac=1.0, random_state=1)
    assert verify(desk / "c.json", synthetic=vendor).set_known


def test_slices_are_told_by_values_the_other_party_holds_and_never_by_ranges_of_the_real_rows(
    office: tuple[Path, Judgement],
) -> None:
    slices = {f["slice"] for f in office[1].certificate.body["findings"] if f["slice"] is not None}
    assert {"sex=Male", "sex=Female"} <= slices
    assert not any("age" in name for name in slices)
    assert any((f.slice or "").startswith("age=") for f in office[1].result.findings)


def test_the_real_fingerprint_is_hidden_and_the_commitment_is_the_same_for_the_same_key(
    office: tuple[Path, Judgement], folder: Path, tmp_path: Path
) -> None:
    desk, done = office
    text = (desk / "c.json").read_text()
    for record in done.result.inputs:
        assert (record.fingerprint in text) == (record.name == "vendor")
    given: dict[str, Any] = {"holdout": folder / "holdout.csv", "target": "label", "effort": "fast"}
    sets = folder / "real.csv", folder / "other.csv"
    same = judge_here(*sets, key=desk / "key.pem", out=tmp_path / "b.json", **given)
    other = judge_here(*sets, key=tmp_path / "new.pem", out=tmp_path / "c.json", **given)
    ours, again, theirs = (d.certificate.body["benchmark"]["commitment"] for d in (done, same, other))
    assert ours == again != theirs
    assert same.certificate.body["verdict"] == "FIX"
    assert not same.key_made
    assert verify(tmp_path / "c.json").certificate.public_key != done.certificate.public_key


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, (dict, list)) and value:
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))
    else:
        yield path


def flipped(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return 0.5 if value is None else not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, str):
        return f"{value[:-1]}{'b' if value.endswith('a') else 'a'}"
    return ["x"]


def test_every_field_that_is_changed_added_or_taken_away_is_caught(
    office: tuple[Path, Judgement], tmp_path: Path
) -> None:
    whole = json.loads((office[0] / "c.json").read_text())
    paths = list(leaves(whole))
    assert len(paths) > 200
    for path in paths:
        for change in ("flip", "drop"):
            bad = copy.deepcopy(whole)
            at = bad
            for key in path[:-1]:
                at = at[key]
            if change == "flip":
                at[path[-1]] = flipped(at[path[-1]])
            else:
                del at[path[-1]]
            refused(tmp_path, json.dumps(bad, sort_keys=True, indent=1, ensure_ascii=False) + "\n")
    for extra in (whole, whole["certificate"], whole["signature"], whole["certificate"]["set"]):
        extra["more"] = 1
        refused(tmp_path, json.dumps(whole, sort_keys=True, indent=1, ensure_ascii=False) + "\n")
        del extra["more"]


def refused(tmp_path: Path, text: str | bytes, *words: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as caught:
        read_certificate(path)
    assert "bad.json" in str(caught.value)
    assert caught.value.mend
    for word in words:
        assert word in str(caught.value)


def test_any_byte_that_is_flipped_and_any_end_that_is_missing_is_caught(
    office: tuple[Path, Judgement], tmp_path: Path
) -> None:
    data = (office[0] / "c.json").read_bytes()
    rng = stream(0, "bytes")
    for at in [0, 1, len(data) - 1, *rng.integers(0, len(data), 300)]:
        bad = bytearray(data)
        bad[at] ^= 1 << int(rng.integers(0, 7))
        refused(tmp_path, bytes(bad))
    for cut in rng.integers(0, len(data) - 1, 60):
        refused(tmp_path, data[:cut])
    refused(tmp_path, data[: len(data) // 2], "ends in the middle")


def test_words_that_json_readers_take_in_different_ways_are_refused(
    office: tuple[Path, Judgement], tmp_path: Path
) -> None:
    text = (office[0] / "c.json").read_text()
    refused(tmp_path, text.replace("\n", "\r\n"), "not byte for byte")
    refused(tmp_path, json.dumps(json.loads(text)), "not byte for byte")
    refused(tmp_path, text.replace('  "verdict": ', '  "verdict": "BLOCK",\n  "verdict": '), "not byte for byte")
    key = json.loads(text)["signature"]["public_key"]
    refused(tmp_path, text.replace(key, key.upper()), "not byte for byte")
    refused(tmp_path, re.sub(r'"seed": 0', '"seed": NaN', text), "NaN")
    refused(tmp_path, re.sub(r'"seed": 0', '"seed": 1e999', text), "does not hold")
    refused(tmp_path, re.sub(r'"seed": 0', f'"seed": {"9" * 5000}', text))
    refused(tmp_path, "[" * 100_000)
    refused(tmp_path, '"text"', "no certificate")
    refused(tmp_path, text.replace('"version": 1', '"version": 2'), "version 2", "pip install -U")
    refused(tmp_path, "{}", "no certificate")
    refused(tmp_path, b"\xff\xfe", "cannot read")
    with pytest.raises(UnreadableInput, match="cannot read"):
        read_certificate(tmp_path / "nowhere.json")


def test_another_key_and_another_set_are_named(office: tuple[Path, Judgement], folder: Path, tmp_path: Path) -> None:
    desk, _ = office
    open_key(tmp_path / "other.pem")
    with pytest.raises(InputError, match=r"signed by the key [0-9a-f ]+, not by"):
        verify(desk / "c.json", public_key=tmp_path / "other.pem.pub")
    with pytest.raises(InputError, match="about another set"):
        verify(desk / "c.json", synthetic=folder / "other.csv")


def test_signed_again_by_a_stranger_it_holds_for_his_key_alone(office: tuple[Path, Judgement], tmp_path: Path) -> None:
    forged = issue({**office[1].certificate.body, "verdict": "SHIP"}, open_key(tmp_path / "mine.pem"))
    (tmp_path / "forged.json").write_text(forged.text())
    assert verify(tmp_path / "forged.json").key_known is None
    with pytest.raises(InputError, match="not by"):
        verify(tmp_path / "forged.json", public_key=office[0] / "key.pem.pub")


@pytest.mark.parametrize("part", ["findings", "rules", "set", "verdict"])
def test_a_signed_body_of_the_wrong_shape_is_refused(office: tuple[Path, Judgement], tmp_path: Path, part: str) -> None:
    forged = issue({**office[1].certificate.body, part: 5}, open_key(tmp_path / "mine.pem"))
    refused(tmp_path, forged.text(), part)


# Keys
def test_a_new_key_is_its_owners_alone_and_an_old_one_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "me.pem"
    made, again = open_key(path), open_key(path)
    assert (made.made, again.made) == (True, False)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert made.public == again.public == read_public_key(path) == read_public_key(path.with_name("me.pem.pub"))
    assert made.raw.hex() not in repr(made)
    assert str(made.raw) not in repr(made)
    assert made.sign({"a": 1}) == again.sign({"a": 1}) != again.sign({"a": 2})


def test_what_is_no_key_is_told_apart(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    curve = generate_private_key(SECP256R1())
    (tmp_path / "text.pem").write_text("hello")
    (tmp_path / "curve.pem").write_bytes(curve.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    locked = serialization.BestAvailableEncryption(b"secret")
    (tmp_path / "locked.pem").write_bytes(curve.private_bytes(pem, pkcs8, locked))
    for name, words in [("text", "no private key"), ("curve", "no Ed25519"), ("locked", "locked by a password")]:
        with pytest.raises(InputError, match=words):
            open_key(tmp_path / f"{name}.pem")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UnreadableInput):
        open_key(tmp_path / "folder")
    for name, words in [("text", "no public key"), ("nowhere", "cannot read")]:
        with pytest.raises(InputError, match=words):
            read_public_key(tmp_path / f"{name}.pem")


def test_without_the_package_it_says_what_to_install(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(MissingExtra, match=r"sterling\[sign\]"):
        judge_here(folder / "real.csv", folder / "vendor.csv", key=tmp_path / "k.pem", out=tmp_path / "c.json")
    assert not (tmp_path / "k.pem").exists()


def test_canonical_json_has_one_form_only() -> None:
    assert canonical({"b": [1.5, None, True], "a": "ü\n"}) == '{"a":"ü\\n","b":[1.5,null,true]}'.encode()
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical({"a": float("nan")})


# What it does not tell
def secret_table(n: int, seed: int) -> pd.DataFrame:
    rng = stream(seed, "secrets")
    return pd.DataFrame(
        {
            "name": [f"Zaphod{seed}x{i:05d}" for i in rng.permutation(n)],
            "town": rng.choice(["Köln", "東京", f"Tiny{seed}"], n, p=[0.6, 0.395, 0.005]),
            "income": np.round(rng.lognormal(10, 1, n), 2) + 0.017,
            "age": rng.integers(18, 90, n),
            "label": rng.choice(["yes", "no"], n),
        }
    )


@pytest.mark.parametrize("policy", ["default", "privacy"])
def test_no_value_of_a_real_row_stands_in_a_certificate(tmp_path: Path, policy: str) -> None:
    real, made, apart = secret_table(900, 1), secret_table(900, 2), secret_table(700, 3)
    made.loc[:40] = real.loc[:40]  # copies of real people: they must be found, and not be shown
    done = judge_here(
        real, made, holdout=apart, target="label", groups=["town"], slices=["town", "age"], policy=policy,
        key=tmp_path / "k.pem", out=tmp_path / "c.json", effort="fast",
    )  # fmt: skip
    text = (tmp_path / "c.json").read_text() + render_certificate(done.certificate)
    secrets = {*real["name"], *apart["name"], *(f"{v:.2f}" for v in (*real["income"], *apart["income"]))}
    assert not [value for value in secrets if value in text]
    assert "Tiny" not in text  # a town of five people
    assert ("town=Köln" in text) == (policy == "default")
    for finding in done.certificate.body["findings"]:
        assert set(finding) == {
            "measure", "slice", "status", "better", "bound", "value", "low", "high", "level",
        }  # fmt: skip
        # Shares among n < 1,600 rows: none is so fine that a count below ten can be read from it.
        assert finding["value"] is None or abs(finding["value"] * 100 - round(finding["value"] * 100)) < 1e-9
    copies = next(f for f in done.certificate.body["findings"] if f["measure"] == "copies")
    assert copies["status"] == "fail"  # 41 people: surely more than it takes
    assert copies["value"] is None
    assert done.certificate.body["verdict"] == done.result.decision.verdict.value


def slice_finding(name: str, n: int) -> Finding:
    return Finding("marginal_gap", Estimate(0.123, 0.1, 0.2, n, 0.95, "m"), "lower", Status.FAIL, slice=name)


def told_of(
    findings: list[Finding], slices: dict[str, int], *, private: bool = False, real: int = 100_000
) -> tuple[list[Any], dict[str, Any]]:
    return allowed(tellable(findings, slices=slices, private=private), slices=slices, real=real)


def test_small_slices_are_counted_vaguely_and_numbers_are_rounded_outwards() -> None:
    findings = [
        slice_finding("a=x", 500),
        slice_finding("a=y", 9),
        slice_finding("a=z", 500),
        slice_finding("b=q", 500),
    ]
    told, withheld = told_of(findings, {"a=x": 500, "a=y": 500, "a=z": 9})
    assert [t["slice"] for t in told] == ["a=x"]
    assert withheld["slices"] == "<10"
    assert (told[0]["value"], told[0]["low"], told[0]["high"]) == (0.12, 0.1, 0.2)
    assert told_of(findings, {"a=x": 500}, private=True)[0] == []
    assert told_of(findings[:1] * 12, {})[1]["slices"] == 10
    large = Finding("coverage", Estimate(0.12345, -float("inf"), 0.2, 100_000, 0.95, "m"), "lower", Status.PASS)
    ((line,), _), ((coarse,), _) = told_of([large], {}), told_of([large], {}, real=400)
    assert (line["value"], line["low"], line["high"]) == (0.1234, None, 0.2)
    assert (coarse["value"], coarse["high"]) == (0.1, 0.2)  # n counts the other party's rows, the grid does not


# What a guess may learn
def copied(records: int, *, natural: int = 0) -> Finding:
    looks: list[Any] = [{"copied": records + natural, "expected": float(natural)}]
    found = Estimate(0.05, 0.04, 0.06, 20_120, 0.95, "m")
    return Finding("copies", found, "lower", Status.FAIL, evidence={"unique_rows": looks})


def test_a_failure_about_single_rows_is_told_without_a_number_and_only_if_ten_or_more_rows_are_concerned() -> None:
    silent = [told_of([f], {}) for f in (copied(9), copied(0, natural=500), copied(9, natural=500))]
    assert all(lines == silent[0][0] and lines[0]["status"] == "withheld" for lines, _ in silent)
    assert silent[0][1]["measures"] == ["copies"]
    (loud,), withheld = told_of([copied(CONCERNED[1])], {})
    assert (loud["status"], loud["value"], loud["low"], withheld["measures"]) == ("fail", None, None, [])
    plugin = Finding("my_attack", Estimate(0.9, 0.8, 1.0, 20_000, 0.95, "m"), "lower", Status.FAIL)
    assert told_of([plugin], {})[0][0]["status"] == "withheld"
    inside = Finding("rule_violation", plugin.result, "lower", Status.FAIL, slice="income")
    assert told_of([inside] * 30, {"income": 999}) == told_of([], {})  # not even how many there are
    near = Finding("nearest_record", Estimate(0.6, 0.58, 0.62, 1500, 0.95, "m"), "target", Status.FAIL)
    assert concerned(near) == pytest.approx((0.1 / (0.02 / 1.96)) ** 2, rel=1e-3)


def test_how_many_rows_it_takes_is_the_keys_secret_and_stays_the_same(tmp_path: Path) -> None:
    ours, theirs = open_key(tmp_path / "a.pem"), open_key(tmp_path / "b.pem")
    drawn = [enough(ours, str(i)) for i in range(300)]
    assert {*drawn} == {*range(CONCERNED[0], CONCERNED[1] + 1)}
    assert drawn == [enough(ours, str(i)) for i in range(300)] != [enough(theirs, str(i)) for i in range(300)]


def people(n: int, seed: int) -> pd.DataFrame:
    rng = stream(seed, "people")
    x, z = rng.normal(size=n), rng.normal(size=n)
    y = np.where(x + rng.logistic(size=n) > 0, "yes", "no")
    return pd.DataFrame({"g": rng.choice(["a", "b", "c"], n), "x": x, "z": z, "y": y})


# A model trained on the real rows answers another row of them, any row, with a jump as of another seed.
TRAINED = {"utility", "calibration", "transfer_drop", "amplification"}


def grid_of(rows: int) -> float:
    """Ten of so many rows, up to a step of 1, 2 or 5."""
    return min(m / 10**e for e in range(5) for m in (1, 2, 5) if m / 10**e >= min(1.0, 10 / rows))


def guessed(kind: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A guess at one person, and the rows to find out with: a tenth of the set."""
    rng, guess, apart = stream(5, kind), people(1, 99), people(150, 98)
    rows = pd.concat([guess] * 150, ignore_index=True)
    if kind in {"odd", "label"}:
        guess[["x", "z", "y"]] = rows[["x", "z", "y"]] = [9.0, -8.0, "no"]
    if kind == "label":
        rows["y"] = "yes"
    if kind in {"near", "odd", "label"}:
        rows[["x", "z"]] += rng.normal(0, 0.02, (150, 2))
    if kind == "level":
        guess["g"], rows = "zz", apart.assign(g="zz")
    return guess, rows


@pytest.mark.parametrize("kind", ["same", "near", "odd", "label", "level"])
def test_whether_one_guess_is_a_real_row_changes_nothing_in_a_certificate_however_often_it_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("STERLING_HOME", str(tmp_path))
    guess, rows = guessed(kind)
    made, apart = pd.concat([people(1350, 2), rows], ignore_index=True), people(500, 3)
    bodies, own = [], []
    for last in (guess, people(1, 97)):
        real = pd.concat([people(799, 1), last], ignore_index=True)
        done = judge_here(
            real, made, holdout=apart, target="y", key=tmp_path / "k.pem", out=tmp_path / "c.json", effort="fast",
            policy="privacy" if kind == "same" else None,
        )  # fmt: skip
        bodies.append(done.certificate.body)
        own.append({f.name: f for f in done.result.findings})
    there, away = bodies
    assert there["verdict"] == away["verdict"]
    for part in ("unmeasured", "withheld"):
        assert there[part] == away[part]
    assert [r["outcome"] for r in there["rules"]] == [r["outcome"] for r in away["rules"]]
    for one, other in zip(there["findings"], away["findings"], strict=True):
        assert one["measure"] == other["measure"]
        if one["measure"] in TRAINED:
            continue
        assert one["status"] == other["status"]
        assert (one["value"] is None) == (other["value"] is None)
        if one["value"] is not None:  # one step of the grid, where it lies on the edge of one
            rows = own[0][one["measure"]].result
            assert isinstance(rows, Estimate)
            for end in ("value", "low", "high"):
                assert abs(one[end] - other[end]) <= grid_of(min(500, rows.n)) + 1e-9
    told = {f["measure"]: f["value"] for f in there["findings"]}
    assert told["two_sample_auc"] is not None
    assert {"copies", "near_copies", "nearest_record"} <= {*there["withheld"]["measures"]}
    if kind == "same":  # while the owner sees it all
        assert own[0]["copies"].status is Status.FAIL
        assert own[1]["copies"].status is not Status.FAIL
    if kind == "level":
        assert own[0]["rule_violation"].result != own[1]["rule_violation"].result


def test_four_guesses_of_different_weight_cannot_be_read_off_one_certificate(tmp_path: Path) -> None:
    real, base, apart = people(1000, 1), people(1300, 2), people(400, 3)
    said = []
    for inside in ((0, 0, 0, 0), (1, 0, 0, 1), (0, 1, 1, 0)):
        guesses = [people(1, 50 + i) if not hit else real.iloc[[100 * i]] for i, hit in enumerate(inside)]
        weighed = [pd.concat([g] * w) for g, w in zip(guesses, (15, 30, 60, 120), strict=True)]
        done = judge_here(
            real, pd.concat([base, *weighed], ignore_index=True), holdout=apart, target="y", policy="privacy",
            key=tmp_path / "k.pem", out=tmp_path / "c.json", effort="fast",
        )  # fmt: skip
        told = {f["measure"]: (f["status"], f["value"]) for f in done.certificate.body["findings"]}
        said.append((done.certificate.body["verdict"], told["copies"], told["near_copies"], told["duplicates"]))
        assert (done.result.decision.verdict.value == "BLOCK") == any(inside)
        differ = done.certificate.body["verdict"] != done.result.decision.verdict.value
        assert any("The certificate says" in note for note in done.result.notes) == differ
        assert differ or not any(inside)
    assert said[0] == said[1] == said[2]


def test_an_honest_sets_certificate_still_says_what_a_buyer_needs(tmp_path: Path) -> None:
    given: dict[str, Any] = {"holdout": people(1200, 3), "target": "y", "key": tmp_path / "k.pem", "effort": "fast"}
    made = people(1200, 2)
    good = judge_here(people(1200, 1), made, out=tmp_path / "c.json", **given).certificate
    told = {f["measure"]: f for f in good.body["findings"] if f["slice"] is None}
    assert good.body["verdict"] == "SHIP"
    assert told["two_sample_auc"]["status"] == told["utility"]["status"] == "pass"
    assert 0.45 <= told["two_sample_auc"]["value"] <= 0.55
    assert "Not told, good or bad" in render_certificate(good)
    bad = judge_here(people(1200, 1), made.assign(z=made["z"] * 2), out=tmp_path / "d.json", **given).certificate
    assert bad.body["verdict"] == "FIX"


# The ledger
def test_every_judgement_wears_the_benchmark_and_a_budget_ends_it(
    folder: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    given: dict[str, Any] = {"key": tmp_path / "k.pem", "out": tmp_path / "c.json", "effort": "fast", "queries": 2}
    real = folder / "holdout.csv"
    counts = [
        judge_here(real, folder / name, **given).certificate.body["benchmark"]["questions"]
        for name in ("vendor.csv", "vendor.csv", "other.csv")
    ]
    assert counts == [1, 1, 2]  # the same set again tells nothing new
    before = (tmp_path / "c.json").read_bytes()
    with pytest.raises(InputError, match="2 are allowed"):
        judge_here(real, folder / "real.csv", **given)
    assert (tmp_path / "c.json").read_bytes() == before
    said = cli("judge-here", real, folder / "real.csv", "--key", tmp_path / "k.pem", "-o", tmp_path / "d.json",
               "--fast", "--queries", "2")  # fmt: skip
    assert said.code == 2
    assert "set fresh real rows apart" in said.err
    again = judge_here(real, folder / "vendor.csv", **given)
    assert again.questions == 2


# The terminal and the page
def test_the_command_line_judges_and_verifies(
    office: tuple[Path, Judgement], folder: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    said = cli(
        "judge-here", folder / "holdout.csv", folder / "vendor.csv", "--key", tmp_path / "k.pem", "--fast",
        "-o", tmp_path / "c.json", "--html", tmp_path / "c.html", "--json", tmp_path / "all.json",
    )  # fmt: skip
    assert said.code == 0
    assert "hand it out" in said.out
    assert max(len(line) for line in said.out.splitlines()) <= max(80, 14 + len(str(tmp_path)) + 40)
    page = (tmp_path / "c.html").read_text()
    assert "<script" not in page
    assert "http" not in page
    assert json.loads((tmp_path / "all.json").read_text())["kind"] == "compare"
    shown = cli(
        "verify", office[0] / "c.json", "--public-key", office[0] / "key.pem.pub", "--set", folder / "vendor.csv"
    )
    assert shown.code == 0
    assert shown.out.count("is the one you gave") == 2
    loose = cli("verify", office[0] / "c.json")
    assert "compare it with the owner's" in loose.out
    (tmp_path / "c.json").write_text((tmp_path / "c.json").read_text().replace('"seed": 0', '"seed": 1'))
    bad = cli("verify", tmp_path / "c.json")
    assert bad.code == 2
    assert "does not hold" in bad.err


def test_a_strangers_words_are_made_harmless(office: tuple[Path, Judgement], tmp_path: Path, cli: Any) -> None:
    body = copy.deepcopy(dict(office[1].certificate.body))
    body["verdict"] = "<script>alert(1)</script>\x1b[2J"
    body["findings"][0] = {"measure": {"a": []}, "value": "x"}
    body["rules"] = [{}]
    body["unmeasured"] = {"measures": 5}
    forged: Certificate = issue(body, open_key(tmp_path / "mine.pem"))
    (tmp_path / "f.json").write_text(forged.text())
    assert "<script>" not in render_certificate(forged)
    said = cli("verify", tmp_path / "f.json")
    assert said.code == 0
    assert "\x1b[2J" not in said.out
