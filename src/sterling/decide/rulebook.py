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
        "D9": "Copies of real rows: broken privacy blocks, elsewhere the generator is to be fixed.",
        "D15": "No real rows: a prototype, and no more.",
        "REQUIRED": "What the policy requires was measured and decided; else INSUFFICIENT.",
        "BOUND": "Anything else that failed its bound: fix it.",
        "WAIVER": "A waiver that has run out counts for nothing.",
    }
)

# Findings that come from other rooms than measures/.
OTHER_FINDINGS = frozenset({"real_equivalent_rows", "mix_gain", "transfer_drop", "utility", "nearest_record", "copies"})
HOUSE_MEASURES = frozenset({"two_sample_auc", "marginal_gap", "slice_coverage", "label_loss"})

# How sentences call a measure.
WORDS = MappingProxyType(
    {
        "two_sample_auc": "the two-sample AUC (trees telling synthetic from real)",
        "marginal_gap": "the widest gap in a single column",
        "slice_coverage": "the coverage of slices",
        "label_loss": "the loss on labels",
        "nearest_record": "the distance to the nearest real record",
        "copies": "the share of copied rows",
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
    return tuple(sorted({*registry.names("measures"), *registry.names("checks"), *OTHER_FINDINGS, *HOUSE_MEASURES}))
