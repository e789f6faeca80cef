"""A policy: bounds, what must be measured, when to mix, when to pass; read from TOML that a person can read.

A policy file may hold only what differs: everything else comes from the preset it `extends`
("default" where it says nothing).
"""

from __future__ import annotations

import datetime
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sterling.decide.policy_file import PolicyFile, layered, preset_names
from sterling.kernel.errors import InputError

Stakes = Literal["low", "consequential"]
Purpose = Literal["any", "privacy"]
Declared = Literal["regional", "expert", "safety", "subjective"]
DECLARED: tuple[Declared, ...] = ("regional", "expert", "safety", "subjective")
Credentials = Literal["anyone", "qualified", "expert"]
CREDENTIALS: tuple[Credentials, ...] = ("anyone", "qualified", "expert")  # ascending


@dataclass(frozen=True, slots=True)
class BenchmarkTerms:
    """What the real benchmark must offer before any verdict but INSUFFICIENT.

    Args:
        difference: the smallest difference in score that must not be missed, as a share.
        discordant: share of benchmark rows on which two models are expected to disagree.
        minority_rows: rows of the rarest class, in train and in benchmark.
        leaked_share: largest admissible share of benchmark rows that are also in train.
    """

    difference: float
    discordant: float
    minority_rows: int
    leaked_share: float

    @property
    def rows(self) -> int:
        """Rows that show the difference with power .8 at a two-sided level of .05.

        >>> BenchmarkTerms(0.05, 0.10, 30, 0.01).rows, BenchmarkTerms(0.02, 0.10, 30, 0.01).rows
        (314, 1960)

        Source: n = (1.96 + .84)^2 * discordant / difference^2 (paired proportions, Connor 1987).
        """
        exact = (1.96 + 0.84) ** 2 * self.discordant / self.difference**2
        return math.ceil(round(exact, 6))  # 1960.0000000000002 is 1960


@dataclass(frozen=True, slots=True)
class MixTerms:
    """When a mix is adopted.

    Args:
        se_factor: the gain must exceed its standard error this many times.
        no_effect: a gain smaller than this, either way, is no effect.
    """

    se_factor: float
    no_effect: float


@dataclass(frozen=True, slots=True)
class LoopTerms:
    """What a generator's own output, fed back to it, must keep.

    Args:
        replace: whether replacing the real rows by the generator's output is refused, or warned of.
        keep: share of a real slice's mass that must be left after the generations asked for.
        fresh_rows: fresh real rows per slice and generation that keep a slice alive.
        least_rows: fewer fresh rows than this per slice and generation is no injection.
        deep: from this depth on (rows made from rows that were made), a set warns.
    """

    replace: Literal["refuse", "warn"]
    keep: float
    fresh_rows: float
    least_rows: float
    deep: int


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """When another order of training is adopted.

    Args:
        se_factor: its lead over every other order and over real rows alone must exceed its standard error so often.
    """

    se_factor: float


@dataclass(frozen=True, slots=True)
class ReviewTerms:
    """What people must have looked at.

    Args:
        error_max: share of wrong records that review must exclude; in high-error strata it is estimated instead.
        agreement: mean agreement of annotators per record; below, labels are subjective.
        kappa: chance-corrected agreement; below, labels are subjective.
        required: whether the verdict waits for the review, or names it.
        random_share: share of the reviewed rows drawn at random from the whole set.
        overlap: reviewers who see each record without knowing of each other.
        credentials: who may review: anyone; those who passed a test of known records; experts of the field.
    """

    error_max: float
    agreement: float
    kappa: float
    required: Literal["yes", "no"]
    random_share: float
    overlap: int
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class RareTerms:
    """When a class is too thin.

    Args:
        few: fewer real rows than this: synthetic rows for this class are the first candidate.
        fewest: fewer than this: nothing can be judged on it.
    """

    few: int
    fewest: int


@dataclass(frozen=True, slots=True)
class GateTerms:
    """What `gate` lets through.

    Args:
        allow: verdicts that pass.
        worse: whether a finding that got worse than the baseline is named, or refuses.
    """

    allow: tuple[str, ...]
    worse: Literal["name", "refuse"]


