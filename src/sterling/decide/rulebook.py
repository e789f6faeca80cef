"""The rules by number, and the names a policy may use."""

from __future__ import annotations

from types import MappingProxyType

from sterling.kernel import registry

RULES = MappingProxyType(
    {
        "D0": "The benchmark carries the answer: enough rows, enough of the rarest class, no leak; else INSUFFICIENT.",
        "D1": "Consequential stakes: synthetic rows never alone; real rows from the target population are required.",
        "D2": "A slice of the real data is missing or thin: fix the generator before anything is mixed.",
        "D3": "Labels do not follow the real relation: relabel the slice, or tolerate independent errors.",
        "D4": "Synthetic alone: a stand-in for the real rows, not a stand-in, or collect more test rows.",
        "D5": "The mix: adopted if its gain exceeds its standard error times a factor; else real rows alone.",
        "D6": "Money: stop generating, collect real rows instead, or enough is enough.",
        "D7": "A generator fitted on the rows that train the model adds little: worth is an upper bound.",
        "D9": "Copies of real rows and attacks that succeed: a privacy policy blocks, others ask to fix the generator.",
        "D11": "A declared group is rarer, or treated otherwise, than in the real data: rebalance, or block.",
        "D15": "No real rows: a prototype, and no more.",
        "REQUIRED": "What the policy requires was measured and decided; else INSUFFICIENT.",
        "COLUMNS": "A set that lacks a declared column cannot be judged on it: fix it; others it lacks are named.",
        "BOUND": "Anything else that failed its bound: fix it.",
        "WAIVER": "A waiver that has run out counts for nothing.",
    }
)

# Findings that come from other rooms than measures/.
OTHER_FINDINGS = frozenset({"real_equivalent_rows", "mix_gain"})

# How sentences call a measure.
WORDS = MappingProxyType(
    {
        "two_sample_auc": "the two-sample AUC (trees telling synthetic from real)",
        "marginal_gap": "the widest gap in a single column",
        "slice_coverage": "the coverage of slices",
        "label_loss": "the loss on labels",
        "nearest_record": "the distance to the nearest real record",
        "copies": "the share of copied rows",
        "near_copies": "the share of nearly copied rows",
        "duplicates": "the share of rows that repeat another synthetic row",
        "correlation_gap": "the gap in how columns depend on each other",
        "rule_violation": "the share of rows that break a rule of the real data",
        "time_leak": "the share of rows that know too late a time",
        "embedding_gap": "the distance of the embeddings",
        "coverage": "the share of real rows that synthetic rows reach",
        "rare_modes": "the share that rare modes keep",
        "unique_values": "the ratio of distinct values",
        "hapax": "the share of words that occur once",
        "distinct_n": "the share of distinct word sequences",
        "representation": "a group's share against its real share",
        "outcome_gap": "the difference of a group's outcome from the real one",
        "amplification": "the bias that a model takes from it",
        "label_errors": "the share of wrong labels",
        "membership_inference": "how well an attacker tells who was in the data",
        "singling_out": "the risk of being singled out",
        "linkability": "the risk of being linked",
        "attribute_inference": "the risk that a secret is inferred",
        "canaries": "the exposure of planted canaries",
        "calibration": "the error of predicted probabilities",
        "utility": "the score of a model trained on it alone",
        "transfer_drop": "the drop from synthetic to real test rows",
        "real_equivalent_rows": "the worth in real rows",
        "mix_gain": "the gain of the mix",
    }
)


def plain(name: str) -> str:
    """A finding's name in plain words, with its slice.

    >>> plain("marginal_gap"), plain("my_measure:sex=F")
    ('the widest gap in a single column', 'my measure in sex=F')
    """
    measure, _, where = name.partition(":")
    words = WORDS.get(measure, measure.replace("_", " "))
    return f"{words} in {where}" if where else words


def known_measures() -> tuple[str, ...]:
    """Every name a bound, a requirement or a waiver may speak of, plug-ins included."""
    return tuple(sorted({*registry.names("measures"), *registry.names("checks"), *OTHER_FINDINGS, *WORDS}))
