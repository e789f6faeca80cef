"""Whether a model trained on synthetic rows exaggerates what groups do, beyond one trained on real rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Learner, PredictingLearner, Terms, measure
from sterling.kernel.view import Column, Need, View
from sterling.stats.bounds import normal_quantile, status_of
from sterling.stats.conditional import is_number
from sterling.stats.groups import Group, declared_groups
from sterling.stats.rows import some
from sterling.stats.scores import unscorable

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

BOUND = 0.05
LEAST_ROWS, LEAST_GROUP = 60, 30
MOST_ROWS = {"full": 10_000, "fast": 5_000}
MOST_BENCHMARK, MOST_CLASSES, MOST_SHOWN, MOST_NAMED = 10_000, 5, 50, 5
# Decisions at a threshold stray more with the training rows than rates do: measured up to 1.6 times in standard
# deviations on 300 rows, .7 times on 5,000.
CHANCE = 1.5
# Without rows set apart, one real row in this many is.
KEPT_BACK = 3
# Groups of at least this share must be shown to be within the bound before the set passes.
COMMON_SHARE = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """What both models say of the same real rows.

    Args:
        benchmark: the rows.
        groups: declared groups among benchmark rows and synthetic training rows.
        outcomes: names of the classes that are judged, or the number's.
        truth: per outcome, [n] zeros and ones, or the number in its standard deviations.
        said: per outcome, [n] what the synthetic and the real arm predict.
        trained: rows each arm was trained on, synthetic then real.
        known: rows each arm had.
        apart: whether the benchmark was given, rather than taken from the real rows.
    """

    benchmark: View
    groups: tuple[Group, ...]
    outcomes: tuple[str, ...]
    truth: tuple[Floats, ...]
    said: tuple[tuple[Floats, Floats], ...]
    trained: tuple[int, int]
    known: tuple[int, int]
    apart: bool

    @property
    def number(self) -> bool:
        """Whether the target is a number."""
        return is_number(self.benchmark.known_target)


@dataclass(frozen=True, slots=True)
class _Look:
    """One group and one outcome: rates predicted by both arms and the true one; `error` is of their difference."""

    group: Group
    outcome: int
    synthetic: float
    real: float
    truth: float
    error: float

    @property
    def value(self) -> float:
        """Synthetic amplification minus real amplification: the true rate falls out."""
        return self.synthetic - self.real


@measure(
    Need.GROUPS, Need.TARGET, Need.LEARNER, title="Groups that a synthetic-trained model treats otherwise",
    better="lower", floor=False, family="bias", weight=0.5,
)  # fmt: skip
def amplification(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """How much more a model amplifies (or mutes) a group's outcome when it is trained on synthetic rows.

    A_g = P(model says y | g) - P(y | g) on real rows, for every declared group and intersection of two.
    A model trained on real rows shows some of it too; what is judged is A_g of the synthetic-trained
    model minus A_g of the real-trained one, on the same rows. Classes are those the models decide for; a
    number is predicted in its standard deviations. The interval holds the paired rows and the chance in the
    outcomes of the training rows. One training an arm.

    Args:
        real: train rows; where there is no holdout a third of them is kept back as the benchmark.
        synthetic: the rows that would take their place.
        holdout: the real benchmark, or None.
        rng: draws subsamples and seeds the trainings.
        terms: `learner`; `bound` is the largest tolerable difference, default .05. Half of `alpha` goes to
            single groups, half to intersections.

    Returns:
        Absolute differences of rates (or standard deviations), 0 is ideal, smaller is better. First the
        worst group, then one finding for each group that fails.

    Source: Zhao et al. 2017, arXiv:1707.09457; SCIENCE.md D11.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha}
    trial = _trial(real, synthetic, holdout, terms, rng=rng)
    looks = [] if isinstance(trial, Unmeasured) else _looks(trial)
    if isinstance(trial, Unmeasured) or not looks:
        none = trial if isinstance(trial, Unmeasured) else Unmeasured(
            f"no declared group has {LEAST_GROUP} rows in the benchmark and in both training sets",
            mend="give more rows, or groups that are less rare",
        )  # fmt: skip
        return (Finding("amplification", none, "lower", Status.UNMEASURED, reason=none.reason, params=params),)
    params |= {"rows_synthetic": trial.trained[0], "rows_real": trial.trained[1], "benchmark": trial.benchmark.n,
               "looks": len(looks)}  # fmt: skip
    counts = {c: sum(k.group.crossed is c for k in looks) for c in (False, True)}
    families = sum(n > 0 for n in counts.values())
    reach = {c: normal_quantile(terms.alpha / families / max(1, n) / 2) for c, n in counts.items()}
    failing = [k for k in looks if abs(k.value) - reach[k.group.crossed] * k.error > bound]
    failing.sort(key=lambda k: (k.group.crossed, -abs(k.value)))
    whole = _whole(trial, looks, failing, bound, terms, params)
    return (whole, *(_one(trial, k, len(looks), bound, terms, params) for k in _once(failing)))