@dataclass(frozen=True, slots=True)
class Waiver:
    """A named exception, visible in every result it touches.

    Args:
        rule: a rule ("D2"), a measure ("marginal_gap") or one finding ("slice_coverage:sex=F").
        reason: why it is tolerable.
        until: the last day it counts.
        by: who answers for it.
    """

    rule: str
    reason: str
    until: datetime.date
    by: str

    def holds(self, today: datetime.date) -> bool:
        """Whether it still counts."""
        return today <= self.until

    @property
    def text(self) -> str:
        """How results show it."""
        return f"{self.reason} (until {self.until.isoformat()}, {self.by})"


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that turns findings into a verdict.

    Args:
        name: a preset's or a file's.
        version: grows with every change; a hash of the content where a file states none.
        about: one sentence on what it is for.
        stakes: what a wrong model would cost.
        purpose: "privacy" makes copies of real rows a reason to BLOCK.
        alpha: chance that clean data raises any alarm in one `compare`.
        bounds: tolerance by measure, in the measure's own unit.
        required: by command, the measures that must be measured.
        decisive: measures that must pass or fail wherever they apply; an open one is INSUFFICIENT.
        informs: measures whose failure is shown and asks for nothing.
        benchmark: what the real benchmark must offer.
        mix: when a mix is adopted.
        loops: what a generator fed with its own output must keep.
        order: when another order of training is adopted.
        review: what people must have looked at.
        rare: when a class is too thin.
        stop_below: a set worth less than this share of the real rows held is not worth generating.
        utility_by: judge D4 by the whole interval, or by the point alone as the field's rule does.
        labels_random: whether evenly spread label errors that cost no utility are tolerated, or always to be mended.
        bias: whether a broken bias bound asks to rebalance, or blocks.
        gate: what `gate` lets through.
        waivers: named exceptions.
        declares: what is declared of the data: culture or region matters, labels need experts, safety hangs on it,
            or what is right is a matter of judgement.
    """

    name: str
    version: str
    about: str
    stakes: Stakes
    purpose: Purpose
    alpha: float
    bounds: Mapping[str, float]
    required: Mapping[str, tuple[str, ...]]
    decisive: tuple[str, ...]
    informs: tuple[str, ...]
    benchmark: BenchmarkTerms
    mix: MixTerms
    loops: LoopTerms
    order: OrderTerms
    review: ReviewTerms
    rare: RareTerms
    stop_below: float
    utility_by: Literal["interval", "point"]
    labels_random: Literal["tolerate", "mend"]
    bias: Literal["rebalance", "block"]
    gate: GateTerms
    waivers: tuple[Waiver, ...] = ()
    declares: tuple[Declared, ...] = ()

    @property
    def label(self) -> str:
        """Name and version, as results carry it."""
        return f"{self.name} {self.version}"

    def required_for(self, kind: str) -> tuple[str, ...]:
        """The measures that a command's verdict may not do without."""
        return self.required.get(kind, ())


def load_policy(
    which: str | Path | None = None,
    *,
    stakes: Stakes | None = None,
    required: Sequence[str] | None = None,
    waivers: Sequence[Waiver] = (),
    declares: Sequence[Declared] = (),
) -> Policy:
    """A policy by preset name or TOML file.

    Args:
        which: "default", "consequential", "privacy", "five_percent", or a path; None is the default.
        stakes: "consequential" makes any policy at least as strict as the preset of that name.
        required: measures that must be measured, whatever the command; None leaves the policy's own.
        waivers: further exceptions, such as a study's.
        declares: what is declared of the data, beside what the policy itself declares.

    Raises:
        UnknownName: for a preset, key, measure or verdict that does not exist, with the nearest.
        UnreadableInput: if the file cannot be read, or is no TOML.
        InputError: for a value that is out of range or of the wrong type.

    >>> load_policy("default").bounds["two_sample_auc"]
    0.6
    >>> load_policy(None, stakes="consequential").mix.se_factor
    2.0
    """
    if which is None and stakes == "consequential":
        which = "consequential"
    policy = _parse(layered(which if which is not None else "default"))
    if stakes == "consequential" and policy.stakes != "consequential":
        policy = _at_least(policy, load_policy("consequential"))
    if required is not None:
        policy = replace(policy, required=_for_every_kind(policy, tuple(required)))
    declared = tuple(d for d in DECLARED if d in (*policy.declares, *declares))
    return replace(policy, waivers=(*policy.waivers, *waivers), declares=declared)


