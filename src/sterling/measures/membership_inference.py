"""Whether an attacker who holds the synthetic rows can tell who was in the training data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.view import Need, View
from sterling.stats.attacks import LEAST_ROWS, Arms, Power, arms, power_at, strongest, taken
from sterling.stats.auc import Area, delong
from sterling.stats.bounds import status_of
from sterling.stats.neighbours import nearest, query_side, rank_scales, reference_side
from sterling.stats.small_codes import cells
from sterling.stats.tree_density import dependency_tree, log_likelihood

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats, Ints

# .5 is chance. An AUC of .55 is an advantage of .1: with a coin in hand an attacker is right for 50 of 100 people,
# with this one for about 55. The best 1 % of his accusations may hold three times as many members as chance gives.
BOUND, POWER_BOUND = 0.55, 0.03
RATES = (0.01, 0.001)
# The false-positive rate that is judged; the others are shown.
RATE = RATES[0]
# Squared distances below this are as good as none: ranks that differ by 1 % in one column.
CLOSE = 1e-4
# Rates at few false positives are taken of everybody: among few, the threshold is too uncertain.
RARE = 1 / 2
CODES = 24
MOST_SHOWN = 10


@dataclass(frozen=True, slots=True, eq=False)
class _Attack:
    """One attack's scores.

    Args:
        name: what the attacker looks at.
        scores: of members and of others, larger means "was in the data".
        among: whom it dares to accuse, of both.
        area: AUC with its variance.
    """

    name: str
    scores: tuple[Floats, Floats]
    among: tuple[Bools, Bools]
    area: Area

    @property
    def groups(self) -> tuple[Floats, Floats]:
        """Scores of the members and of the others it dares to accuse."""
        return self.scores[0][self.among[0]], self.scores[1][self.among[1]]


@measure(
    Need.COLUMNS,
    Need.HOLDOUT,
    title="How well an attacker tells who was in the training data",
    better="lower",
    floor=False,
    family="privacy",
)
def membership_inference(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """AUC of the strongest of four membership attacks, corrected for having tried four.

    Members are training rows, non-members holdout rows. The attacker looks at (1) how near the
    nearest synthetic row is, (2) how much nearer that is than the nearest row of a reference group of other
    people, (3) how much more likely a record is under a dependency tree of the synthetic rows than under
    one of the reference group, (4) the first again, among the half of people who are rarer. The reference
    is one half of the holdout for people of the other half, and the same for members, so that neither group
    has an advantage. A second finding is the true-positive rate where 1 % of non-members are accused.

    Args:
        real: train rows, those that the generator saw.
        synthetic: the rows to be judged.
        holdout: real rows that it certainly did not see.
        rng: draws whom to attack.
        terms: `bound` is the largest tolerable AUC, default .55 (an advantage of .1); the rate at 1 % false
            positives may then be .03, and is scaled with the bound. `alpha` is halved between the two and
            shared by the four attacks.

    Returns:
        An AUC, .5 (cannot tell) to 1; smaller is better. Then a rate, 0 to 1; .01 is chance.

    Source: van Breugel et al. 2023, arXiv:2302.12580 (density ratio); Stadler et al. 2022, arXiv:2011.07018;
        Carlini et al. 2022, arXiv:2112.03570 (rates at few false positives); DeLong et al. 1988.
    """
    bound = BOUND if terms.bound is None else terms.bound
    # A policy that tolerates more advantage than the default tolerates a rate that is as much more than chance.
    rate_bound = RATE + (POWER_BOUND - RATE) * (bound - 0.5) / (BOUND - 0.5)
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "rate_bound": rate_bound}
    unseen = 0 if holdout is None else holdout.n
    if holdout is None or not real.columns or min(real.n, unseen, synthetic.n) < LEAST_ROWS:
        few = Unmeasured(
            f"{real.n:,} train, {unseen:,} unseen and {synthetic.n:,} synthetic rows are too few to attack",
            mend=f"give at least {LEAST_ROWS} of each",
        )
        return (Finding("membership_inference", few, "lower", Status.UNMEASURED, reason=few.reason, params=params),)
    drawn = arms(real, synthetic, holdout, effort=terms.effort, rng=rng)
    attacks, where = _attacks(drawn, rng=rng)
    share = terms.alpha / (2 * len(attacks))
    side = (1 - terms.level) / 2
    on_all = [a for a in attacks if all(some.all() for some in a.among)]
    powers = [_power(a, RATE, alpha=side / len(attacks), open_alpha=side, rng=rng) for a in on_all]
    at_least = [a.area.bounds(alpha=share)[0] for a in attacks]
    sure = [power_at(*a.groups, rate=RATE, alpha=share, rng=rng).low for a in on_all]
    params |= {"attacked": drawn.n, "control": drawn.k, "searched": drawn.published.n, "attacks": len(attacks)}
    evidence = _evidence(attacks, at_least, drawn, where, rng=rng)
    rate = _rate_finding(on_all, powers, sure, rate_bound, terms, {**params, "attacks": len(attacks)})
    result, status = _whole(attacks, at_least, rate, bound, terms)
    reason = _sentence(attacks[strongest(at_least)], result, drawn, bound) + drawn.share_searched(synthetic)
    if rate.status is Status.FAIL:
        reason = f"{reason} {rate.reason}"
    return (
        Finding("membership_inference", result, "lower", status, reason=reason, params=params, evidence=evidence),
        rate,
    )


def _attacks(drawn: Arms, *, rng: np.random.Generator) -> tuple[list[_Attack], Ints]:
    """All attacks, and [n] the synthetic row nearest to each member."""
    n, published = drawn.n, drawn.published.columns or ()
    scales = rank_scales(published)
    near, where = nearest(query_side(drawn.both, scales), reference_side(published, scales))
    fold = np.concatenate([rng.permutation(n) % 2, rng.permutation(drawn.k) % 2])
    far, ratio = _against_reference(drawn, scales, fold)
    relative = np.log(far + CLOSE) - np.log(near + CLOSE)
    everyone = np.ones(far.size, dtype=bool)
    rare = far >= np.quantile(far, 1 - RARE)
    found = [
        _attack("nearest synthetic row", -near, everyone, n),
        _attack("nearest synthetic row against nearest reference row", relative, everyone, n),
        _attack("likelihood under the synthetic rows against the reference", ratio, everyone, n),
    ]
    if min(rare[:n].sum(), rare[n:].sum()) >= LEAST_ROWS:
        found.append(_attack("nearest synthetic row, the rarer half of people", -near, rare, n))
    return found, where[:n]


def _attack(name: str, scores: Floats, among: Bools, n: int) -> _Attack:
    area = delong(scores[:n][among[:n]], scores[n:][among[n:]])
    return _Attack(name, (scores[:n], scores[n:]), (among[:n], among[n:]), area)


def _against_reference(drawn: Arms, scales: tuple[Floats | None, ...], fold: Ints) -> tuple[Floats, Floats]:
    """[n + k] squared distance to the nearest reference row, and log-likelihood ratio against the reference.

    A person of fold 0 is compared with the others of fold 1 and the other way round: nobody with himself.
    """
    both, published = drawn.both, drawn.published.columns or ()
    cuts = [cells(c, most=CODES) for c in published]
    known, asked = (np.stack([cut.of(c) for cut, c in zip(cuts, cols, strict=True)]) for cols in (published, both))
    tree = dependency_tree(known, [cut.size for cut in cuts])
    ratio = log_likelihood(tree, known, asked)
    far, is_other = np.empty(ratio.size), np.arange(ratio.size) >= drawn.n
    for side in (0, 1):
        rows, reference = np.flatnonzero(fold == side), np.flatnonzero((fold != side) & is_other)
        far[rows] = nearest(query_side(taken(both, rows), scales), reference_side(taken(both, reference), scales))[0]
        ratio[rows] -= log_likelihood(tree, asked[:, reference], asked[:, rows])
    return far, ratio


def _power(attack: _Attack, rate: float, *, alpha: float, open_alpha: float, rng: np.random.Generator) -> Power:
    """The rate with a lower bound corrected for all attacks; that all lie below a bound needs no correction."""
    strict = power_at(*attack.groups, rate=rate, alpha=alpha, rng=rng)
    plain = power_at(*attack.groups, rate=rate, alpha=open_alpha, rng=rng)
    return Power(strict.value, strict.low, max(strict.value, plain.high))


def _whole(
    attacks: list[_Attack], at_least: list[float], rate: Finding, bound: float, terms: Terms
) -> tuple[Estimate, Status]:
    side, looks = (1 - terms.level) / 2, len(attacks)
    best = attacks[strongest(at_least)].area
    low = max(a.area.bounds(alpha=side / looks)[0] for a in attacks)
    # That *every* attack stays below needs no correction: the truly strongest one is one attack.
    high = max(a.area.bounds(alpha=side)[1] for a in attacks)
    result = Estimate(
        best.value, min(low, best.value), max(high, best.value), best.positives + best.negatives, terms.level,
        f"DeLong, strongest of {looks} attacks, Bonferroni",
    )  # fmt: skip
    if Status.FAIL in (rate.status, status_of(max(at_least), 1.0, bound, better="lower")):
        return result, Status.FAIL
    status = status_of(0.0, result.high, bound, better="lower")
    return result, status if rate.status is Status.PASS else Status.UNDECIDED


def _rate_finding(
    attacks: list[_Attack], powers: list[Power], sure: list[float], bound: float, terms: Terms, params: dict[str, Json]
) -> Finding:
    """True-positive rate at 1 % false positives, of the attack that names most for certain."""
    at = strongest([p.low for p in powers])
    power, (members, others) = powers[at], attacks[at].groups
    high = max(p.high for p in powers)
    method = f"beta law of the threshold, Clopper-Pearson, strongest of {params['attacks']} attacks, Bonferroni"
    result = Estimate(power.value, power.low, high, members.size + others.size, terms.level, method)
    failed = max(sure) > bound
    status = Status.FAIL if failed else status_of(0.0, high, bound, better="lower")
    reason = (
        f"An attacker who is wrong about 10 of 1,000 people who were never in the data recognises "
        f"{round(1000 * power.value):,} of 1,000 training rows, by the {attacks[at].name}; chance gives 10, "
        f"and {round(1000 * bound)} are tolerated."
    )
    return Finding(
        "membership_inference", result, "lower", status, slice=f"false_positives={RATE:.0%}", reason=reason,
        params={**params, "bound": bound},
        evidence={"at_least": max(sure)},
    )  # fmt: skip


def _sentence(attack: _Attack, result: Estimate, drawn: Arms, bound: float) -> str:
    return (
        f"Shown a training row and a row of someone who was never in the data, an attacker names the training row in "
        f"{round(1000 * result.value):,} of 1,000 cases ({round(1000 * result.low):,} to "
        f"{round(1000 * result.high):,}); a coin is right in 500, and {round(1000 * bound):,} are tolerated. "
        f"Strongest attack: {attack.name}; {drawn.attacked}."
    )


def _evidence(
    attacks: list[_Attack], at_least: list[float], drawn: Arms, where: Ints, *, rng: np.random.Generator
) -> dict[str, Json]:
    table: list[Json] = []
    for attack, sure in zip(attacks, at_least, strict=True):
        members, others = attack.groups
        row: dict[str, Json] = {
            "attack": attack.name, "auc": attack.area.value, "at_least": sure, "members": members.size
        }  # fmt: skip
        for rate in RATES:
            if others.size * rate >= 1:
                row[f"true_positives_at_{rate:.1%}"] = power_at(members, others, rate=rate, alpha=0.025, rng=rng).value
        table.append(row)
    best = attacks[strongest(at_least)]
    scores = np.where(best.among[0], best.scores[0], -np.inf)
    surest = np.argsort(-scores, kind="stable")[:MOST_SHOWN]
    shown: list[Json] = [
        {"train_row": int(drawn.member_rows[i]), "nearest_synthetic_row": int(drawn.published_rows[where[i]])}
        for i in surest
        if best.among[0][i]
    ]
    return {"at_least": max(at_least), "attacks": table, "most_exposed": shown}
