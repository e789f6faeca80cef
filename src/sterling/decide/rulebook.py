"""The rules by number, and the names a policy may use."""

from __future__ import annotations

from types import MappingProxyType

from sterling.kernel import registry

RULES = MappingProxyType(
    {
        "D0": "The benchmark carries the answer: enough rows, enough of the rarest class, no leak; else INSUFFICIENT.",
        "D1": "Consequential stakes, region, experts, safety: real rows are required, synthetic rows never used alone.",
        "D2": "A slice of the real data is missing or thin: fix the generator before anything is mixed.",
        "D3": "Labels do not follow the real relation: relabel the slice, or tolerate independent errors.",
        "D4": "Synthetic alone: a stand-in for the real rows, not a stand-in, or collect more test rows.",
        "D5": "The mix: adopted if its gain exceeds its standard error times a factor; else real rows alone.",
        "D6": "Money: stop generating, collect real rows instead, or enough is enough.",
        "D7": "A generator fitted on the rows that train the model adds little: worth is an upper bound.",
        "D8": "A class with few real rows: synthetic rows for it where shown to help; with next to none, no judgement.",
        "D9": "Copies of real rows and attacks that succeed: a privacy policy blocks, others ask to fix the generator.",
        "D10": "A generator on its own output: go on, add fresh real rows, or stop; replacing real rows is refused.",
        "D11": "A declared group is rarer, or treated otherwise, than in the real data: rebalance, or block.",
        "D12": "Review: so many rows that errors beyond the bar would show, whatever the size of the set.",
        "D13": "People do not agree on what is right: half the tolerance, and real rows labelled by several.",
        "D14": "The order of training: mixed, one after the other, or either alone; named only where it is shown.",
        "D15": "No real rows: a prototype, and no more.",
        "CEILING": "A teacher that does not beat a model of the real rows: what learns from it can only inherit.",
        "CREDIT": "A generator setting whose rows surely hurt: drop it, unless the benchmark says otherwise.",
        "REACH": "Real records that no synthetic row comes near: collect them, weigh them up, or sample more.",
        "ADVISE": "Advice: a route, contradictions named; it measures nothing and lets nothing pass.",
        "REQUIRED": "What the policy requires was measured and decided; else INSUFFICIENT.",
        "COLUMNS": "A set that lacks a declared column cannot be judged on it: fix it; others it lacks are named.",
        "BOUND": "Anything else that failed its bound: fix it.",
        "WAIVER": "A waiver that has run out counts for nothing.",
        "WORN": "A benchmark that answered so much that a gain could be made of the answers: collect fresh rows.",
    }
)

# Findings that come from other rooms than measures/.
OTHER_FINDINGS = frozenset(
    {
        "real_equivalent_rows",
        "annotator_agreement",
        "annotator_kappa",
        "review_errors",
        "marginal_rows",
        "worth_cap",
        "added_real_rows",
        "mix_gain",
        "order_gain",
        "retention",
        "first_retention",
        "extinct",
        "earliest_alarm",
        "forecast",
        "uncovered",
        "distinct_values",
        "distinct_rows",
        "hapax_kept",
        "distinct_words",
        "repetition",
        "genericness",
        "fact_errors",
        "told_apart",
        "variance",
        "entropy",
        "setting_credit",
        "setting_ablation",
        "out_of_reach",
        "teacher_ceiling",
        "student_gap",
        "student_kept",
        "audited_error",
        "predicted_error",
        "measured_error",
        "kept_error",
        "cost_per_accepted_row",
        "cost_per_real_row",
        "validation_share",
    }
)

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
        "marginal_rows": "what the next 1,000 rows would add, in real rows",
        "worth_cap": "what any number of rows is worth at most, in real rows",
        "added_real_rows": "what adding the set brings, in real rows",
        "mix_gain": "the gain of the mix",
        "annotator_agreement": "the agreement of annotators",
        "annotator_kappa": "the agreement of annotators beyond chance",
        "review_errors": "the share of records that reviewers call wrong",
        "order_gain": "the gain of an order of training",
        "retention": "the mass that slices keep over generations",
        "first_retention": "the mass that slices keep in the first generation",
        "extinct": "the share of slices that are gone",
        "earliest_alarm": "the generation in which a sign first warns",
        "forecast": "the mass that rare slices are foretold to keep",
        "uncovered": "the share of real rows out of reach",
        "distinct_values": "the different values that a column keeps",
        "distinct_rows": "the different rows",
        "hapax_kept": "the words that occur once",
        "distinct_words": "the different word sequences",
        "repetition": "the repeated word sequences",
        "genericness": "the rarity of word pairs",
        "fact_errors": "the share of wrong facts",
        "told_apart": "how well trees tell made rows from real ones",
        "variance": "the variance that numbers keep",
        "entropy": "the entropy that categories keep",
        "setting_credit": "the credit of a setting's rows",
        "setting_ablation": "the gain without a setting's rows",
        "out_of_reach": "the share of real rows out of reach",
        "teacher_ceiling": "the teacher's lead over a model of the real rows",
        "student_gap": "the gap of the model trained on synthetic rows alone",
        "student_kept": "the share of the teacher's quality that the student kept",
        "audited_error": "the share of wrong labels in the audit",
        "predicted_error": "the errors that audited labels will make",
        "measured_error": "the errors that such labels made when planted",
        "kept_error": "the share of wrong labels among those a verifier keeps",
        "cost_per_accepted_row": "the cost of an accepted row",
        "cost_per_real_row": "the cost of one real row's worth",
        "validation_share": "the share of checking in the cost",
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
