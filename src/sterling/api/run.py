"""`run`: a whole study, resumable: every step is a task whose result is kept under the hash of its inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sterling.api.analyses import check_analyses, run_analyses
from sterling.api.compare import conclude, judge
from sterling.api.inputs import Arena, Roles, declare, load, prepare
from sterling.api.settings import from_mapping
from sterling.api.wear import with_wear
from sterling.api.worth import exchange, more_table
from sterling.decide.policy import Policy, load_policy, waiver
from sterling.decide.result import Result, parse_result, write_result
from sterling.kernel.dataset import Dataset, Origin
from sterling.kernel.errors import InputError
from sterling.kernel.finding import Finding, Json, Verdict
from sterling.kernel.protocols import Generator, Learner, OnEvent, silent
from sterling.kernel.task import Task
from sterling.run.cache import FileCache
from sterling.run.ledger import JsonlLedger
from sterling.run.tasks import attempt, cached, timed
from sterling.sources.atomic import folder_at
from sterling.study import Candidate, Study, read_study

# A candidate with one of these outcomes never enters the mix: its fault would.
KEPT_OUT = ("FIX_GENERATOR", "RELABEL_SLICE")


@dataclass(frozen=True, slots=True)
class Desk:
    """What every step of a run needs: the study, the folder, policy, learner, cache, ledger, listener."""

    study: Study
    out: Path
    policy: Policy
    learner: Learner
    cache: FileCache
    ledger: JsonlLedger
    workers: int
    engine: Literal["local", "ray"]
    on_event: OnEvent

    def keep(
        self, name: str, params: Mapping[str, Json], inputs: tuple[str, ...], make: Callable[[], Result]
    ) -> Result:
        """The result of a step: read back if these inputs were seen before, else made and kept."""
        settings = {
            "policy": self.policy.label,
            "effort": self.study.effort,
            "learner": repr(self.learner),
            **params,
        }
        task = Task(f"sterling.api.run:{name}", tuple(sorted(settings.items())), (self.study.seed, name), inputs)
        about = params.get("name")
        who = about if isinstance(about, str) else None
        data = cached(task, lambda: _to_bytes(make()), cache=self.cache, ledger=self.ledger, about=who)
        return parse_result(json.loads(data))


def run_study(
    study: Path | Study,
    *,
    out: Path,
    engine: Literal["local", "ray"] = "local",
    workers: int = 2,
    on_event: OnEvent = silent,
) -> Result:
    """Generate, compare, worth, blend, decide and report, as a study says.

    Args:
        study: a study file, or a parsed study.
        out: the run folder: sets, mix, result.json, report.html and, last, manifest.json. Run again to resume.
        engine: where shards of work run.
        workers: processes.
        on_event: hears cost and progress.

    Returns:
        The result of kind "run"; each candidate's own verdict stands in its notes.

    Raises:
        InputError: for a study or input that cannot be used. A candidate that fails is recorded, not raised.
    """
    plan = read_study(study) if isinstance(study, Path) else study
    folder_at(out)
    desk = Desk(
        study=plan,
        out=out,
        policy=_policy(plan),
        learner=_learner(plan),
        cache=FileCache(out / "cache"),
        ledger=JsonlLedger(out / "ledger.jsonl"),
        workers=workers,
        engine=engine,
        on_event=on_event,
    )
    desk.ledger.record("study", name=plan.name, prices={"currency": plan.prices.currency, **_prices(plan)})
    arena, failures = _gather(desk)
    result = replace(_judge_all(desk, arena, failures), cost=_rows_and_prices(plan, arena))
    _write_folder(desk, result)
    return result


def _policy(study: Study) -> Policy:
    choice = study.policy
    return load_policy(
        choice.path or choice.preset,
        stakes=choice.stakes,
        declares=choice.declares,
        required=choice.required,
        waivers=[waiver(w.rule, w.reason, until=w.until, by=w.by) for w in choice.waivers],
    )


def _learner(study: Study) -> Learner:
    choice = study.learner
    settings: dict[str, Any] = dict(choice.settings)
    if choice.command is not None:
        settings["command"] = choice.command
        if choice.time_limit is not None:
            settings["time_limit"] = choice.time_limit
        return from_mapping("learners", "command", settings)
    return from_mapping("learners", choice.name, settings)


def _gather(desk: Desk) -> tuple[Arena, dict[str, str]]:
    """Read real data, make or read every candidate, encode all; failures by candidate name."""
    real = desk.study.real
    roles = Roles(
        target=real.target,
        groups=real.groups,
        entity=real.entity,
        time=real.time,
        schema=None if real.schema_file is None else Path(real.schema_file),
    )
    whole = load(real.path, origin=Origin.REAL, schema=roles.schema)
    check_analyses(desk.study.analysis, whole)
    train = _train_part(declare(whole, roles), real.holdout)
    ready: list[Dataset] = []
    failures: dict[str, str] = {}
    for candidate in desk.study.candidate:
        got = attempt(lambda c=candidate: _obtain(desk, c, train, roles))
        if isinstance(got, Dataset):
            ready.append(got)
        else:
            failures[candidate.name] = str(got)
            desk.on_event("note", {"text": f"{candidate.name} failed: {got}"})
    if not ready:
        raise InputError(
            "no candidate could be read or made: " + "; ".join(f"{k}: {v}" for k, v in failures.items()),
            mend="mend at least one [[candidate]] of the study",
        )
    arena = prepare(
        whole, ready, roles=roles, holdout=real.holdout, why=f"run {desk.study.name}", on_event=desk.on_event
    )
    return arena, failures


def _train_part(whole: Dataset, holdout: str | None) -> Dataset:
    from sterling.sources.split import split

    return whole if holdout is not None else split(whole)[0]


def _obtain(desk: Desk, candidate: Candidate, train: Dataset, roles: Roles) -> Dataset:
    """Read a candidate's file, or run its generator on the train part and keep the set in the run folder."""
    if candidate.path is not None:
        found = load(candidate.path, name=candidate.name, origin=Origin.SYNTHETIC, schema=roles.schema)
        if candidate.fitted_on == "unknown":
            return found
        return replace(found, lineage=replace(found.lineage, fitted_on=candidate.fitted_on))
    from sterling.api.generate import sample_from, write_out
    from sterling.sources.store import read_set

    generator = _generator(candidate)
    told = [candidate.generator, repr(generator), candidate.rows, desk.study.seed, candidate.name, train.fingerprint]
    key = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
    folder = desk.out / "sets" / f"{candidate.name}-{key}"
    if not (folder / "manifest.json").exists():

        def make() -> Dataset:
            made = sample_from(
                train, generator, name=str(candidate.generator), rows=int(candidate.rows or 0), seed=desk.study.seed,
                engine=desk.engine, workers=desk.workers, on_event=desk.on_event,
            )  # fmt: skip
            return write_out(made.batches(), folder, like=replace(made, name=candidate.name))

        timed("generated", make, ledger=desk.ledger, candidate=candidate.name, key=key, rows=candidate.rows)
    return replace(read_set(folder), name=candidate.name)