def _trial(
    real: View, synthetic: View, holdout: View | None, terms: Terms, *, rng: np.random.Generator
) -> _Trial | Unmeasured:
    learner = terms.learner
    if real.target is None or synthetic.target is None:
        return Unmeasured("there is no target column", mend="name it: --target COLUMN")
    if learner is None or not isinstance(learner, PredictingLearner):
        return Unmeasured("the learner gives no predictions", mend="use a learner that predicts")
    known = [v.take(~v.known_target.missing) for v in (synthetic, real)]
    if min(v.n for v in known) < LEAST_ROWS:
        return Unmeasured(
            f"{known[1].n:,} real and {known[0].n:,} synthetic rows with a known target are too few to train on",
            mend=f"give at least {LEAST_ROWS} rows of each",
        )
    apart = holdout is not None and holdout.target is not None and unscorable(holdout.target) is None
    if apart and holdout is not None:
        benchmark = holdout.take(~holdout.known_target.missing)
    else:
        order, cut = rng.permutation(known[1].n), known[1].n // KEPT_BACK
        benchmark, known[1] = known[1].take(np.sort(order[:cut])), known[1].take(np.sort(order[cut:]))
    problem = unscorable(benchmark.known_target, least=10)
    if problem is not None:
        return Unmeasured(f"in the benchmark, {problem.reason}", mend=problem.mend)
    return _predicted(learner, learner, known, benchmark, terms, rng=rng, apart=apart)


def _predicted(
    learner: Learner, judge: PredictingLearner, known: list[View], benchmark: View, terms: Terms, *,
    rng: np.random.Generator, apart: bool,
) -> _Trial:  # fmt: skip
    arms = [some(v, MOST_ROWS[terms.effort], rng=rng) for v in known]
    benchmark = some(benchmark, MOST_BENCHMARK, rng=rng)
    # One stream for both: where the arms hold the same rows, so do the models.
    seed = int(rng.integers(2**63))
    models = [learner.fit(v, None, rng=np.random.default_rng(seed)) for v in arms]
    predicted = [judge.predict(m, benchmark) for m in models]
    target = benchmark.known_target
    names, truth, said = _numbers(target, predicted) if is_number(target) else _classes(target, predicted)
    groups = declared_groups(benchmark, arms[0], least=LEAST_GROUP)
    return _Trial(benchmark, groups, names, truth, said, (arms[0].n, arms[1].n), (known[0].n, known[1].n), apart)


_Said = tuple[tuple[str, ...], tuple["Floats", ...], tuple[tuple["Floats", "Floats"], ...]]


def _classes(target: Column, predicted: list[Floats]) -> _Said:
    """The commonest classes (of two, the second) as decided by each arm."""
    counts = np.bincount(target.values, minlength=len(target.levels or ()))
    present = np.flatnonzero(counts)
    common = present[1:] if present.size == 2 else present[np.argsort(-counts[present], kind="stable")][:MOST_CLASSES]
    chosen = [p.argmax(axis=1) for p in predicted]
    names = tuple((target.levels or ())[int(k)] for k in common)
    truth = tuple((target.values == k).astype(np.float64) for k in common)
    said = tuple(((chosen[0] == k).astype(np.float64), (chosen[1] == k).astype(np.float64)) for k in common)
    return names, truth, said


def _numbers(target: Column, predicted: list[Floats]) -> _Said:
    unit = float(target.values.std())
    return (target.name,), (target.values / unit,), ((predicted[0] / unit, predicted[1] / unit),)


def _looks(trial: _Trial) -> list[_Look]:
    found: list[_Look] = []
    for group in trial.groups:
        # The real arm is as rich in the group as the benchmark is: both are of the real rows.
        trained = group.sizes[1], trial.trained[1] * group.sizes[0] / trial.benchmark.n
        if min(trained) < LEAST_GROUP:
            continue
        for place, (truth, (a, b)) in enumerate(zip(trial.truth, trial.said, strict=True)):
            y, u, v = (x[group.real] for x in (truth, a, b))
            paired = float((u - v).var(ddof=1)) / u.size
            chance = CHANCE * max(float(y.var()), float(u.var()), float(v.var())) * sum(1 / k for k in trained)
            error = float(np.sqrt(paired + chance))
            found.append(_Look(group, place, float(u.mean()), float(v.mean()), float(y.mean()), error))
    return found


def _once(failing: list[_Look]) -> list[_Look]:
    """The worst outcome of each failing group, in the order of those."""
    worst: dict[str, _Look] = {}
    for look in failing:
        worst.setdefault(look.group.name, look)
    return list(worst.values())


