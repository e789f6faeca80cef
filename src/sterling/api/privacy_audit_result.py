"""What an audit of privacy found, in the house's envelope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sterling.kernel.dataset import Dataset
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Decision, Finding, RuleOutcome, Status, Verdict
from sterling.kernel.privacy_claim import Claim
from sterling.kernel.table import Table
from sterling.stats.privacy_audit import Guesses, epsilon_at_least

if TYPE_CHECKING:
    from sterling.api.privacy_audit import AuditPlan
    from sterling.decide.result import Result

LEVEL = 0.95
# The delta at which a generator without a promise is measured.
DELTA = 1e-6
MEASURE = "epsilon_lower_bound"


def concluded(
    what: str,
    claim: Claim | None,
    attacks: Mapping[tuple[str, float], Guesses],
    whole: Dataset,
    plan: AuditPlan,
    *,
    skipped: tuple[str, ...],
) -> Result:
    """The result of an audit: the bound beside the promise, and what can and cannot be said."""
    from sterling.decide.inputs import InputRecord
    from sterling.decide.result import Result

    delta = DELTA if claim is None else claim.delta
    # The best of several attacks is taken, so each may err less often.
    alpha = (1 - LEVEL) / len(attacks)
    bounds = {which: epsilon_at_least(g, delta=delta, alpha=alpha) for which, g in attacks.items()}
    best = max(bounds, key=lambda which: bounds[which])
    finding = _finding(bounds[best], attacks[best], claim, delta, plan)
    rule = _rule(what, bounds[best], claim)
    notes = [
        f"{plan.rows:,} real rows and {plan.canaries} canaries per fit, {4 * plan.fits} fits in all;"
        f" no more than epsilon {_most(attacks, delta, alpha):.1f} could have been shown with so many",
        "an attack that proves little does not prove the promise: a better attack may prove more",
        *([f"not attacked: {', '.join(skipped[:8])}{' ...' if len(skipped) > 8 else ''}"] if skipped else []),
        *(["the promise covers records_per_person together; single records were planted"] if _grouped(claim) else []),
    ]
    inputs = (InputRecord(whole.name, whole.rows, whole.fingerprint),)
    decision = Decision(rule.verdict or Verdict.SHIP, "audit", (rule,))
    return Result(
        "audit", decision, (finding,), inputs, plan.seed, "audit", tables=(_table(what, claim, attacks, bounds),),
        notes=tuple(notes),
    )  # fmt: skip


def _grouped(claim: Claim | None) -> bool:
    return claim is not None and claim.records > 1


def _most(attacks: Mapping[tuple[str, float], Guesses], delta: float, alpha: float) -> float:
    """The bound if every guess had been right."""
    return max(epsilon_at_least(Guesses(g.coins, g.made, g.made), delta=delta, alpha=alpha) for g in attacks.values())


def _finding(bound: float, guesses: Guesses, claim: Claim | None, delta: float, plan: AuditPlan) -> Finding:
    refuted = claim is not None and bound > claim.epsilon
    status = Status.FAIL if refuted else Status.WARN if claim is None and bound > 1 else Status.PASS
    return Finding(
        MEASURE,
        Estimate(bound, bound, float("inf"), guesses.coins, LEVEL, "one-run audit"),
        "lower",
        status,
        reason=(
            f"Of {guesses.made:,} guesses which planted record was learned from, {guesses.right:,} were right; a coin "
            f"is right in {guesses.made / 2:,.0f}. No epsilon below {bound:.2f} is tenable at delta {delta:g}."
        ),
        params={
            "seed": plan.seed, "fits": plan.fits, "canaries": plan.canaries, "rows": plan.rows, "delta": delta,
            "bound": None if claim is None else claim.epsilon,
        },
        evidence={"coins": guesses.coins, "guesses": guesses.made, "right": guesses.right},
    )  # fmt: skip


def _rule(what: str, bound: float, claim: Claim | None) -> RuleOutcome:
    if claim is None:
        told = (
            f"{what} promises no differential privacy, and an attacker shows at least epsilon {bound:.2f}"
            if bound > 0
            else f"{what} promises no differential privacy; this attack shows no leak, which is no promise either"
        )
        return RuleOutcome("AUDIT", "NO_PROMISE", (MEASURE,), f"{told}.", Verdict.INSUFFICIENT)
    if bound > claim.epsilon:
        told = (
            f"{what} promises epsilon {claim.epsilon:g} and an attacker shows at least {bound:.2f} with 95 % "
            "confidence: the promise is broken. Publish nothing that it made."
        )
        return RuleOutcome("AUDIT", "PROMISE_BROKEN", (MEASURE,), told, Verdict.BLOCK)
    told = (
        f"The attack shows at least epsilon {bound:.2f}; {what} promises at most {claim.epsilon:g}: no contradiction."
    )
    return RuleOutcome("AUDIT", "PROMISE_STANDS", (MEASURE,), told)


def _table(
    what: str,
    claim: Claim | None,
    attacks: Mapping[tuple[str, float], Guesses],
    bounds: Mapping[tuple[str, float], float],
) -> Table:
    promised = None if claim is None else claim.epsilon
    rows = tuple(
        (f"{attack}, on {share:.0%} of the records", g.made, g.right, g.right / g.made, bounds[attack, share], promised)
        for (attack, share), g in attacks.items()
    )
    return Table(
        f"Attacks on {what}", ("attack", "guesses", "right", "share", "epsilon at least", "promised"), rows,
        note=f"Each bound holds with {1 - (1 - LEVEL) / len(attacks):.2%} confidence, all together with {LEVEL:.0%}.",
    )  # fmt: skip