def _generator(candidate: Candidate) -> Generator:
    return from_mapping("generators", str(candidate.generator), dict(candidate.set))


def _generators(desk: Desk) -> dict[str, Generator]:
    return {c.name: _generator(c) for c in desk.study.candidate if c.generator is not None}


def _judge_all(desk: Desk, arena: Arena, failures: Mapping[str, str]) -> Result:
    """Compare each candidate, measure worth together, blend what may enter, and decide."""
    seed, stakes = desk.study.seed, desk.policy.stakes
    singles = {c.name: _compare(desk, arena, i) for i, c in enumerate(arena.candidates)}
    findings: list[Finding] = [f for single in singles.values() for f in single.findings]
    notes = [*arena.notes, *(f"{name} failed and was left out: {why}" for name, why in failures.items())]
    pictures: dict[str, Any] = {}
    if arena.train_view.target is not None:
        rates = _worth(desk, arena)
        mixed = _blend(desk, arena, rates, singles)
        findings += [*rates.findings, *mixed.findings]
        notes += mixed.notes
        pictures = {"curve": rates.curve, "mix": mixed.mix, "chosen": _chosen(mixed)}
        pictures["tables"] = (*rates.tables, *mixed.tables)
    else:
        notes.append("no target was declared: worth, utility and the mix need one ([real] target)")
    if desk.study.analysis:
        said = run_analyses(
            desk.study.analysis, arena.real, [(c,) for c in arena.candidates],
            holdout=arena.benchmark if arena.holdout_given else None, policy=desk.policy, seed=seed,
            on_event=desk.on_event,
        )  # fmt: skip
        findings += said.findings
        pictures["tables"] = (*pictures.get("tables", ()), *said.tables)
    result = conclude(
        "run", arena, tuple(findings), policy=desk.policy, seed=seed, stakes=stakes, notes=notes,
        prices=_prices(desk.study), **pictures,
    )  # fmt: skip
    return with_wear(result, arena, policy=desk.policy, learner=repr(desk.learner), on_event=desk.on_event)


