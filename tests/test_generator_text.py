"""The chain of words behind text columns."""

from __future__ import annotations

import pickle

import numpy as np

from sterling.stats.word_chain import fit_chain, sample_texts


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_single_text_comes_back_exactly_blanks_and_all() -> None:
    for text in ("two  blanks, a trailing one ", " Grüße\naus 東京 ", "a b", "word", ""):
        assert sample_texts(fit_chain([text]), 3, rng=rng()) == [text] * 3


def test_texts_are_recombined_where_two_words_agree() -> None:
    chain = fit_chain(["we saw the cat today", "they saw the cat run"])
    made = set(sample_texts(chain, 200, rng=rng()))
    assert made == {f"{who} saw the cat {what}" for who in ("we", "they") for what in ("today", "run")}


def test_names_are_chained_by_character_and_never_longer_than_the_longest() -> None:
    names = ["".join(w) for w in rng().choice(list("abcd"), (400, 6))]
    chain = fit_chain(names)
    made = sample_texts(chain, 500, rng=rng(1))
    assert chain.unit == "character"
    assert max(map(len, made)) <= 6
    assert len(set(made) - set(names)) > 100


def test_frequencies_of_first_words_are_kept() -> None:
    chain = fit_chain(["yes it is"] * 3 + ["no it is"])
    made = sample_texts(chain, 4000, rng=rng())
    assert abs(np.mean([t.startswith("yes") for t in made]) - 0.75) < 0.04


def test_same_seed_same_texts_and_it_pickles() -> None:
    chain = fit_chain(["a b c", "a b d", "b a c"])
    again = pickle.loads(pickle.dumps(chain))
    assert sample_texts(chain, 50, rng=rng(3)) == sample_texts(again, 50, rng=rng(3))
