"""What the orders of training came to: one finding for each, and a table of all of them at both budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sterling.blend.order_arms import BUDGETS, EQUAL_ROUNDS, Budget, Order, Scored, Setting
from sterling.kernel.dataset import FittedOn
from sterling.kernel.estimate import Estimate, Measured, Unmeasured
from sterling.kernel.finding import Finding, Json, Status
from sterling.kernel.table import Table
from sterling.stats.scores import metric_name

MEASURE = "order_gain"
LEVEL = 0.95
Outcome = Literal["WINNER", "SIMPLEST", "REAL_ONLY", "UNMEASURED"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was decided.

    Args:
        outcome: see `order.Orders`.
        recommended: the order to use.
        best: the one of the best mean.
        runner: the next one.
        tested: the order that the benchmark was asked about; None where it stayed sealed.
        confirmation: what it said.
        se_factor: standard errors that were asked for.
    """

    outcome: Outcome
    recommended: Order
    best: Order
    runner: Order
    tested: Order | None
    confirmation: Measured
    se_factor: float


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Findings `order_gain`, one for each order beside the real rows alone, and the table of all."""

    findings: tuple[Finding, ...]
    table: Table


def report(
    setting: Setting,
    scored: Sequence[Scored],
    answer: Answer,
    *,
    fitted_on: Mapping[str, FittedOn],
    all_rows: Mapping[str, int],
) -> Report:
    """Findings and table.

    Args:
        setting: the terms, with what fell out.
        scored: every order, the real rows alone first.
        answer: what was decided.
        fitted_on: whether each generator saw the train rows.
        all_rows: by candidate, rows before any were left out for speed.
    """
    real = scored[0]
    by_order = {s.order: s for s in scored}
    rival = answer.runner if answer.recommended == answer.best else answer.best
    findings = [
        _finding(setting, s, real, by_order[rival], answer, fitted_on, all_rows) for s in scored if s is not real
    ]
    return Report(tuple(findings), _table(setting, scored, real))


def unmeasured_report(
    setting: Setting, orders: Sequence[Order], why: Unmeasured, *, fitted_on: Mapping[str, FittedOn]
) -> Report:
    """The same where nothing could be measured."""
    findings = [
        Finding(
            MEASURE, why, "higher", Status.UNMEASURED, slice=order.title, reason=why.reason,
            params={"seed": setting.seed}, evidence={"outcome": "UNMEASURED", "fitted_on": _origin(order, fitted_on)},
            fingerprints=_prints(setting, order),
        )
        for order in orders
    ]  # fmt: skip
    rows = tuple((order.title, None, None, "not tried", None, None) for order in orders)
    return Report(tuple(findings), Table("Orders of training", COLUMNS, rows))


COLUMNS = ("order", "score", "gain", "interval", "equal compute", "weight")


def _finding(
    setting: Setting,
    scored: Scored,
    real: Scored,
    rival: Scored,
    answer: Answer,
    fitted_on: Mapping[str, FittedOn],
    all_rows: Mapping[str, int],
) -> Finding:
    order, gain = scored.order, _gain(setting, scored, real, "tuned")
    chosen = order == answer.recommended
    evidence: dict[str, Json] = {
        "outcome": answer.outcome,
        "recommended": chosen,
        "metric": _metric(setting),
        "fitted_on": _origin(order, fitted_on),
    }
    if order.candidate is not None and order.how in ("mix", "adapted"):
        made = setting.made[order.candidate]
        # A set that was thinned for speed keeps its mass.
        evidence["weight"] = setting.weights[order.candidate] * made.n / max(1, all_rows.get(order.candidate, made.n))
    if "equal" in scored.scores and "equal" in real.scores:
        evidence["equal"] = _json(_gain(setting, scored, real, "equal"))
    if order == answer.tested:
        evidence["confirmation"] = _json(answer.confirmation)
        if not chosen:
            evidence["refused"] = f"The benchmark, opened once, does not confirm it: {_seen(answer.confirmation)}"
    if chosen:
        evidence["rival"] = rival.order.title
    params: dict[str, Json] = {"seed": setting.seed, "se_factor": answer.se_factor, "visits": setting.visits}
    if isinstance(gain, Estimate):
        params["se"] = scored.gain(real, "tuned")[1]
    if chosen and "tuned" in rival.scores:
        ahead, se = scored.gain(rival, "tuned")
        params |= {"ahead": ahead, "ahead_se": se}
    return Finding(
        MEASURE, gain, "higher", _status(gain, chosen=chosen), slice=order.title,
        reason=gain.reason if isinstance(gain, Unmeasured) else _sentence(setting, scored, gain, answer, fitted_on),
        params=params, evidence=evidence, fingerprints=_prints(setting, order),
    )  # fmt: skip


def _gain(setting: Setting, scored: Scored, real: Scored, budget: Budget) -> Measured:
    from scipy.special import stdtrit

    if budget not in scored.scores:
        return setting.failed.get(
            (budget, scored.order), Unmeasured("it was not tried at this budget", "choose boosted_trees or logistic")
        )
    value, se = scored.gain(real, budget)
    half = float(stdtrit(max(1, scored.scores[budget].size - 1), (1 + LEVEL) / 2)) * se
    how = "repeated cross-validation, paired t over folds"
    return Estimate(value, value - half, value + half, setting.train.n, LEVEL, how)


def _status(gain: Measured, *, chosen: bool) -> Status:
    if isinstance(gain, Unmeasured):
        return Status.UNMEASURED
    if chosen:
        return Status.PASS
    return Status.WARN if gain.high < 0 else Status.UNDECIDED


def _sentence(
    setting: Setting, scored: Scored, gain: Estimate, answer: Answer, fitted_on: Mapping[str, FittedOn]
) -> str:
    said = (
        f"changes {_metric(setting)} by {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] against the real rows "
        "alone in cross-validation"
    )
    if scored.order == answer.tested and isinstance(answer.confirmation, Estimate):
        said += f", by {_seen(answer.confirmation)} on the benchmark"
    if _origin(scored.order, fitted_on) == "real":
        said += f"; {scored.order.candidate} was fitted on these rows: the gain in cross-validation is an upper bound"
    return said


def _seen(measured: Measured) -> str:
    if isinstance(measured, Unmeasured):
        return measured.reason
    return f"{measured.value:+.4f} [{measured.low:+.4f}, {measured.high:+.4f}]"


def _table(setting: Setting, scored: Sequence[Scored], real: Scored) -> Table:
    rows: list[tuple[Json, ...]] = []
    for s in sorted(scored, key=lambda s: (not s.scores, -s.mean if s.scores else 0.0)):
        gains = [None if s is real else _gain(setting, s, real, budget) for budget in BUDGETS]
        tuned, equal = (g if isinstance(g, Estimate) else None for g in gains)
        shown = "" if tuned is None else f"{tuned.low:+.3f} to {tuned.high:+.3f}"
        rows.append(
            (
                s.order.title, s.mean if s.scores else None, tuned and tuned.value,
                shown if s.scores else "failed", equal and equal.value, _weight(setting, s.order),
            )
        )  # fmt: skip
    trained = max(s.scores["tuned"].size for s in scored if s.scores)
    note = (
        f"Mean {_metric(setting)} of {trained} trainings, each on some real rows and judged on others; gain over the "
        "real rows alone, each order with its own search for settings. "
    )
    note += (
        f"Equal compute: the gain where no order may visit more than {setting.visits:,} rows (rows x passes), what "
        f"{EQUAL_ROUNDS} passes over real and synthetic rows together take."
        if any("equal" in s.scores for s in scored)
        else "This learner cannot be held to a budget, so there is no gain at equal compute."
    )
    return Table("Orders of training", COLUMNS, tuple(rows), note)


def _weight(setting: Setting, order: Order) -> float | None:
    """Of a synthetic row in the mix."""
    return setting.weights[order.candidate] if order.candidate and order.how in ("mix", "adapted") else None


def _metric(setting: Setting) -> str:
    return "score" if setting.test.target is None else metric_name(setting.test.target)


def _origin(order: Order, fitted_on: Mapping[str, FittedOn]) -> str:
    return fitted_on.get(order.candidate or "", "unknown")


def _prints(setting: Setting, order: Order) -> tuple[str, ...]:
    made = [] if order.candidate is None else [setting.made[order.candidate].fingerprint]
    return (setting.train.fingerprint, setting.test.fingerprint, *made)


def _json(measured: Measured) -> Json:
    if isinstance(measured, Unmeasured):
        return {"reason": measured.reason}
    return {"value": measured.value, "low": measured.low, "high": measured.high, "level": measured.level}