def _estimate(look: _Look, rows: int, level: float, alpha: float) -> Estimate:
    value, reach = abs(look.value), normal_quantile(alpha / 2) * look.error
    method = "paired rows, with the chance in training outcomes"
    return Estimate(value, max(0.0, value - reach), value + reach, rows, level, method)


def _whole(
    trial: _Trial, looks: list[_Look], failing: list[_Look], bound: float, terms: Terms, params: dict[str, Json]
) -> Finding:
    side = 1 - terms.level
    shown = max(failing or looks, key=lambda k: abs(k.value) / max(k.error, 1e-12))
    common = [k for k in looks if _is_common(trial, k.group)]
    unseen = _unseen(trial, looks)
    # That *every* common group is within needs no correction: the truly worst one is one group.
    high = max((abs(k.value) + normal_quantile(side / 2) * k.error for k in common), default=np.inf)
    calm = status_of(0.0, high if not unseen else np.inf, bound, better="lower")
    status = Status.FAIL if failing else calm
    evidence: dict[str, Json] = {"groups": _table(trial, looks), "benchmark": _benchmark(trial)}
    if unseen:
        evidence["common_groups_without_a_look"] = [*unseen]
    result = _estimate(shown, trial.benchmark.n, terms.level, side / (len(looks) if failing else 1))
    return Finding(
        "amplification", result, "lower", status, params=params, evidence=evidence,
        reason=_sentence(trial, looks, failing, shown, bound) + _without_a_look(unseen),
    )  # fmt: skip


def _is_common(trial: _Trial, group: Group) -> bool:
    return group.sizes[0] >= COMMON_SHARE * trial.benchmark.n


def _unseen(trial: _Trial, looks: list[_Look]) -> list[str]:
    """Names of common groups that too few training rows tell of."""
    seen = {k.group.name for k in looks}
    return [g.name for g in trial.groups if _is_common(trial, g) and g.name not in seen]


def _without_a_look(unseen: list[str]) -> str:
    if not unseen:
        return ""
    more = f" and {len(unseen) - MOST_NAMED} more" if len(unseen) > MOST_NAMED else ""
    return f" Common groups with too few training rows to be looked at: {', '.join(unseen[:MOST_NAMED])}{more}."


def _one(trial: _Trial, look: _Look, looks: int, bound: float, terms: Terms, params: dict[str, Json]) -> Finding:
    result = _estimate(look, look.group.sizes[0], terms.level, (1 - terms.level) / looks)
    return Finding(
        "amplification", result, "lower", Status.FAIL, slice=look.group.name, reason=_words(trial, look, bound),
        params=params, evidence=_row(trial, look),
    )  # fmt: skip


def _benchmark(trial: _Trial) -> str:
    return "rows set apart" if trial.apart else "a third of the real rows, kept back from training"


def _words(trial: _Trial, look: _Look, bound: float) -> str:
    name = trial.benchmark.known_target.name
    if trial.number:
        numbers = f"{look.synthetic:.3f} on average (in its standard deviations), where one trained on real rows "
        numbers += f"predicts {look.real:.3f} and the truth is {look.truth:.3f}"
    else:
        name += f"={trial.outcomes[look.outcome]}"
        numbers = f"for {look.synthetic:.1%}, where one trained on real rows predicts it for {look.real:.1%} and "
        numbers += f"{look.truth:.1%} have it"
    return (
        f"In {look.group.name}, a model trained on synthetic rows predicts {name} {numbers}: {look.value:+.3f}, "
        f"and {bound:g} is tolerated."
    )


def _sentence(trial: _Trial, looks: list[_Look], failing: list[_Look], shown: _Look, bound: float) -> str:
    if failing:
        text = _words(trial, shown, bound)
    else:
        text = (
            f"No declared group of {len({k.group.name for k in looks})} is shown to be treated otherwise by a model "
            f"trained on synthetic rows; {shown.group.name} stands out most, by {shown.value:+.3f} (chance alone gives "
            f"about {shown.error:.3f}), and {bound:g} is tolerated."
        )
    if trial.trained != trial.known:
        text += (
            f" It was trained on {trial.trained[0]:,} of {trial.known[0]:,} synthetic "
            f"and {trial.trained[1]:,} of {trial.known[1]:,} real rows."
        )
    return text


def _row(trial: _Trial, look: _Look) -> dict[str, Json]:
    return {
        "group": look.group.name,
        "outcome": trial.outcomes[look.outcome],
        "synthetic_model": look.synthetic,
        "real_model": look.real,
        "truth": look.truth,
        "amplified_by_synthetic": look.synthetic - look.truth,
        "amplified_by_real": look.real - look.truth,
        "standard_error": look.error,
        "rows": look.group.sizes[0],
    }


def _table(trial: _Trial, looks: list[_Look]) -> list[Json]:
    ordered = sorted(looks, key=lambda k: -abs(k.value) / max(k.error, 1e-12))
    return [_row(trial, k) for k in ordered[:MOST_SHOWN]]
