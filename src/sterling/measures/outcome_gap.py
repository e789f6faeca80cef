"""Whether each declared group's outcome follows from its features as it does in the real data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.protocols import Terms, measure
from sterling.kernel.view import Column, Need, View
from sterling.stats.bounds import status_of
from sterling.stats.conditional import Judged, coded, cross_predict, feature_matrix, is_number
from sterling.stats.groups import Contrast, Group, Residuals, contrast, declared_groups
from sterling.stats.rows import some

if TYPE_CHECKING:
    from sterling.kernel.view import Floats

BOUND = 0.005
FOLDS = 3
LEAST_ROWS, LEAST_GROUP = 100, 30
LEAST_CLASS, MOST_CLASSES = 30, 5
# A class that a group is expected to have, or to lack, fewer times than this has no normal mean.
LEAST_EVENTS = 10.0
# Half-widths are about .6 to .9 over the root of the group's rows: with so many, groups of a quarter and more can
# be shown to be within .005. The trees take 1.4 CPU seconds for 200,000 x 15, three folds and all.
MOST_ROWS = {"full": 200_000, "fast": 5_000}
MOST_CELLS = 4_000_000
# Every group is compared with all rows beside it, outcome by outcome (36 CPU ms of 200,000 rows): where there is much
# to compare rows are fewer, though no fewer than these.
MOST_COMPARED, FEW_ROWS = 6_000_000, 20_000
# Residuals of a number beyond this many of their standard deviations count as this many.
MOST_RESIDUAL = 4.0
# Groups of at least this share must be shown to be within the bound before the set passes.
COMMON_SHARE = 0.05
# An intersection is named rather than its attribute where that shifts by less than this part as much.
NEARLY = 0.7
MOST_FINDINGS, MOST_SHOWN, MOST_NAMED = 10, 50, 5


@dataclass(frozen=True, slots=True)
class _Look:
    """One group's outcome: `at_least` is how far from 0 it certainly shifts, all looks allowed for."""

    group: Group
    outcome: int
    found: Contrast
    at_least: float


@dataclass(frozen=True, slots=True, eq=False)
class _Outcomes:
    """Both sets with their residuals.

    Args:
        target: of the real rows that were looked at.
        groups: the declared ones.
        residuals: per class, or of the number in its standard deviations.
        rates: per class, [n] and [m] zeros and ones, or the number itself, for words only.
        known: real and synthetic rows with a known target.
    """

    target: Column
    groups: tuple[Group, ...]
    residuals: tuple[Residuals, ...]
    rates: tuple[tuple[Floats, Floats], ...]
    known: tuple[int, int]

    @property
    def number(self) -> bool:
        """Whether the target is a number."""
        return is_number(self.target)


@measure(
    Need.GROUPS, Need.TARGET, title="Outcome of a declared group that shifts against all others", better="lower",
    floor=False, family="bias",
)  # fmt: skip
def outcome_gap(
    real: View, synthetic: View, *, holdout: View | None, rng: np.random.Generator, terms: Terms
) -> tuple[Finding, ...]:
    """By how much a group's outcome shifts from real to synthetic, beyond the shift of all rows.

    It asks whether the relation between group and outcome changed: the rate of each class (one of two
    classes; the mean of a number in its standard deviations) in every declared group and intersection
    of two, synthetic minus real, minus the same of all rows. What the features say of the outcome is
    taken out first, by models that did not see the row, and rows are compared under like predictions;
    so more precise than raw rates, and blind to a mere shift of features.

    Args:
        real: train rows.
        synthetic: the rows to be judged.
        holdout: not used.
        rng: draws folds and subsamples.
        terms: `bound` is the largest tolerable shift, default .005 (half a percentage point; a number:
            .005 standard deviations). Half of `alpha` goes to single groups, half to intersections.

    Returns:
        Absolute shifts, 0 is ideal, smaller is better. First the worst group, then one finding for each
        that fails and that none before it explains, at most 10.

    Source: difference in differences on cross-fitted residuals, see `stats.groups.contrast`.
    """
    bound = BOUND if terms.bound is None else terms.bound
    params: dict[str, Json] = {"bound": bound, "alpha": terms.alpha, "folds": FOLDS}
    outcomes = _outcomes(real, synthetic, terms, rng=rng)
    looks = [] if isinstance(outcomes, Unmeasured) else _looks(outcomes, outcomes.residuals, terms)
    if isinstance(outcomes, Unmeasured) or not looks:
        none = outcomes if isinstance(outcomes, Unmeasured) else Unmeasured(
            f"no declared group has {LEAST_GROUP} rows of each set, and as many beside it, with outcomes of both kinds",
            mend="give more rows, or groups that are less rare",
        )  # fmt: skip
        return (Finding("outcome_gap", none, "lower", Status.UNMEASURED, reason=none.reason, params=params),)
    first = outcomes.residuals[0]
    params |= {
        "looks": len(looks), "rows_real": first.real.size, "rows_synthetic": first.synthetic.size,
        "unit": "standard deviations of the target" if outcomes.number else "share of the group's rows",
    }  # fmt: skip
    failing = _unexplained(outcomes, looks, bound, terms)
    whole = _whole(outcomes, looks, failing, bound, terms, params)
    return (whole, *(_one(outcomes, look, len(looks), bound, terms, params) for look in failing))


