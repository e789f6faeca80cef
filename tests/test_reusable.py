"""A benchmark that is asked again and again: what plain scores let an attacker fake, and what the Ladder does not."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from sterling.api import wear
from sterling.api.ceiling import ceiling
from sterling.api.compare import compare
from sterling.api.credit import credit
from sterling.api.inputs import Roles, prepare
from sterling.decide.policy import load_policy
from sterling.decide.result import Result
from sterling.decide.worn import worn
from sterling.kernel.dataset import Origin
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Decision, Finding, Status, Verdict
from sterling.kernel.seeds import stream
from sterling.sources import journal, queries
from sterling.sources.frames import from_frame
from sterling.sources.queries import Question
from sterling.stats.reusable import Thresholdout, climb, fakeable, ladder, paired_error, rows_to_bear

Answers = Literal["plain", "ladder", "thresholdout"]
NOW = "2026-01-01T00:00:00+00:00"


def attack(answers: Answers, *, n: int, asked: int, seed: int) -> tuple[float, float | None]:
    """Blum & Hardt's boosting attack: ask about coin flips, keep or turn round, let them vote.

    Returns the gain over .5 that the vote really has on the benchmark, and the one it is told to have.
    """
    rng, noise = stream(seed, "attack"), stream(seed, "noise")
    truth, train_truth = rng.integers(0, 2, n), rng.integers(0, 2, n)
    votes, train_votes = np.zeros(n), np.zeros(n)
    best, state = None, Thresholdout.for_rows(n)

    def ask(guess: Any, train_guess: Any) -> float | None:
        nonlocal best, state
        now = (guess == truth).astype(float)
        if answers == "plain":
            return float(now.mean())
        if answers == "thresholdout":
            said, state = state.ask(float((train_guess == train_truth).mean()), float(now.mean()), rng=noise)
            return said
        rung = ladder(best, now)
        best = now if rung.improved else best
        # All that the Ladder tells: a new best or not.
        return 1.0 if rung.improved else 0.0

    for _ in range(asked):
        guess, train_guess = rng.integers(0, 2, n), rng.integers(0, 2, n)
        said = ask(guess, train_guess)
        side = 0.0 if said is None else float(np.sign(said - 0.5))
        votes += side * (2 * guess - 1)
        train_votes += side * (2 * train_guess - 1)
    coin = rng.integers(0, 2, n)
    final = np.where(votes == 0, coin, votes > 0)
    told = ask(final, np.where(train_votes == 0, coin, train_votes > 0))
    if answers == "ladder" and best is not None:
        told = float(best.mean())
    return float((final == truth).mean()) - 0.5, None if told is None else told - 0.5


def many(answers: Answers, *, n: int = 1000, asked: int = 400, runs: int = 12) -> tuple[float, float]:
    pairs = [attack(answers, n=n, asked=asked, seed=s) for s in range(runs)]
    told = [t for _, t in pairs if t is not None]
    return float(np.mean([fitted for fitted, _ in pairs])), float(np.mean(told)) if told else 0.0


def test_plain_scores_can_be_faked_and_the_ladder_cannot() -> None:
    fitted, told = many("plain")
    assert told == fitted > 0.15  # planted: nothing was learnt, and the plain benchmark is told .65 and more
    fitted, told = many("ladder")
    assert abs(fitted) < 0.03
    assert 0 <= told < 0.05


def test_thresholdout_does_not_let_the_benchmark_be_fitted() -> None:
    fitted, _ = many("thresholdout")
    assert abs(fitted) < 0.05


def test_the_formula_says_what_the_attack_reaches() -> None:
    for n, asked in [(400, 100), (1000, 400)]:
        told = many("plain", n=n, asked=asked, runs=30)[1]
        assert abs(told - fakeable(asked, n)) < 0.015
    assert fakeable(10**9, 10) == pytest.approx(0.5)
    assert fakeable(5, 0) > 0
    for k, gain in [(3, 0.02), (50, 0.05), (1000, 0.3)]:
        rows = rows_to_bear(k, gain=gain)
        assert fakeable(k, rows) <= gain < fakeable(k, max(1, rows - 2))


def climber(n: int, *, seed: int) -> tuple[list[float], list[float]]:
    """Forty honest models, each .005 better; neighbours agree on seven rows in ten."""
    rng = stream(seed, "climber")
    hard, best = rng.random(n), None
    told: list[float] = []
    true = [0.6 + 0.005 * step for step in range(40)]
    for right in true:
        now = (np.where(rng.random(n) < 0.3, rng.random(n), hard) < right).astype(float)
        rung = ladder(best, now)
        best = now if rung.improved else best
        told.append(rung.best)
    return told, true


def test_an_honest_climber_still_climbs_and_waits_about_one_question() -> None:
    runs = [climber(2000, seed=s) for s in range(15)]
    behind = np.mean([[t - s for s, t in zip(told, true, strict=True)] for told, true in runs])
    assert 0 <= behind / 0.005 < 2
    assert np.mean([told[-1] for told, _ in runs]) > 0.77  # the last is right in .795
    assert min(told[-1] for told, _ in runs) > 0.74
    assert min(len(set(told)) for told, _ in runs) >= 5


def test_the_ladder_takes_a_step_for_chance_in_one_of_44_questions_at_most() -> None:
    rng = stream(0, "null")
    fooled = [ladder(rng.integers(0, 2, 500).astype(float), rng.integers(0, 2, 500).astype(float)) for _ in range(3000)]
    assert np.mean([r.improved for r in fooled]) == pytest.approx(0.0228, abs=0.01)
    assert all(r.gain is None for r in fooled if not r.improved)  # what was not gained is not told


def test_a_pair_of_models_on_the_same_rows_needs_a_shorter_step() -> None:
    rng = stream(1, "pair")
    old = rng.random(400)
    new = old + 0.01 + 0.01 * rng.standard_normal(400)
    assert ladder(old, new).improved
    apart = math.hypot(old.std(ddof=1), new.std(ddof=1)) / 20
    assert not climb(float(old.mean()), float(new.mean()), n=400, error=apart).improved
    assert paired_error(old[:1], new[:1]) == math.inf
    assert not ladder(old[:1], new[:1]).improved


@pytest.mark.parametrize("bad", [np.array([]), np.array([1.0, np.nan]), np.ones((2, 2))])
def test_a_question_without_one_finite_score_a_row_is_a_bug(bad: Any) -> None:
    with pytest.raises(ValueError, match="finite score"):
        ladder(None, bad)
    with pytest.raises(ValueError, match="rows"):
        ladder(np.ones(3), np.ones(4))


def test_thresholdout_repeats_train_scores_speaks_where_they_deceive_and_falls_silent() -> None:
    rng, state = stream(0, "t"), Thresholdout.for_rows(10_000)
    assert (state.threshold, state.noise, state.budget) == (0.04, 0.01, 625)
    said, after = state.ask(0.70, 0.701, rng=rng)
    assert said == 0.70
    assert after.budget == 625
    said, after = after.ask(0.99, 0.60, rng=rng)
    assert said == pytest.approx(0.60, abs=0.08)
    assert after.budget == 624
    assert Thresholdout(0.04, 0.01, 0).ask(0.9, 0.5, rng=rng)[0] is None
    assert Thresholdout.for_rows(0).budget == 1


# The ledger of questions
def asked(home: Path, name: str, score: float | None, *, error: float | None = None, rows: Any = None) -> Any:
    return queries.ask_ladder(home, Question("f" * 64, "acc", name, score, error), n=1000, when=NOW, rows=rows)


def test_the_same_question_gets_the_same_answer_and_wears_nothing(tmp_path: Path) -> None:
    first = asked(tmp_path, "a", 0.70, error=0.01)
    better = asked(tmp_path, "b", 0.80, error=0.01)
    assert (first.rung.improved, first.before, better.rung.improved, better.before) == (True, 0, True, 1)
    assert better.rung.step == pytest.approx(2 * math.hypot(0.01, 0.01))
    again = asked(tmp_path, "a", 0.70, error=0.01)
    assert again.seen
    assert again.rung == first.rung
    worse = asked(tmp_path, "c", 0.81, error=0.01)
    assert (worse.rung.improved, worse.rung.best, worse.rung.gain) == (False, 0.80, None)
    assert queries.wear_of(tmp_path, "f" * 64, rows=1000).questions == 3
    assert queries.wear_of(tmp_path, "e" * 64, rows=1000).questions == 0


def test_an_unknown_error_never_climbs(tmp_path: Path) -> None:
    asked(tmp_path, "a", 0.5)
    assert not asked(tmp_path, "b", 0.9).rung.improved
    assert asked(tmp_path, "b", 0.9).rung.step == math.inf


def test_the_rows_of_the_best_are_kept_for_the_next_and_for_nobody_else(tmp_path: Path) -> None:
    rng = stream(0, "rows")
    rows = [rng.random(1000) + 0.02 * i for i in range(3)]
    rows[1] = rows[0] + 0.02
    for i, name in enumerate("ab"):
        assert asked(tmp_path, name, float(rows[i].mean()), rows=rows[i]).rung.improved
    kept = list((tmp_path / "queries").iterdir())
    assert len(kept) == 1  # the best's alone
    assert kept[0].stat().st_mode & 0o077 == 0
    assert (tmp_path / "queries.jsonl").stat().st_mode & 0o077 == 0
    kept[0].write_bytes(b"\0" * 4000)  # another's bytes are not believed: no pairs, no known error, no step
    assert not asked(tmp_path, "c", 9.0, rows=rows[2] + 8).rung.improved


def test_torn_and_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    asked(tmp_path, "a", 0.7, error=0.01)
    path = tmp_path / "queries.jsonl"
    odd = {"benchmark": "f" * 64, "what": "acc", "kind": "ladder", "key": [1], "asker": {}, "improved": True}
    path.write_bytes(path.read_bytes() + json.dumps(odd).encode() + b"\n\xff\xfe[]\n" + b'{"benchmark": "' + b"f" * 64)
    assert not asked(tmp_path, "b", 0.6, error=0.01).rung.improved
    assert asked(tmp_path, "a", 0.7, error=0.01).seen


WRITER = """
import sys
from pathlib import Path
from sterling.sources import queries
home, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("up", flush=True)
for i in range(count):
    queries.ask_ladder(home, queries.Question("f" * 64, "acc", f"{name}{i}", i / 1000, 0.0001), n=1000, when="now")