def _chosen(mixed: Result) -> tuple[str, ...]:
    """Names of the candidates with a weight in the adopted mix."""
    sources = (mixed.mix or {}).get("sources")
    named = [s for s in sources if isinstance(s, dict)] if isinstance(sources, list) else []
    return tuple(str(s["name"]) for s in named if s["origin"] != "real" and s["weight"])


def _compare(desk: Desk, arena: Arena, index: int) -> Result:
    name = arena.candidates[index].name
    desk.on_event("step", {"text": f"comparing {name} with real rows"})
    one = replace(
        arena, candidates=(arena.candidates[index],), views=(arena.views[index],), clean=(arena.clean[index],)
    )

    def make() -> Result:
        findings = judge(
            one, 0, policy=desk.policy, seed=desk.study.seed, effort=desk.study.effort,
            slices=desk.study.real.slices, learner=desk.learner, on_event=desk.on_event,
        )  # fmt: skip
        return conclude("compare", one, findings, policy=desk.policy, seed=desk.study.seed, stakes=desk.policy.stakes)

    clean: dict[str, Json] = {"clean": arena.clean[index], "slices": list(desk.study.real.slices), "name": name}
    return desk.keep("compare", clean, _prints(one), make)


def _worth(desk: Desk, arena: Arena) -> Result:
    desk.on_event("step", {"text": "measuring worth in real rows"})
    generators = _generators(desk)

    def make() -> Result:
        from sterling.api.blend import refit_of

        made = {c.name: refit_of(arena, c, generators.get(c.name)) for c in arena.candidates}
        answer = exchange(
            arena, learner=desk.learner, seed=desk.study.seed, effort=desk.study.effort,
            slices=desk.study.real.slices, also="added", refits={n: f for n, f in made.items() if f is not None},
            rare=(desk.policy.rare.few, desk.policy.rare.fewest), on_event=desk.on_event,
        )  # fmt: skip
        return conclude(
            "worth", arena, (*answer.findings, *answer.more), policy=desk.policy, seed=desk.study.seed,
            stakes=desk.policy.stakes, curve=answer.curve_json(), tables=more_table(answer.more),
        )  # fmt: skip

    return desk.keep("worth", {"slices": list(desk.study.real.slices)}, _prints(arena), make)


