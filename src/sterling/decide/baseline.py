"""What got worse since a recorded baseline, said so that noise does not flap.

A finding is named worse only where it moved beyond both intervals, beyond what chance does in the widest of all the
findings looked at, and by more than a margin that matters. Once named, it stays named until it is clearly back: the
baseline is a record and does not move, so a slow slide cannot hide between two runs.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

from sterling.decide.envelope import VERSION
from sterling.decide.result import Result, read_result
from sterling.decide.sentences import interval, joined, number, plural
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Estimate
from sterling.kernel.finding import Finding, Json, Status
from sterling.sources.atomic import write_text, writing_to

# The chance that two results which differ by chance alone have anything named worse, over all their findings.
FALSE_ALARMS = 0.002
# Of the room that the baseline left to the bound: a smaller step is no news, however many rows show it.
MARGIN = 0.1
MOST_NAMED = 6
Key = tuple[str | None, str, int]


@dataclass(frozen=True, slots=True)
class Baseline:
    """A recorded result.

    Args:
        result: what was found then.
        version: the Sterling that wrote it.
        digest: SHA-256 of the file; another file is another baseline.
        standing: findings that an earlier gate named worse than this baseline and that were not back since.
    """

    result: Result
    version: str = VERSION
    digest: str = ""
    standing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """One finding, then and now; `before` is None where the baseline does not speak of it."""

    label: str
    recorded: str
    now: Finding
    before: Finding | None

    @property
    def text(self) -> str:
        """Label and both values, as the paragraph has them."""
        then = "not reported" if self.before is None else _value(self.before)
        return f"{self.label} ({then} before, {_value(self.now)} now)"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A result against its baseline.

    Args:
        worse: clearly worse now.
        standing: named worse by an earlier gate, and not clearly back.
        recovered: named worse by an earlier gate, and back.
        newly_failing: fails now and did not before.
        failing_still: failed before as well.
        mended: failed before and does not now.
        vanished: measures that had a number before and have none now.
        appeared: measures that had none before.
        remembered: what a later gate must be told: the labels, in the baseline's own words, of `worse` and `standing`.
        notes: what makes the two hard to compare, in plain sentences.
    """

    worse: tuple[Pair, ...]
    standing: tuple[str, ...]
    recovered: tuple[str, ...]
    newly_failing: tuple[Pair, ...]
    failing_still: tuple[str, ...]
    mended: tuple[str, ...]
    vanished: tuple[str, ...]
    appeared: tuple[str, ...]
    remembered: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def refusals(self) -> tuple[str, ...]:
        """What a policy that refuses on "worse" holds against the result."""
        again = [f"{label} (worse before, not clearly back)" for label in self.standing]
        gone = [f"{measure} (measured before, not now)" for measure in self.vanished]
        return (*(pair.text for pair in self.worse), *again, *gone)


def against(result: Result, baseline: Baseline) -> Comparison:
    """Lay a result beside its baseline.

    A finding is **worse** if its interval lies wholly beyond the baseline's, in the direction that is worse; if the
    step exceeds z standard errors of the difference, where z spends `FALSE_ALARMS` on all the findings compared
    together (Bonferroni); and if it uses up more than `MARGIN` of the room the baseline left to the bound. A change of
    status alone, such as from pass to undecided, is none. Once named worse it is **back** when it lies within one
    standard error of the baseline, or within half the margin of it; until then it stands.

    Args:
        result: what was found now.
        baseline: what was found then; it does not move.

    Raises:
        InputError: if the two come from different commands, whose findings answer different questions.
    """
    then = baseline.result
    if result.kind != then.kind:
        raise InputError(
            f"the baseline is the result of `{then.kind}`, the file asked about of `{result.kind}`",
            mend=f"name a baseline that `sterling {result.kind} ... --json` wrote",
        )
    pairs, notes = _paired(result, then)
    z = _z_for(sum(_both(p) for p in pairs))
    worse = tuple(p for p in pairs if _is_worse(p, z=z))
    standing, recovered = _remembered(pairs, worse, baseline.standing)
    failing = [p for p in pairs if p.now.status is Status.FAIL]
    before = {f.measure for f in then.findings if isinstance(f.result, Estimate)}
    now = {f.measure for f in result.findings if isinstance(f.result, Estimate)}
    return Comparison(
        worse=worse,
        standing=standing,
        recovered=recovered,
        newly_failing=tuple(p for p in failing if not _failed_before(p)),
        failing_still=tuple(p.label for p in failing if _failed_before(p)),
        mended=tuple(p.label for p in pairs if _failed_before(p) and p.now.status is not Status.FAIL),
        vanished=_in_order(then.findings, before - now),
        appeared=_in_order(result.findings, now - before),
        remembered=tuple(dict.fromkeys([*(p.recorded for p in worse), *standing])),
        notes=(*_differences(result, baseline), *notes),
    )