def waiver(rule: str, reason: str, *, until: str, by: str) -> Waiver:
    """A waiver from text, checked.

    Args:
        rule: a rule, a measure or a finding.
        reason: why it is tolerable; not empty.
        until: the last day it counts, as YYYY-MM-DD.
        by: who answers for it; not empty.

    Raises:
        UnknownName: for a rule or measure that does not exist.
        InputError: for a missing reason or a date that is none.

    >>> waiver("D2", "rare slice is out of scope", until="2030-01-31", by="Ada").text
    'rare slice is out of scope (until 2030-01-31, Ada)'
    """
    entry = {"rule": rule, "reason": reason, "until": until, "by": by}
    return _waivers(PolicyFile("waiver", {"waiver": [entry]}))[0]


def presets() -> tuple[str, ...]:
    """The names of the policies that ship with Sterling."""
    return preset_names()


def _parse(file: PolicyFile) -> Policy:
    file.check_keys()
    return Policy(
        name=file.text("name"),
        version=_version(file),
        about=file.text("about"),
        stakes="consequential" if file.choice("stakes", ("low", "consequential")) == "consequential" else "low",
        purpose="privacy" if file.choice("purpose", ("any", "privacy")) == "privacy" else "any",
        alpha=file.number("false_alarms.alpha", low=1e-9, high=0.5),
        bounds=file.bounds(),
        required=file.required(),
        decisive=file.measures("decisive.measures"),
        informs=file.measures("informs.measures"),
        benchmark=BenchmarkTerms(
            difference=file.number("benchmark.difference", low=1e-4, high=1.0),
            discordant=file.number("benchmark.discordant", low=1e-4, high=1.0),
            minority_rows=file.count("benchmark.minority_rows"),
            leaked_share=file.number("benchmark.leaked_share", low=0.0, high=1.0),
        ),
        mix=MixTerms(
            se_factor=file.number("mix.se_factor", low=0.0, high=100.0),
            no_effect=file.number("mix.no_effect", low=0.0, high=1.0),
        ),
        loops=_loops(file),
        order=OrderTerms(se_factor=file.number("order.se_factor", low=0.0, high=100.0)),
        review=_review(file),
        rare=_rare(file),
        stop_below=file.number("worth.stop_below", low=0.0, high=1.0),
        utility_by="point" if file.choice("utility.judge", ("interval", "point")) == "point" else "interval",
        labels_random="mend" if file.choice("labels.random", ("tolerate", "mend")) == "mend" else "tolerate",
        bias="block" if file.choice("bias.broken", ("rebalance", "block")) == "block" else "rebalance",
        gate=GateTerms(
            allow=file.verdicts("gate.allow"),
            worse="refuse" if file.choice("gate.worse", ("name", "refuse")) == "refuse" else "name",
        ),
        waivers=_waivers(file),
        declares=_declared(file),
    )


def _declared(file: PolicyFile) -> tuple[Declared, ...]:
    told = file.words("declares", DECLARED)
    return tuple(d for d in DECLARED if d in told)


def _loops(file: PolicyFile) -> LoopTerms:
    return LoopTerms(
        replace="warn" if file.choice("loops.replace", ("refuse", "warn")) == "warn" else "refuse",
        keep=file.number("loops.keep", low=1e-6, high=1.0),
        fresh_rows=file.number("loops.fresh_rows", low=0.0, high=1e9),
        least_rows=file.number("loops.least_rows", low=0.0, high=1e9),
        deep=file.count("loops.deep"),
    )


