"""On what each rule's thresholds rest: a published result, a measurement of ours, or a convention, said as such."""

from __future__ import annotations

from types import MappingProxyType

GROUNDS = MappingProxyType(
    {
        "D0": "Power .8 at level .05 for paired proportions (Connor 1987): 314 rows at .05, 1,960 at .02. 30 minority "
        "rows: measured, with 9 a mix lost .16 AUC. Leak: a share s can move a score by s; a fifth is tolerated.",
        "D1": "A declaration, and no measurement. That region counts: each region is judged as a slice.",
        "D2": "Measured: a generator that drops the rarest tenth loses a 1 % class at once, and neither 20 % real rows "
        "nor accumulation brings it back to its output. .8 is the four-fifths convention.",
        "D3": "Measured: 5 % errors spread evenly cost .1 to .6 points, the same 5 % in one slice 4 points and more "
        "rows do not help. Bound .01: convention.",
        "D4": "Equivalence by intervals (Schuirmann 1987); .05 and .02 are conventions of the field and of medicine.",
        "D5": "Measured on 336 mixes: unweighted mixing harmed by > .005 AUC in 55 %, the best weight by folds alone "
        "in 15 %, this rule in none (95 % interval up to 1.1 %; worst -.004).",
        "D6": "Worth under a tenth of the rows held: convention; the exchange rate itself is measured, with interval.",
        "D7": "Measured: mixed by cross-validation, a generator fitted on the same rows gained .0024 AUC; a quarter of "
        "the rows held at a weight that nobody can know.",
        "D8": "Measured: with 9 rows of a class a mix lost .16 AUC, with 30 and more the worst lost .009. "
        "8: an exact 95 % interval of a share spans two thirds of all values even then.",
        "D9": "Attacks with a control group (Giomi 2023; Anonymeter); limits of .05 are conventions.",
        "D10": "Measured: P(k rows of a class gone after t generations) is exp(-2k/t); one fresh row each leaves "
        "half the mass in 3 of 4 runs, five in 19 of 20. Theory: Gerstgrasser 2404.01413, Shumailov 2024.",
        "D11": "The four-fifths rule (EEOC 1978) for shares; .005 and .05 are conventions.",
        "D12": "The exact one-sided 95 % limit (Clopper & Pearson 1934): 299 clean rows exclude 1 %, whatever the "
        "set's size, near the rule of three (Hanley & Lippman-Hand 1983). 5 to 10 % of a set is no rule: of 1,000 rows "
        "it can never accept 2 %.",
        "D13": "Li 2310.07849: the gap of synthetic to real text grows with disagreement. .8 and half the tolerance: "
        "convention; kappa .6: Landis & Koch 1977.",
        "D14": "Three challengers: the luckiest looks two standard errors better in 1 of 15: two are the least. "
        "Pre-training then fine-tuning: Tremblay 2018, +2.1 AP.",
        "D15": "Logic: without a real row nothing is known of the real world.",
    }
)