def told(comparison: Comparison, baseline: Baseline, *, refused: bool) -> str:
    """The comparison as sentences; what was refused for it is not said twice."""
    c = comparison
    said: list[str] = []
    if not refused:
        said += [f"worse in {_few([p.text for p in c.worse])}"] if c.worse else []
        said += [f"named worse before and not clearly back: {_few(c.standing)}"] if c.standing else []
        said += [f"no longer measured: {_few(c.vanished)}"] if c.vanished else []
        said = said or ["nothing got worse beyond both intervals"]
    said += [f"newly failing: {_few([_newly(p) for p in c.newly_failing])}"] if c.newly_failing else []
    said += [f"failing before as well: {_few(c.failing_still)}"] if c.failing_still else []
    said += [f"no longer failing: {_few(c.mended)}"] if c.mended else []
    said += [f"back where it was: {_few(c.recovered)}"] if c.recovered else []
    said += [f"measured for the first time: {_few(c.appeared)}"] if c.appeared else []
    said = [*(said or ["nothing else changed"]), *c.notes]
    return f"Against the baseline ({baseline.result.decision.verdict.value}): {'; '.join(said)}."


def _newly(pair: Pair) -> str:
    """Why it fails now: the value moved, or the bound did."""
    if pair.before is None:
        return f"{pair.label} ({_value(pair.now)}, not reported before)"
    old, new = _bound(pair.before), _bound(pair.now)
    moved = "" if old is None or new is None or old == new else f"; its bound was {number(old)}, is {number(new)}"
    return f"{pair.label} ({pair.before.status.value} at {_value(pair.before)} before, {_value(pair.now)} now{moved})"


def _few(words: Sequence[str]) -> str:
    return joined(words, most=MOST_NAMED)


def _in_order(findings: Sequence[Finding], measures: Collection[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f.measure for f in findings if f.measure in measures))


# --- which finding is which ------------------------------------------------------------------------------------------


def _paired(result: Result, then: Result) -> tuple[list[Pair], list[str]]:
    """Every finding of now beside its own of then, and what was taken for what."""
    renamed, notes = _candidates(result, then)
    before = dict(_keyed(then.findings, {}))
    pairs: list[Pair] = []
    for key, finding in _keyed(result.findings, renamed):
        pairs.append(Pair(label_of(finding), _label(*key[:2]), finding, before.get(key)))
    return pairs, notes


def _keyed(findings: Sequence[Finding], renamed: Mapping[str | None, str | None]) -> Iterator[tuple[Key, Finding]]:
    """Findings under candidate, name and how many of that name came before."""
    seen: Counter[tuple[str | None, str]] = Counter()
    for finding in findings:
        place = renamed.get(finding.candidate, finding.candidate), finding.name
        yield (*place, seen[place]), finding
        seen[place] += 1


