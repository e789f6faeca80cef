"""The field's working wisdom, claim by claim, and what makes each one executable here.

`by` names what does it: "rule:D1", "measure:copies", "command:collapse", "preset:five_percent", "generator:cart",
"fault:label_noise", "answer:purpose=privacy" (a route of `sterling advise`). Where only a later part of Sterling will
do it, `status` says so, and `by` names the route that `advise` gives until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim.

    Args:
        name: a short name, unique.
        words: the claim, as the field makes it.
        by: what makes it executable, at least one.
        says: what came of it: tested, replaced by what, or measured to be otherwise.
        status: whether Sterling does it now, or sends you elsewhere until a later issue.
    """

    name: str
    words: str
    by: tuple[str, ...]
    says: str
    status: Literal["now", "later issue"] = "now"


FORMS = (
    Claim("form_simulation", "Simulation-generated: labels known and free.", ("answer:purpose=rare_scenes",
          "answer:modality=trajectory"), "Advised with a simulator of yours; ours come later.",
          "later issue"),
    Claim("form_generative", "Produced by generative models.", ("generator:cart", "generator:copula",
          "answer:modality=text"), "Tables now; text, images and speech from your own models until then."),
    Claim("form_rules", "Rule-based augmentation of real data: oldest, lowest risk.", ("rule:D7", "command:credit"),
          "No augmenter of ours yet; rows of yours are judged and credited like any other.", "later issue"),
    Claim("form_privacy", "Privacy-preserving synthesis: like the real, no real record.", ("preset:privacy", "rule:D9"),
          "Attacks with control groups instead of distances alone."),
)  # fmt: skip
WINS = (
    Claim("win_rare_scenes", "Rare and dangerous scenes.", ("answer:purpose=rare_scenes", "rule:D8"),
          "The rare class must be shown to gain; the test must hold 30 real records of it."),
    Claim("win_instructions", "Instruction data from a stronger model to a smaller one.",
          ("answer:purpose=instructions", "command:ceiling", "rule:CEILING"), "The teacher is scored first."),
    Claim("win_robots", "Robot training with domain randomisation.", ("answer:modality=trajectory",),
          "Advised; randomised scenes come with a later issue.", "later issue"),
    Claim("win_privacy_law", "Data that privacy law keeps at home.", ("answer:purpose=privacy", "preset:privacy"),
          "A recipient's report holds no real row."),
)  # fmt: skip
FAILS = (
    Claim("fail_domain_gap", "Domain gap: trained on synthetic alone, models lose 5 to 20 % on real data.",
          ("measure:utility", "measure:transfer_drop", "rule:D4"), "Measured on your data, with interval."),
    Claim("fail_domain_adaptation", "Adaptation bridges part; real data in the mix is needed for the rest.",
          ("command:blend", "rule:D5"), "Adapted sets are candidates like any other."),
    Claim("fail_collapse", "Model collapse: gradual, easy to miss; inject real data regularly.",
          ("command:collapse", "rule:D10"), "A number of fresh real rows per slice and generation, not a percentage."),
    Claim("fail_collapse_signs", "Diversity goes first, then repetition, genericness, unreliable facts.",
          ("measure:hapax", "measure:distinct_n", "measure:unique_values", "measure:rare_modes", "measure:coverage"),
          "Rare counts warn first; variance and mean perplexity do not warn."),
    Claim("fail_bias", "Bias amplification: more of what you already have.",
          ("measure:amplification", "measure:representation", "measure:outcome_gap", "rule:D11"),
          "Measured against real rows; it does not always happen."),
    Claim("fail_hidden_cost", "Generation is cheap, validation is not.", ("command:cost", "rule:D6"),
          "Validation's share of the cost is printed."),
    Claim("fail_ceiling", "No better than its source; 5 % errors come through or grow.", ("command:ceiling",
          "rule:CEILING"), "Independent errors average out; clustered ones are learned in full."),
    Claim("fail_labels", "Labels that are automatic, not correct.", ("measure:label_loss", "measure:label_errors",
          "rule:D3"), "Held against the relation in real rows: inside the set they cannot be seen."),
)  # fmt: skip
BASELINE = (
    Claim("real_edge_cases", "Real complexity and edge cases.", ("command:reach", "rule:REACH"),
          "The map of what no candidate comes near: collect, don't simulate."),
    Claim("real_judgement", "People weigh a correct but abrupt answer against a gracious wrong one.", ("rule:D13",),
          "Agreement is asked for; where it is low, real labels of several people are required."),
)  # fmt: skip
SYNTHETIC_RIGHT = (
    Claim("right_rare", "Too rare or dangerous to capture.", ("answer:purpose=rare_scenes", "rule:D8"), "A route."),
    Claim("right_thin", "Thin classes in an existing real set.", ("answer:purpose=thin_class", "rule:D8"), "A route."),
    Claim("right_privacy", "Privacy forbids the real.", ("answer:purpose=privacy", "rule:D9"), "A route."),
    Claim("right_bootstrap", "Bootstrapping a prototype.", ("answer:purpose=bootstrap", "rule:D15"),
          "Capped at PROTOTYPE_ONLY until there is a real test."),
    Claim("right_conditions", "Missing lighting or viewpoints.", ("answer:purpose=missing_conditions",
          "measure:slice_coverage"), "A route; conditions are slices."),
)  # fmt: skip
REAL_REQUIRED = (
    Claim("required_consequences", "Decisions with consequences: medical, financial, legal.",
          ("answer:stakes=consequential", "preset:consequential", "rule:D1"), "Never synthetic alone."),
    Claim("required_expertise", "Labels need domain expertise.", ("answer:declares=expert", "rule:D1"),
          "Reviewers must be experts."),
    Claim("required_region", "Culture or region matters.", ("answer:declares=regional", "rule:D1"),
          "Each region is judged as a slice."),
    Claim("required_finding_out", "You must find out whether the synthetic is good enough.", ("rule:D0",
          "command:compare"), "No verdict without a real test that can show the difference."),
    Claim("required_severity", "Annotation quality must match the severity of consequences.", ("rule:D12",
          "preset:consequential"), "Stakes set review bar, overlap and credentials together."),
)  # fmt: skip
HYBRID = (
    Claim("hybrid_order", "Pre-train on synthetic, fine-tune on real, validate on real.", ("command:order",
          "rule:D14"), "One of four orders; taken where it wins by two standard errors."),
    Claim("hybrid_80_20", "About 80 % synthetic for common cases, 20 % real for edge cases.", ("command:blend",
          "rule:D5"), "One candidate among the weights; edges are found, not named."),
    Claim("hybrid_validate", "Validate every synthetic set against a real benchmark before training.",
          ("command:compare", "command:gate", "rule:D0"), "The first step of every route."),
    Claim("hybrid_five_percent", "Synthetic alone and real alone; beyond 5 % improve the synthetic first.",
          ("preset:five_percent", "rule:D4"), "A preset; its error rates stand beside the default's."),
    Claim("hybrid_500_50000", "500 well-annotated real examples beat 50,000 synthetic ones.", ("command:worth",
          "rule:D6"), "Simply N_syn(50,000) < 500; measured."),
)  # fmt: skip
QUALITY = (
    Claim("quality_review", "Qualified annotators verify 5 to 10 %.", ("rule:D12",),
          "A number that depends on the bar, not on the set's size."),
    Claim("quality_preferences", "Preferences made by models must be validated by people.",
          ("answer:modality=preference", "rule:D13"), "A step of the route; interventional probes come later.",
          "later issue"),
)  # fmt: skip
BIG_USERS = (
    Claim("big_many_sets", "50 and more synthetic sets for one small model.", ("command:blend", "command:credit"),
          "Many candidates at once, each with its credit."),
    Claim("big_renderer", "Tens of thousands of images in hours from a renderer.", ("answer:modality=image",),
          "Advised with a renderer of yours.", "later issue"),
    Claim("big_driving", "Simulated driving scenes nobody could stage.", ("answer:purpose=rare_scenes",),
          "Advised with a simulator of yours.", "later issue"),
)  # fmt: skip
CLAIMS: tuple[Claim, ...] = (
    *FORMS, *WINS, *FAILS, *BASELINE, *SYNTHETIC_RIGHT, *REAL_REQUIRED, *HYBRID, *QUALITY, *BIG_USERS,
)  # fmt: skip