"""


def writer(home: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, home, name, str(count)], stdout=subprocess.PIPE)


def test_two_processes_lose_nothing_and_a_killed_one_leaves_a_whole_state(tmp_path: Path) -> None:
    crowd = [writer(tmp_path, name, 25) for name in "ab"]
    assert [p.wait(60) for p in crowd] == [0, 0]
    lines = [json.loads(line) for line in (tmp_path / "queries.jsonl").read_text().splitlines()]
    assert len({line["asker"] for line in lines}) == len(lines) == 50
    climbed = [line["score"] for line in lines if line["improved"]]
    assert climbed == sorted(climbed)  # each was held against the best before it, whoever asked
    doomed = writer(tmp_path, "c", 10_000)
    assert doomed.stdout is not None
    doomed.stdout.readline()
    time.sleep(0.2)
    os.kill(doomed.pid, signal.SIGKILL)
    doomed.wait(60)
    for one in (*crowd, doomed):
        if one.stdout is not None:
            one.stdout.close()
    assert asked(tmp_path, "z", 99.0, error=0.0001).rung.improved
    assert not asked(tmp_path, "y", 98.0, error=0.0001).rung.improved


def test_openings_of_which_nothing_is_known_count_and_those_of_known_questions_do_not(tmp_path: Path) -> None:
    one = from_frame(pa.table({"a": [1, 2, 3]}), name="one", origin=Origin.REAL)
    for why in ("drill", "run a", "run a", "compare"):  # the first run was killed and told nobody anything
        journal.open_benchmark(one, journal=tmp_path / "journal.jsonl", why=why, when=NOW)
    assert queries.wear_of(tmp_path, one.fingerprint, rows=3).questions == 3
    for _ in range(2):  # the last opening asked this, twice
        queries.count(tmp_path, Question(one.fingerprint, "compare", "v"), when=NOW)
    found = queries.wear_of(tmp_path, one.fingerprint, rows=3)
    assert (found.questions, found.openings, found.since) == (3, 4, NOW)
    journal.open_benchmark(one, journal=tmp_path / "journal.jsonl", why="compare", when=NOW)
    assert queries.wear_of(tmp_path, one.fingerprint, rows=3).questions == 3


def test_a_budget_refuses_new_questions_and_repeats_old_ones(tmp_path: Path) -> None:
    for name in ("a", "b", "a"):
        queries.count(tmp_path, Question("f" * 64, "judge-here", name), when=NOW, most=2)
    with pytest.raises(InputError, match="answered 2 different questions and 2 are allowed"):
        queries.count(tmp_path, Question("f" * 64, "judge-here", "c"), when=NOW, most=2)
    assert queries.count(tmp_path, Question("f" * 64, "judge-here", "a"), when=NOW, most=2) == 2
    assert queries.wear_of(tmp_path, "f" * 64, rows=1000).questions == 2  # a refusal tells nothing


def test_thresholdout_keeps_its_budget_over_processes_and_its_noise_over_repetitions(tmp_path: Path) -> None:
    def ask(name: str, train: float, score: float, seed: int) -> tuple[float | None, int]:
        about = Question("f" * 64, "acc", name, score)
        return queries.ask_thresholdout(tmp_path, about, train=train, n=1600, when=NOW, rng=stream(seed, "noise"))

    said, left = ask("a", 1.0, 0.5, 1)
    assert said is not None
    assert said != 0.5
    assert (ask("a", 1.0, 0.5, 2), left) == ((said, 99), 99)
    for i in range(200):
        last = ask(f"b{i}", 1.0, 0.2, i)
    assert last == (None, 0)


# What the user sees
def test_every_result_tells_the_wear_and_a_repetition_gives_the_same_words(folder: Path) -> None:
    given: dict[str, Any] = {"holdout": folder / "holdout.csv", "target": "label", "effort": "fast"}
    first, again = (compare(folder / "real.csv", folder / "vendor.csv", **given) for _ in range(2))
    assert first.as_json() == again.as_json()
    facts = (first.cost or {})["benchmark"]
    assert isinstance(facts, dict)
    assert facts["rows"] == 1200
    assert any("question" in note and "gain of up to 0.0" in note for note in first.notes)
    other = compare(folder / "real.csv", folder / "other.csv", **given)
    more = (other.cost or {})["benchmark"]
    assert isinstance(more, dict)
    assert int(str(more["questions"])) > int(str(facts["questions"]))
    assert any("not distinguishable from the best of 1 other" in note for note in other.notes)


def benchmark_questions(result: Any) -> int:
    facts = (result.cost or {})["benchmark"]
    assert isinstance(facts, dict)
    return int(str(facts["questions"]))


def test_every_setting_and_seed_of_credit_is_a_question_and_a_repetition_is_none(folder: Path) -> None:
    made = pyarrow.csv.read_csv(folder / "vendor.csv")
    rng = stream(0, "personas")
    wrong = np.array(made["label"].to_pylist())
    spoiled = rng.random(made.num_rows) < 0.3
    wrong[spoiled] = np.where(wrong[spoiled] == "<=50K", ">50K", "<=50K")
    made = made.set_column(6, "label", pa.array(wrong)).append_column("a", pa.array(np.where(spoiled, "x", "y")))
    made = made.append_column("b", pa.array(rng.choice(["u", "v"], made.num_rows)))
    asked = [
        ({"by": ["a"], "seed": 0}, 1), ({"by": ["a"], "seed": 1}, 2), ({"by": ["b"], "seed": 0}, 3),
        ({"by": ["b"], "seed": 0, "weight": 0.5}, 4), ({"by": ["a"], "seed": 0}, 4),
    ]  # fmt: skip
    for terms, questions in asked:
        got = credit(
            folder / "real.csv", made, target="label", holdout=folder / "holdout.csv", learner="logistic",
            effort="fast", **terms,
        )  # fmt: skip
        assert benchmark_questions(got) == questions, terms


def test_teachers_and_wrong_labels_put_to_the_benchmark_are_questions(folder: Path) -> None:
    given: dict[str, Any] = {"holdout": folder / "holdout.csv", "target": "label", "effort": "fast"}
    given |= {"learner": "logistic"}
    seen = [
        benchmark_questions(ceiling(folder / "real.csv", folder / "vendor.csv", **given, **terms))
        for terms in ({"teacher": "0.87"}, {"teacher": "0.87"}, {"teacher": "0.9"}, {"teacher": "0.9", "seed": 1})
    ]
    assert seen[0] == seen[1] >= 1
    assert seen[0] < seen[2] < seen[3]


def test_the_confirmation_of_an_order_is_a_question(folder: Path) -> None:
    roles = Roles(target="label")
    arena = prepare(
        folder / "real.csv", [folder / "vendor.csv"], roles=roles, holdout=folder / "holdout.csv", why="order",
        on_event=lambda *_: None,
    )  # fmt: skip
    policy = load_policy("default")
    bare = Result("order", Decision(Verdict.SHIP, policy.label, (), ()), (), (), 0, policy.label)
    gain = Estimate(0.02, 0.01, 0.03, 100, 0.95, "t")

    def told(title: str, confirmed: float | None, asked: str) -> int:
        evidence: dict[str, Any] = {} if confirmed is None else {"confirmation": {"value": confirmed}}
        sealed = Finding("order_gain", gain, "higher", Status.PASS, slice=title, evidence=evidence)
        return benchmark_questions(wear.with_wear(replace(bare, findings=(sealed,)), arena, policy=policy, asked=asked))

    assert told("mix", 0.012, "seed 0") == 1
    assert told("mix", 0.012, "seed 0") == 1
    assert told("mix", 0.013, "seed 1") == 2
    assert told("then", 0.013, "seed 1") == 3
    assert told("then", None, "seed 2") == 4
    assert told("then", None, "seed 3") == 5


def test_worn_speaks_once_the_answers_could_fake_the_difference_that_matters() -> None:
    policy = load_policy("default")
    assert worn(questions=7, rows=314, policy=policy) is None
    rule = worn(questions=8, rows=314, policy=policy)
    assert rule is not None
    assert rule.verdict is None
    assert "9 more would restore it, or set 314 apart" in rule.reason
    assert worn(questions=8, rows=1960, policy=load_policy("consequential")) is not None
    assert worn(questions=5, rows=0, policy=policy) is None


def test_own_models_are_answered_by_the_ladder_whatever_the_order_of_the_rows() -> None:
    import pandas as pd

    rng = stream(0, "own")
    frame = pd.DataFrame({"x": np.arange(500), "y": rng.integers(0, 2, 500)})
    base = (rng.random(500) < 0.7).astype(float)
    better = np.maximum(base, rng.random(500) < 0.15)
    assert wear.ask_benchmark(frame, base, name="a", what="acc").score == base.mean()
    order = rng.permutation(500)
    found = wear.ask_benchmark(frame.iloc[order], better[order], name="b", what="acc")
    assert found.improved
    assert found.step == pytest.approx(2 * paired_error(base, better), rel=1e-5)
    hidden = wear.ask_benchmark(frame, base, name="c", what="acc")
    assert (hidden.improved, hidden.score, hidden.questions) == (False, better.mean(), 3)
    spoken = wear.ask_benchmark(frame, base, name="c", what="acc", train_score=float(base.mean()))
    assert spoken.left in (30, 31)  # by noise that nobody can repeat


@pytest.mark.parametrize("scores", [[1.0], [1.0, math.nan], [[1.0, 0.0]], []])
def test_scores_that_are_not_one_finite_number_a_row_are_refused(scores: Any) -> None:
    import pandas as pd

    frame = pd.DataFrame({"x": [1, 2]})
    with pytest.raises(InputError, match="scores of shape"):
        wear.ask_benchmark(frame, scores, name="a", what="acc")
    with pytest.raises(InputError, match="from 0 to 1"):
        wear.ask_benchmark(frame, [1.0, 7.0], name="a", what="acc", train_score=0.5)


def test_without_a_place_to_write_own_models_get_no_answer_and_compare_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pandas as pd

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STERLING_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(InputError, match="written down"):
        wear.ask_benchmark(pd.DataFrame({"x": [1, 2]}), [1.0, 0.0], name="a", what="acc")
    heard: list[str] = []
    compare(
        folder / "real.csv",
        folder / "vendor.csv",
        effort="fast",
        on_event=lambda _, f: heard.append(str(f.get("text"))),
    )
    assert any("was not written down" in text for text in heard)
