"""Chains that are told how many must share what they say."""

from __future__ import annotations

import numpy as np

from sterling.stats.word_chain import fit_chain, sample_texts


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def notes(n: int, seed: int = 0) -> list[str]:
    words = [
        "pain",
        "fever",
        "cough",
        "mild",
        "severe",
        "left",
        "right",
        "knee",
        "arm",
        "rest",
        "advised",
        "given",
        "none",
    ]
    return [" ".join(w) for w in rng(seed).choice(words, (n, 7))]


def test_texts_that_few_wrote_are_not_made() -> None:
    texts = notes(400) + ["no complaints at all"] * 40 + ["the mayor of Thun was here"] * 2
    assert "the mayor of Thun was here" in sample_texts(fit_chain(texts), 2000, rng=rng(1))
    made = sample_texts(fit_chain(texts, least=5), 2000, rng=rng(1))
    assert not set(made) & {t for t in texts if texts.count(t) < 5}
    assert made.count("no complaints at all") > 50  # what forty wrote is nobody's


def test_a_run_of_words_that_few_wrote_does_not_come_out_whole() -> None:
    secret = "treated for a rare syndrome in Thun last May"
    texts = notes(400) + [secret + " " + w for w in ["pain", "fever"]]
    made = " | ".join(sample_texts(fit_chain(texts, least=5), 3000, rng=rng(1)))
    assert "for a rare syndrome" not in made
    assert secret in " | ".join(sample_texts(fit_chain(texts), 3000, rng=rng(1)))


def test_common_pairs_still_decide_what_follows() -> None:
    texts = ["yes it is so"] * 30 + ["no it was not"] * 30 + notes(50)
    made = sample_texts(fit_chain(texts, least=5), 3000, rng=rng())
    followed = [t for t in made if t.startswith(("yes it is", "no it was"))]
    started = [t for t in made if t.startswith(("yes it", "no it"))]
    assert len(started) == len(followed) > 1000


def test_few_texts_and_one_letter_are_borne() -> None:
    for texts in (["a"], ["a b"], ["", ""], ["Ünal 東京", "x"], ["a"] * 3):
        made = sample_texts(fit_chain(texts, least=5), 20, rng=rng())
        assert len(made) == 20
        assert {c for t in made for c in t} <= {c for t in texts for c in t} | {" "}