def _candidates(result: Result, then: Result) -> tuple[dict[str | None, str | None], list[str]]:
    """What each candidate of now was called then: by name, by the same rows, or because only one is left over."""
    now, before = _names(result), _names(then)
    left, free = [n for n in now if n not in before], [n for n in before if n not in now]
    prints = {_print_of(then, name): name for name in free if _print_of(then, name)}
    renamed: dict[str | None, str | None] = {}
    for name in left:
        old = prints.get(_print_of(result, name))
        if old is not None and old not in renamed.values():
            renamed[name] = old
    left, free = [n for n in left if n not in renamed], [n for n in free if n not in renamed.values()]
    if len(left) == len(free) == 1:
        renamed[left.pop()] = free.pop()
    told = [f"{new} is taken for {old}" for new, old in renamed.items() if new and old]
    told += [f"the baseline does not know {joined([str(n) for n in left])}"] if left else []
    told += [f"{joined([str(n) for n in free])} of the baseline is not here"] if free else []
    return renamed, told


def _names(result: Result) -> list[str | None]:
    """The candidates judged; None stands for the only one where findings name none."""
    named = list(dict.fromkeys(f.candidate for f in result.findings if f.candidate is not None))
    return [*named] if named else [None]


def _print_of(result: Result, name: str | None) -> str | None:
    return next((record.fingerprint for record in result.inputs if record.name == name), None)


def label_of(finding: Finding) -> str:
    """How paragraphs call a finding: candidate and name."""
    return _label(finding.candidate, finding.name)


def _label(candidate: str | None, name: str) -> str:
    return name if candidate is None else f"{candidate}: {name}"


def _value(finding: Finding) -> str:
    return interval(finding.result) if isinstance(finding.result, Estimate) else "unmeasured"


# --- what is worse ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Loss:
    """An estimate turned so that larger is worse."""

    value: float
    low: float
    high: float
    z: float


def _loss(finding: Finding) -> _Loss | None:
    e = finding.result
    if not isinstance(e, Estimate):
        return None
    z = NormalDist().inv_cdf((1 + e.level) / 2)
    if finding.better == "higher":
        return _Loss(-e.value, -e.high, -e.low, z)
    ideal = finding.params.get("target")
    if finding.better == "target" and isinstance(ideal, (int, float)) and not isinstance(ideal, bool):
        ends = abs(e.low - ideal), abs(e.high - ideal)
        return _Loss(abs(e.value - ideal), 0.0 if e.low <= ideal <= e.high else min(ends), max(ends), z)
    return _Loss(e.value, e.low, e.high, z)  # a share above its target is worse, one below is luck


