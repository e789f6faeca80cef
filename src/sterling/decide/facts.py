"""What rules know beside findings, and one candidate's case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sterling.decide import causes
from sterling.decide.policy import Declared, Policy, Stakes
from sterling.kernel.dataset import FittedOn
from sterling.kernel.finding import Finding, Status


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the data and the question, beside what was measured.

    Args:
        kind: the command, such as "compare".
        n_train: real rows that train; None where the command has no such part.
        n_benchmark: real rows set apart to score on; None where there is no such part.
        minority_train: train rows of the target's rarest class; 0 if it has one class only;
            None without a target of classes.
        minority_benchmark: the same in the benchmark.
        stakes: as declared.
        fitted_on: by candidate, what is known of the rows its generator saw.
        holdout_given: whether the benchmark was named by the user as unseen.
        leaked: benchmark rows that are also in train.
        prices: `real_row`, `synthetic_row` in one currency; unknown prices are absent.
        candidate_rows: by candidate, how many rows it has.
        target: name of the column to predict, where known.
        lacking: by candidate, columns of the real data that it lacks.
        declared: columns that were declared as target, group or time.
        declares: what is declared of the data, beside what the policy declares: that culture or region matters ...
        depths: by candidate, how many generations of generators lie between it and real rows.
        rare: by class or slice that was asked for, how many real rows of it train.
        has_target: whether there is a column to predict, so that models are scored on the benchmark.
        chosen: the candidates in the adopted mix; None or empty where no mix was adopted.
    """

    kind: str
    n_train: int | None = None
    n_benchmark: int | None = None
    minority_train: int | None = None
    minority_benchmark: int | None = None
    stakes: Stakes = "low"
    fitted_on: Mapping[str, FittedOn] = field(default_factory=dict[str, FittedOn])
    holdout_given: bool = False
    leaked: int = 0
    prices: Mapping[str, float] = field(default_factory=dict[str, float])
    candidate_rows: Mapping[str, int] = field(default_factory=dict[str, int])
    chosen: tuple[str, ...] | None = None
    has_target: bool = True
    target: str | None = None
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    declared: tuple[str, ...] = ()
    declares: tuple[Declared, ...] = ()
    depths: Mapping[str, int] = field(default_factory=dict[str, int])
    rare: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def used_alone(self) -> bool:
        """Whether the question is if synthetic rows can stand alone; a mix asks something else."""
        return self.kind not in ("blend", "check", "worth") and not self.chosen


@dataclass(frozen=True, slots=True)
class Case:
    """One candidate before the rules.

    Args:
        candidate: its name; None where there is only one, or for findings on all of them.
        findings: those that speak of it.
        facts: of the whole run.
        policy: the judge.
        beside: further findings of the candidate, which may explain those that are judged here.
    """

    candidate: str | None
    findings: Sequence[Finding]
    facts: Facts
    policy: Policy
    beside: Sequence[Finding] = ()

    @property
    def consequential(self) -> bool:
        """Whether the facts or the policy declare that a wrong model costs health, money or rights."""
        return "consequential" in (self.facts.stakes, self.policy.stakes)

    @property
    def declares(self) -> tuple[Declared, ...]:
        """What the facts or the policy declare of the data."""
        return tuple(dict.fromkeys((*self.policy.declares, *self.facts.declares)))

    @property
    def who(self) -> str:
        """How sentences call it."""
        return self.candidate or "the synthetic set"

    def of(self, measure: str, *statuses: Status) -> list[Finding]:
        """The findings of a measure, of these statuses where any are named."""
        return [f for f in self.findings if f.measure == measure and (not statuses or f.status in statuses)]

    def failing(self, *measures: str) -> list[Finding]:
        """The failures of these measures that count under this policy, the cause before what follows from it."""
        counts = [m for m in measures if m not in self.policy.informs]
        return [f for f in self.causes if f.measure in counts]

    @property
    def causes(self) -> tuple[Finding, ...]:
        """All failures, the cause before what follows from it."""
        own = {id(f) for f in self.findings}
        every = (f for f in (*self.findings, *self.beside) if f.status is Status.FAIL)
        return tuple(f for f in causes.in_order(every, target=self.facts.target) if id(f) in own)


def names(findings: Sequence[Finding]) -> tuple[str, ...]:
    """What a rule's `because` holds."""
    return tuple(f.name for f in findings)