def _review(file: PolicyFile) -> ReviewTerms:
    overlap = file.count("review.overlap")
    if overlap < 1:
        raise InputError(f"{file.where}: review.overlap is 0", mend="at least one person sees each record")
    who = file.choice("review.credentials", CREDENTIALS)
    return ReviewTerms(
        error_max=file.number("review.error_max", low=1e-6, high=1.0),
        agreement=file.number("review.agreement", low=0.0, high=1.0),
        kappa=file.number("review.kappa", low=-1.0, high=1.0),
        required="yes" if file.choice("review.required", ("yes", "no")) == "yes" else "no",
        random_share=file.number("review.random_share", low=0.0, high=1.0),
        overlap=overlap,
        credentials="expert" if who == "expert" else "qualified" if who == "qualified" else "anyone",
    )


def _rare(file: PolicyFile) -> RareTerms:
    few, fewest = file.count("rare.few"), file.count("rare.fewest")
    if fewest > few:
        raise InputError(f"{file.where}: rare.fewest is {fewest}, above rare.few, {few}", mend="let few be the larger")
    return RareTerms(few=few, fewest=fewest)


def _version(file: PolicyFile) -> str:
    stated = file.data.get("version")
    if stated is None:  # a file that states no version is still told apart from its next edit
        return hashlib.sha256(repr(sorted(file.data.items(), key=lambda kv: kv[0])).encode()).hexdigest()[:8]
    return str(file.count("version"))


def _waivers(file: PolicyFile) -> tuple[Waiver, ...]:
    return tuple(Waiver(*file.waiver(i)) for i in range(file.n_waivers()))


def _at_least(policy: Policy, strict: Policy) -> Policy:
    """The policy, nowhere laxer than `strict` on what stakes are about."""
    mine, theirs = policy.benchmark, strict.benchmark
    return replace(
        policy,
        stakes="consequential",
        version=f"{policy.version}, consequential",
        benchmark=replace(
            mine,
            difference=min(mine.difference, theirs.difference),
            minority_rows=max(mine.minority_rows, theirs.minority_rows),
            leaked_share=min(mine.leaked_share, theirs.leaked_share),
        ),
        mix=replace(policy.mix, se_factor=max(policy.mix.se_factor, strict.mix.se_factor)),
        loops=_stricter_loops(policy.loops, strict.loops),
        order=OrderTerms(max(policy.order.se_factor, strict.order.se_factor)),
        review=_stricter_review(policy.review, strict.review),
        rare=RareTerms(max(policy.rare.few, strict.rare.few), max(policy.rare.fewest, strict.rare.fewest)),
        utility_by="interval" if strict.utility_by == "interval" else policy.utility_by,
        bias="block" if strict.bias == "block" else policy.bias,
        gate=replace(policy.gate, worse="refuse" if strict.gate.worse == "refuse" else policy.gate.worse),
        bounds={**policy.bounds, "utility": min(policy.bounds.get("utility", 1.0), strict.bounds["utility"])},
        decisive=tuple(dict.fromkeys((*policy.decisive, *strict.decisive))),
    )


def _stricter_loops(mine: LoopTerms, theirs: LoopTerms) -> LoopTerms:
    return LoopTerms(
        replace="refuse" if "refuse" in (mine.replace, theirs.replace) else "warn",
        keep=max(mine.keep, theirs.keep),
        fresh_rows=max(mine.fresh_rows, theirs.fresh_rows),
        least_rows=max(mine.least_rows, theirs.least_rows),
        deep=min(mine.deep, theirs.deep),
    )


def _stricter_review(mine: ReviewTerms, theirs: ReviewTerms) -> ReviewTerms:
    return ReviewTerms(
        error_max=min(mine.error_max, theirs.error_max),
        agreement=max(mine.agreement, theirs.agreement),
        kappa=max(mine.kappa, theirs.kappa),
        required="yes" if "yes" in (mine.required, theirs.required) else "no",
        random_share=max(mine.random_share, theirs.random_share),
        overlap=max(mine.overlap, theirs.overlap),
        credentials=CREDENTIALS[max(CREDENTIALS.index(t.credentials) for t in (mine, theirs))],
    )


def _for_every_kind(policy: Policy, names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    checked = PolicyFile("required", {"required": {"all": list(names)}}).required()["all"]
    return dict.fromkeys((*policy.required, "compare", "run"), checked)