def _outcomes(real: View, synthetic: View, terms: Terms, *, rng: np.random.Generator) -> _Outcomes | Unmeasured:
    target, other = real.target, synthetic.target
    if target is None or other is None:
        return Unmeasured("there is no target column", mend="name it: --target COLUMN")
    known = (int((~target.missing).sum()), int((~other.missing).sum()))
    if min(known) < LEAST_ROWS:
        return Unmeasured(
            f"{known[0]:,} real and {known[1]:,} synthetic rows have a known {target.name!r}",
            mend=f"give at least {LEAST_ROWS} of each",
        )
    if not real.features and real.embedding is None:
        return Unmeasured(f"{target.name!r} is the only column", mend="give the groups and the features as columns")
    sets = _capped(real.take(~target.missing), terms, rng=rng), _capped(synthetic.take(~other.missing), terms, rng=rng)
    groups = declared_groups(*sets, least=LEAST_GROUP)
    most = max(FEW_ROWS, MOST_COMPARED // max(1, len(groups) * _most_outcomes(target)))
    if max(v.n for v in sets) > most:
        sets = some(sets[0], most, rng=rng), some(sets[1], most, rng=rng)
        groups = declared_groups(*sets, least=LEAST_GROUP)
    if not groups:
        return Unmeasured(
            f"no declared group has {LEAST_GROUP} real rows with a known {target.name!r}",
            mend="declare groups that the real rows hold: --group COLUMN",
        )
    made = (_numbers if is_number(target) else _classes)(*sets, rng=rng)
    return made if isinstance(made, Unmeasured) else _Outcomes(sets[0].known_target, groups, made[0], made[1], known)


def _capped(view: View, terms: Terms, *, rng: np.random.Generator) -> View:
    most = max(LEAST_ROWS, min(MOST_ROWS[terms.effort], MOST_CELLS // max(1, len(view.features))))
    return some(view, most, rng=rng)


def _most_outcomes(target: Column) -> int:
    levels = 0 if is_number(target) else len(target.levels or ())
    return 1 if levels <= 2 else min(levels, MOST_CLASSES + 1)


_Made = tuple[tuple[Residuals, ...], tuple[tuple["Floats", "Floats"], ...]]


def _classes(real: View, synthetic: View, *, rng: np.random.Generator) -> _Made | Unmeasured:
    target = real.known_target
    y, z, names = coded(target, synthetic.known_target, least=LEAST_CLASS, most=MOST_CLASSES)
    if int(np.sort(np.bincount(y, minlength=2))[-2]) < LEAST_CLASS:
        return Unmeasured(
            f"all but {y.size - int(np.bincount(y).max()):,} real rows have the same {target.name!r}",
            mend=f"give at least {LEAST_CLASS} rows of another class",
        )
    judged = _judged(real, synthetic, y, classes=len(names), rng=rng)
    wanted = range(1, 2) if len(names) == 2 else range(len(names))
    hits = tuple(((y == k).astype(np.float64), (z == k).astype(np.float64)) for k in wanted)
    scores = tuple((judged.real[:, k], judged.synthetic[:, k]) for k in wanted)
    return tuple(_residuals(names[k], h, s) for k, h, s in zip(wanted, hits, scores, strict=True)), hits


def _numbers(real: View, synthetic: View, *, rng: np.random.Generator) -> _Made | Unmeasured:
    target = real.known_target
    spread = float(np.subtract(*np.quantile(target.values, [0.995, 0.005])))
    if not np.isfinite(spread) or spread <= 0:
        return Unmeasured(f"{target.name!r} is constant in the real rows", mend="give rows in which the target varies")
    limits = np.quantile(target.values, [0.001, 0.999]) + np.array([-0.5, 0.5]) * spread
    y, z = (np.clip(t, *limits) for t in (target.values, synthetic.known_target.values))
    judged = _judged(real, synthetic, y, classes=0, rng=rng)
    unit, most = float(y.std()), MOST_RESIDUAL * float((y - judged.real).std())
    scores = judged.real / unit, judged.synthetic / unit
    cut = [np.clip(t - p, -most, most) / unit for t, p in ((y, judged.real), (z, judged.synthetic))]
    plain = _residuals("higher", (cut[0] + scores[0], cut[1] + scores[1]), scores)
    return (plain,), ((y, z),)


def _residuals(name: str, labels: tuple[Floats, Floats], scores: tuple[Floats, Floats]) -> Residuals:
    kept = np.ones(labels[0].size, dtype=bool), np.ones(labels[1].size, dtype=bool)
    return Residuals(name, labels[0] - scores[0], labels[1] - scores[1], scores, kept)


def _judged(real: View, synthetic: View, y: Floats, *, classes: int, rng: np.random.Generator) -> Judged:
    x = feature_matrix(real, real.features)
    return cross_predict(x, y, feature_matrix(synthetic, synthetic.features)[0], classes=classes, folds=FOLDS, rng=rng)


def _looks(
    outcomes: _Outcomes, residuals: Sequence[Residuals], terms: Terms, *, tests: dict[bool, int] | None = None
) -> list[_Look]:
    """Every group with every outcome; both halves of an attribute of two levels ask one question."""
    found = [
        (group, place, c)
        for group in outcomes.groups
        for place, r in enumerate(residuals)
        if (outcomes.number or _frequent(group, r)) and (c := contrast(group, r, least=LEAST_GROUP)) is not None
    ]
    counts = _questions(outcomes.groups, [(g, c) for g, _, c in found]) if tests is None else tests
    families = sum(count > 0 for count in counts.values())
    return [
        _Look(g, place, c, max(0.0, abs(c.value) - _reach(c, terms.alpha / families / counts[g.crossed])))
        for g, place, c in found
    ]


def _frequent(group: Group, residuals: Residuals) -> bool:
    """Whether a class is expected often enough in the group, and its absence too, in both sets."""
    for inside, kept, p in zip((group.real, group.synthetic), residuals.kept, residuals.scores, strict=True):
        chance = p[inside & kept]
        if min(float(chance.sum()), float((1 - chance).sum())) < LEAST_EVENTS:
            return False
    return True


def _questions(groups: Sequence[Group], found: Sequence[tuple[Group, Contrast]]) -> dict[bool, int]:
    """How many tests there are among single groups and among intersections.

    Where two levels are all there is of an attribute, each is the other's rest: one contrast, one test.
    """
    counts = {crossed: sum(g.crossed is crossed for g, _ in found) for crossed in (False, True)}
    for name in {g.attributes for g in groups if not g.crossed}:
        levels = [g for g in groups if g.attributes == name]
        if len(levels) == 2 and all((a | b).all() for a, b in (
            (levels[0].real, levels[1].real), (levels[0].synthetic, levels[1].synthetic),
        )):  # fmt: skip
            looked = sum(g.attributes == name for g, _ in found)
            counts[False] -= looked // 2
    return counts


def _reach(c: Contrast, alpha: float) -> float:
    """How far the shift may stray to either side; by Student's law, for groups may be small."""
    return float(stdtrit(sum(c.rows) - 2, 1 - alpha / 2)) * c.error


def _unexplained(outcomes: _Outcomes, looks: Sequence[_Look], bound: float, terms: Terms) -> list[_Look]:
    """The failing groups, the surest first, each without the rows of those named before it."""
    tests = _questions(outcomes.groups, [(k.group, k.found) for k in looks])
    residuals = list(outcomes.residuals)
    named: list[_Look] = []
    found = list(looks)
    while len(named) < MOST_FINDINGS:
        worst = max(found, key=lambda k: (k.at_least, not k.group.crossed), default=None)
        if worst is None or worst.at_least <= bound:
            return named
        worst = _parent(worst, found, bound)
        named.append(worst)
        gone = worst.group.real, worst.group.synthetic
        residuals = [replace(r, kept=(r.kept[0] & ~gone[0], r.kept[1] & ~gone[1])) for r in residuals]
        suspects = tuple({id(k.group): k.group for k in found if k.at_least > bound}.values())
        found = _looks(replace(outcomes, groups=suspects), residuals, terms, tests=tests)
    return named


def _parent(look: _Look, looks: Sequence[_Look], bound: float) -> _Look:
    """For an intersection the failing attribute by itself, where that shifts nearly as much."""
    wide = [
        k for k in looks
        if k.at_least > bound and not k.group.crossed and k.outcome == look.outcome and k.group.contains(look.group)
        and k.found.value * look.found.value > 0 and abs(k.found.value) >= NEARLY * abs(look.found.value)
    ]  # fmt: skip
    return max(wide, key=lambda k: k.at_least, default=look)


def _estimate(look: _Look, level: float, alpha: float, how: str) -> Estimate:
    reach = _reach(look.found, alpha)
    value = abs(look.found.value)
    return Estimate(
        value, max(0.0, value - reach), value + reach, sum(look.found.rows), level,
        f"difference in differences of cross-fitted residuals, {how}",
    )  # fmt: skip


def _whole(
    outcomes: _Outcomes, looks: Sequence[_Look], failing: Sequence[_Look], bound: float, terms: Terms,
    params: dict[str, Json],
) -> Finding:  # fmt: skip
    unseen = _unseen(outcomes, looks)
    if failing:
        shown, status = failing[0], Status.FAIL
    else:
        shown = max(looks, key=lambda k: abs(k.found.value) / max(k.found.error, 1e-12))
        status = _calm(outcomes, looks, bound, terms) if not unseen else Status.UNDECIDED
    alpha = (1 - terms.level) / (len(looks) if failing else 1)
    result = _estimate(shown, terms.level, alpha, f"{len(looks)} looks" if failing else "one group")
    evidence: dict[str, Json] = {"groups": _table(outcomes, looks), "at_least": shown.at_least}
    if unseen:
        evidence["common_groups_without_a_look"] = [*unseen]
    if status is Status.UNDECIDED and _used(outcomes) != outcomes.known:
        # Rows were drawn: more of them would be left out too.
        evidence["times_the_rows_would_decide"] = None
    return Finding(
        "outcome_gap", result, "lower", status,
        reason=_sentence(outcomes, looks, failing, shown, bound) + _without_a_look(unseen), params=params,
        evidence=evidence,
    )  # fmt: skip


def _calm(outcomes: _Outcomes, looks: Sequence[_Look], bound: float, terms: Terms) -> Status:
    """PASS where every common group is within: the truly worst one is one group, so that needs no correction."""
    common = {id(g) for g in _common(outcomes)}
    reaches = [abs(k.found.value) + _reach(k.found, 1 - terms.level) for k in looks if id(k.group) in common]
    return status_of(0.0, max(reaches, default=np.inf), bound, better="lower")


def _common(outcomes: _Outcomes) -> list[Group]:
    """Groups of a common share that real rows are left beside, to compare them with."""
    n = outcomes.target.values.size
    return [g for g in outcomes.groups if COMMON_SHARE * n <= g.sizes[0] <= n - LEAST_GROUP]


def _unseen(outcomes: _Outcomes, looks: Sequence[_Look]) -> list[str]:
    """Names of common groups with no outcome that could be compared."""
    seen = {id(k.group) for k in looks}
    return [g.name for g in _common(outcomes) if id(g) not in seen]


def _without_a_look(unseen: Sequence[str]) -> str:
    if not unseen:
        return ""
    more = f" and {len(unseen) - MOST_NAMED} more" if len(unseen) > MOST_NAMED else ""
    return (
        f" Common groups with too few synthetic rows, or too few of either outcome, to be looked at: "
        f"{', '.join(unseen[:MOST_NAMED])}{more}."
    )


def _used(outcomes: _Outcomes) -> tuple[int, int]:
    """Real and synthetic rows that were looked at."""
    return outcomes.residuals[0].real.size, outcomes.residuals[0].synthetic.size


def _one(
    outcomes: _Outcomes, look: _Look, looks: int, bound: float, terms: Terms, params: dict[str, Json]
) -> Finding:  # fmt: skip
    return Finding(
        "outcome_gap", _estimate(look, terms.level, (1 - terms.level) / looks, f"{looks} looks"), "lower", Status.FAIL,
        slice=look.group.name, reason=_words(outcomes, look, bound), params=params, evidence=_row(outcomes, look),
    )  # fmt: skip


def _words(outcomes: _Outcomes, look: _Look, bound: float) -> str:
    name, c = outcomes.target.name, look.found
    a, b = _means(outcomes, look)
    if outcomes.number:
        way, raw = "higher" if c.value > 0 else "lower", f"{a:.4g} in real and {b:.4g} in synthetic rows on average"
        by, tolerated = f"{abs(c.value):.3f} standard deviations", f"{bound:g}"
    else:
        name = f"{name}={outcomes.residuals[look.outcome].name}"
        way, raw = "more frequent" if c.value > 0 else "rarer", f"{a:.1%} of real and {b:.1%} of synthetic rows"
        by, tolerated = f"{abs(c.value):.1%}", f"{bound:.1%}"
    return (
        f"In {look.group.name}, {name} is {way} by {by} than features, and the shift of all rows, explain "
        f"({raw}); {tolerated} is tolerated."
    )


def _means(outcomes: _Outcomes, look: _Look) -> tuple[float, float]:
    here, there = outcomes.rates[look.outcome]
    inside = here[look.group.real], there[look.group.synthetic]
    return float(inside[0].mean()), float(inside[1].mean())


def _sentence(outcomes: _Outcomes, looks: Sequence[_Look], failing: Sequence[_Look], shown: _Look, bound: float) -> str:
    if failing:
        more = f" So do {len(failing) - 1} more groups." if len(failing) > 1 else ""
        text = _words(outcomes, shown, bound) + more
    else:
        text = (
            f"No declared group of {len({k.group.name for k in looks})} is shown to have another outcome than its "
            f"features and the other groups explain; {shown.group.name} stands out most, by "
            f"{abs(shown.found.value):.4f} (chance alone gives about {shown.found.error:.4f}), and {bound:g} is "
            "tolerated."
        )
    used = _used(outcomes)
    if used == outcomes.known:
        return text
    return (
        f"{text} It looked at {used[0]:,} of {outcomes.known[0]:,} real and {used[1]:,} of {outcomes.known[1]:,} rows."
    )


def _row(outcomes: _Outcomes, look: _Look) -> dict[str, Json]:
    a, b = _means(outcomes, look)
    return {
        "group": look.group.name,
        "outcome": outcomes.residuals[look.outcome].name,
        "real": a,
        "synthetic": b,
        "shift": look.found.value,
        "standard_error": look.found.error,
        "at_least": look.at_least,
        "rows_real": look.found.rows[0],
        "rows_synthetic": look.found.rows[1],
    }


def _table(outcomes: _Outcomes, looks: Sequence[_Look]) -> list[Json]:
    return [_row(outcomes, k) for k in sorted(looks, key=lambda k: -k.at_least)[:MOST_SHOWN]]