def _both(pair: Pair) -> bool:
    return (
        pair.before is not None and isinstance(pair.now.result, Estimate) and isinstance(pair.before.result, Estimate)
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """From then to now, larger is worse: how far the values, how far apart the intervals, and the standard error."""

    far: float
    apart: float
    error: float


def _step(pair: Pair) -> _Step | None:
    """How far a finding moved; None where a side has no number or an open interval."""
    now, before = _loss(pair.now), _loss(pair.before) if pair.before is not None else None
    if now is None or before is None or math.isinf(now.low) or math.isinf(before.high):
        return None
    # The arms of the intervals that face each other are what can close the gap.
    arms = max(now.value - now.low, 0.0) / now.z, max(before.high - before.value, 0.0) / before.z
    return _Step(now.value - before.value, now.low - before.high, math.hypot(*arms))


def _is_worse(pair: Pair, *, z: float) -> bool:
    step = _step(pair)
    return step is not None and step.apart > 0 and step.far > max(z * step.error, _margin(pair))


def _is_back(pair: Pair) -> bool:
    step = _step(pair)
    return step is not None and step.far <= max(step.error, _margin(pair) / 2)


def _margin(pair: Pair) -> float:
    """The step that matters: a share of the room that the baseline left to the bound; 0 where no bound is recorded."""
    bound = _bound(pair.now)
    if pair.before is None or bound is None or not isinstance(pair.before.result, Estimate):
        return 0.0
    return MARGIN * abs(bound - pair.before.result.value)


def _bound(finding: Finding) -> float | None:
    bound = finding.params.get("bound")
    return float(bound) if isinstance(bound, (int, float)) and not isinstance(bound, bool) else None


def _z_for(looks: int) -> float:
    """The step, in standard errors, that chance takes in any of so many findings in `FALSE_ALARMS` of pairs."""
    return NormalDist().inv_cdf(1 - FALSE_ALARMS / max(looks, 1))


def _failed_before(pair: Pair) -> bool:
    return pair.before is not None and pair.before.status is Status.FAIL


def _remembered(
    pairs: Sequence[Pair], worse: Sequence[Pair], standing: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of what was named worse earlier: what still stands, and what is back."""
    found = {p.recorded: p for p in pairs}
    open_ones = [label for label in dict.fromkeys(standing) if label not in {p.recorded for p in worse}]
    back = {label for label in open_ones if label in found and _is_back(found[label])}
    return tuple(n for n in open_ones if n not in back), tuple(n for n in open_ones if n in back)


def _differences(result: Result, baseline: Baseline) -> list[str]:
    """What was different about the question."""
    then = baseline.result
    said: list[str] = []
    if baseline.version != VERSION:
        said.append(f"the baseline is by Sterling {baseline.version}, this result by {VERSION}: measures may differ")
    if result.policy != then.policy:
        said.append(f"judged under {result.policy}, the baseline under {then.policy}")
    if result.seed != then.seed:
        said.append(f"the seed is {result.seed}, was {then.seed}: another split, within what the intervals allow")
    if _real(result) and _real(then) and _real(result) != _real(then):
        said.append("the real rows are not those of the baseline")
    return said


def _real(result: Result) -> frozenset[str]:
    return frozenset(record.fingerprint for record in result.inputs if record.origin == "real")


# --- on disk ---------------------------------------------------------------------------------------------------------


def read_baseline(path: Path) -> Baseline:
    """Read a baseline and what earlier gates remembered beside it.

    Raises:
        UnreadableInput: if there is no such file, or it is no JSON.
        InputError: if it is no complete result, or what stands beside it is damaged.
    """
    try:
        result = read_result(path)
    except InputError as err:
        raise type(err)(f"baseline: {err.message}", mend=f"{err.mend}; or leave --baseline out") from err
    raw = path.read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    return Baseline(result, str(json.loads(raw)["sterling"]), digest, _read_memory(memory_of(path), digest))


def memory_of(path: Path) -> Path:
    """Where gates remember what they named worse: `previous.json` has `previous.worse.json` beside it.

    >>> memory_of(Path("ci/previous.json")).as_posix()
    'ci/previous.worse.json'
    """
    return path.with_name(f"{path.stem}.worse.json")


def _read_memory(path: Path, digest: str) -> tuple[str, ...]:
    if not path.is_file():
        return ()
    try:
        data: Json = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as err:
        raise InputError(f"cannot read {path}: {err}", mend="delete it: the next gate starts afresh") from err
    named = data.get("worse") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(named, list):
        raise InputError(f"{path} holds no list 'worse'", mend="delete it: the next gate starts afresh")
    # Another baseline was put in this place: what was worse than the old one says nothing about the new one.
    return tuple(str(name) for name in named) if data.get("baseline") == digest else ()


def remember(path: Path, baseline: Baseline, comparison: Comparison) -> None:
    """Keep what is worse beside the baseline at `path`; nothing worse, no file.

    Raises:
        InputError: if the folder cannot be written.
    """
    memory = memory_of(path)
    if not comparison.remembered:
        with writing_to(memory):
            memory.unlink(missing_ok=True)
        return
    if comparison.remembered == baseline.standing and memory.is_file():
        return
    kept: dict[str, Json] = {
        "about": f"kept by sterling gate: {plural(len(comparison.remembered), 'finding')} worse than {path.name}",
        "baseline": baseline.digest,
        "worse": list(comparison.remembered),
    }
    write_text(memory, json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