def _blend(desk: Desk, arena: Arena, rates: Result, singles: Mapping[str, Result]) -> Result:
    """Search the mix among the candidates that may enter; writes the mixed set into the run folder."""
    from sterling.api.blend import mix_json, mixture, preset_notes, tried_tables, write_mix

    allowed = [name for name, single in singles.items() if may_enter(single)]
    desk.on_event("step", {"text": f"searching the mix among: {', '.join(allowed) or 'no candidate'}"})
    generators = _generators(desk)
    folder = desk.out / "mix"

    def make() -> Result:
        mix = mixture(
            arena, rates.findings, learner=desk.learner, policy=desk.policy, seed=desk.study.seed,
            effort=desk.study.effort, generators=generators, allowed=allowed, on_event=desk.on_event,
        )  # fmt: skip
        _fresh(folder)
        written = write_mix(arena, mix, folder)
        return conclude(
            "blend", arena, mix.findings, policy=desk.policy, seed=desk.study.seed, stakes=desk.policy.stakes,
            mix={**mix_json(arena, mix), "fingerprint": written.fingerprint}, tables=tried_tables(mix),
            notes=preset_notes(mix),
        )  # fmt: skip

    names: list[Json] = list(allowed)
    kept = desk.keep("blend", {"allowed": names}, _prints(arena), make)
    # A remembered mix whose folder was removed, or overwritten by another version of the study, is made again.
    return kept if _holds(folder, kept) else make()


def _holds(folder: Path, blended: Result) -> bool:
    from sterling.sources.store import read_set

    if not (folder / "manifest.json").is_file() or blended.mix is None:
        return False
    return read_set(folder).fingerprint == blended.mix.get("fingerprint")


def may_enter(single: Result) -> bool:
    """Whether a candidate's own comparison lets it into the mix.

    A set that trees can tell from real rows may still help at the right weight; one that blocks, or lacks
    a slice, or carries wrong labels, may not.
    """
    if single.decision.verdict is Verdict.BLOCK:
        return False
    return not any(rule.outcome in KEPT_OUT and rule.waived is None for rule in single.decision.rules)


def _fresh(folder: Path) -> None:
    """Remove a mix of other inputs that an earlier run left in this folder."""
    import shutil

    if folder.exists():
        shutil.rmtree(folder)


def _prints(arena: Arena) -> tuple[str, ...]:
    named = [f"{c.name}={c.fingerprint}" for c in arena.candidates]
    return (arena.train.fingerprint, arena.benchmark.fingerprint, *named)


def _rows_and_prices(study: Study, arena: Arena) -> dict[str, Json]:
    """What a run buys and at which prices: the same in every run of the study, which measured seconds are not."""
    made: dict[str, Json] = {c.name: c.rows for c in arena.candidates}
    known: dict[str, Json] = {**_prices(study)}
    priced: dict[str, Json] = {"prices": known, "currency": study.prices.currency} if known else {}
    return {"rows": made, **priced, "what_it_took": "cost.html beside this report"}


def _prices(study: Study) -> dict[str, float]:
    return study.prices.known()


def _to_bytes(result: Result) -> bytes:
    return json.dumps(result.as_json(), ensure_ascii=False, allow_nan=False).encode()


def _write_folder(desk: Desk, result: Result) -> None:
    """result.json, report.html and, last, the manifest that names them by hash."""
    from sterling.api.ship import write_report
    from sterling.sources.atomic import write_text

    write_result(result, desk.out / "result.json")
    write_report(result, desk.out / "report.html")
    files = ["result.json", "report.html", *(p for p in ["mix/manifest.json"] if (desk.out / p).exists())]
    manifest = {
        "sterling": "run",
        "study": desk.study.name,
        "verdict": result.decision.verdict.value,
        "files": {name: hashlib.sha256((desk.out / name).read_bytes()).hexdigest() for name in files},
    }
    write_text(desk.out / "manifest.json", json.dumps(manifest, indent=2) + "\n")
    _write_costs(desk)


def _write_costs(desk: Desk) -> None:
    """cost.json and cost.html, beside what the manifest names: seconds are never the same twice."""
    from sterling.api.cost import cost
    from sterling.api.ship import write_report

    bill = cost(desk.out)
    write_result(bill, desk.out / "cost.json")
    write_report(bill, desk.out / "cost.html")
