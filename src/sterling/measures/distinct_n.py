"""Whether synthetic text has as many different words, pairs and triples of words as real text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sterling.kernel.estimate import Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.view import Need, View
from sterling.stats.diversity import most_tolerable
from sterling.stats.vocabulary import Vocabulary, described, judged, ratio_estimate, vocabularies

if TYPE_CHECKING:
    import numpy as np

    from sterling.stats.diversity import Richness

BOUND = 0.8
MOST_TOKENS = {"full": 200_000, "fast": 50_000}
RUNS = (1, 2, 3)
NAMES = {1: "words", 2: "pairs of words", 3: "triples of words"}


@measure(
    Need.SEQUENCE,
    title="Different words and phrases, beside real text",
    better="higher",
    family="diversity",
    weight=0.5,
)
def distinct_n(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """Different runs of one, two and three tokens in the synthetic text, over those in as much real text.

    Distinct-1, -2 and -3 fall with the length of a text, so both texts are cut to one number of
    tokens (whole records) and rarefied: the expected number of different ones in a random subsample. The
    interval is a jackknife over records.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: not used.
        rng: deals records into the parts of the jackknife, and draws records where a set has more tokens
            than the other (or than 200,000 a field, 50,000 under "fast").
        terms: `bound` is the smallest tolerable ratio, default .8; above its inverse is a warning, and 0
            tolerates all. `alpha` is shared by all lengths of all fields.

    Returns:
        Ratios, 0 to infinity, 1 is ideal, larger is better up to 1. First the worst look, then
        `column=NAME` for each field that fails.

    Source: distinct-n, Li et al. 2016, arXiv:1510.03055; rarefaction, Hurlbert 1971.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "n_real": real.n, "n_synthetic": synthetic.n}
    looks: list[Vocabulary] | Unmeasured = Unmeasured(
        "a set has no field that is a sequence of tokens", mend="give records with free text in both sets"
    )
    if real.sequences and synthetic.sequences:
        looks = vocabularies(real, synthetic, _share_of_different, runs=RUNS, most=MOST_TOKENS[terms.effort], rng=rng)
    if isinstance(looks, Unmeasured):
        return (Finding("distinct_n", looks, "higher", Status.UNMEASURED, reason=looks.reason, params=params),)
    params |= {"looks": len(looks), "most_tokens": MOST_TOKENS[terms.effort]}
    found = judged(looks, alpha=terms.alpha, level=terms.level, bound=bound)
    whole = Finding(
        "distinct_n", ratio_estimate(found.shown, level=terms.level, looks=len(looks) if found.poor else 1), "higher",
        found.status, reason=_words(found.shown, bound), params=params,
        evidence={"fields": [dict(described(v)) for v in found.ordered]},
    )  # fmt: skip
    worst = {v.name: v for v in reversed(found.poor)}
    return (whole, *(_one(v, len(looks), bound, terms, params) for v in worst.values()))


def _share_of_different(runs: Richness) -> float:
    return runs.distinct / runs.size


def _words(v: Vocabulary, bound: float) -> str:
    return (
        f"In {v.name}, {v.synthetic[0]:.1%} of {v.size:,} synthetic {NAMES[v.run]} are different, and "
        f"{v.real[0]:.1%} of as many real ones: {v.ratio:.2f} times, and {bound:g} to "
        f"{most_tolerable(bound):g} is tolerated."
    )


def _one(v: Vocabulary, looks: int, bound: float, terms: Terms, params: dict[str, Json]) -> Finding:
    return Finding(
        "distinct_n", ratio_estimate(v, level=terms.level, looks=looks), "higher", Status.FAIL,
        slice=f"column={v.name}",
        reason=_words(v, bound), params=params, evidence=dict(described(v)),
    )  # fmt: skip
