"""How often the worth in real rows holds the truth, how wide it is, and how often it errs about "more or less".

    OMP_NUM_THREADS=1 python bench/exchange_coverage.py [--repeats 60] [--out FILE] [--only linear|adult]

Nominal level 90 %. Two problems with a known answer: `linear`, a logistic model in 12 columns whose curve is measured
with hundreds of trainings on fresh draws and judged on 40,000 rows; `adult`, Adult census rows with boosted trees,
400 to 4,000 rows held, whose curve is measured with fresh subsets of 30,000 rows and judged on 18,842 others. The
truth is what `worth` means: how many fresh real rows score, on average, as a model of this very set does, both on the
whole population. Every repetition draws the real rows, the benchmark and the sets anew. What is done is kept in FILE
(one JSON line each), so that an interrupted bench goes on. About 12 minutes on one core for 60 repetitions of both.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from sterling.blend.exchange import worth
from sterling.blend.training import judge
from sterling.kernel import seeds
from sterling.kernel.estimate import Estimate
from sterling.kernel.schema import Kind, Role
from sterling.kernel.view import Column, View, stack
from sterling.learners.boosted_trees import BoostedTrees
from sterling.learners.logistic import Logistic
from sterling.modalities.tabular import Tabular, with_roles
from sterling.sources.frames import from_frame
from sterling.stats.proportions import clopper_pearson
from sterling.stats.scores import score_of

LEVEL = 0.9
SLOPES = np.array([1.0, -0.8, 0.6, 0.4, 0.3, 0.2, 0.1, 0.0, 0.5, -0.5, 0.4, 0.3])
Rng = np.random.Generator


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A population whose answer is known.

    Args:
        learner: the model.
        n: real rows held.
        bench: benchmark rows.
        draw: fresh real rows, none of which any other draw of the same generator has.
        judges: many rows that stand for the population.
        largest: rows up to which the true curve is measured.
        most: most trainings per size of it.
        sets: rows and wrong labels of each candidate.
    """

    learner: Any
    n: int
    bench: int
    draw: Callable[[Rng, int], View]
    judges: View
    largest: int
    most: int
    sets: dict[str, tuple[int, float]]

    def score(self, view: View, rng: Rng, weights: Any = None) -> float:
        """On the population."""
        target = self.judges.target
        said = judge(self.learner, self.learner.fit(view, weights, rng=rng), self.judges)
        assert target is not None
        assert isinstance(said, np.ndarray)
        return score_of(target, said)


def linear(rng: Rng, n: int) -> View:
    x = rng.normal(size=(n, SLOPES.size))
    label = (x @ SLOPES + rng.logistic(size=n) > 0).astype(np.int64)
    columns = [Column(f"x{j}", Kind.NUMBER, Role.FEATURE, x[:, j]) for j in range(SLOPES.size)]
    return View(n, "linear", (*columns, Column("y", Kind.CATEGORY, Role.TARGET, label, ("no", "yes"))))


@cache
def adult() -> tuple[View, View]:
    """A pool to draw from, and the judges."""
    table = pq.read_table(str(files("sterling.sources") / "embedded" / "adult.parquet"))
    data = from_frame(table, name="adult")
    (view,) = Tabular().views([replace(data, schema=with_roles(data.schema, target="income"))])
    order = seeds.stream(0, "exchange_coverage", "adult").permutation(view.n)
    return view.take(order[18_842:]), view.take(order[:18_842])


def from_pool(rng: Rng, n: int) -> View:
    pool = adult()[0]
    return pool.take(rng.permutation(pool.n)[:n])


def problem(name: str) -> Problem:
    if name == "linear":
        sets = {"real 60": (60, 0.0), "real 200": (200, 0.0), "flip .2": (400, 0.2), "flip .3": (800, 0.3)}
        sets |= {"real 900": (900, 0.0)}
        judges = linear(seeds.stream(0, "exchange_coverage", "judges"), 40_000)
        return Problem(Logistic(), 600, 400, linear, judges, 2400, 400, sets)
    sets = {"real 300": (300, 0.0), "real 1500": (1500, 0.0), "flip .2": (4000, 0.2), "flip .3": (10_000, 0.3)}
    return Problem(BoostedTrees(), 4000, 1000, from_pool, adult()[1], 20_000, 60, {**sets, "real 9000": (9000, 0.0)})


def flipped(view: View, share: float, rng: Rng) -> View:
    target = view.target
    assert target is not None
    wrong = np.where(rng.random(view.n) < share, 1 - target.values, target.values)
    return replace(
        view, columns=tuple(replace(c, values=wrong) if c.name == target.name else c for c in view.columns or ())
    )


def true_curve(p: Problem, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Rows and mean scores, never falling."""
    sizes = np.unique(np.geomspace(40, p.largest, 18).round().astype(int))
    runs = np.clip(p.most * p.n // sizes, 8, p.most)
    means = [np.mean([p.score(p.draw(rng, int(n)), rng) for _ in range(k)]) for n, k in zip(sizes, runs, strict=True)]
    return sizes, np.maximum.accumulate(means)


def parts(p: Problem, rng: Rng) -> Iterator[View]:
    """Real rows, benchmark and sets, disjoint: one draw, cut."""
    cuts = np.cumsum([0, p.n, p.bench, *(rows for rows, _ in p.sets.values())])
    drawn = p.draw(rng, int(cuts[-1]))
    for a, b in itertools.pairwise(cuts):
        yield drawn.take(np.arange(a, b))


def repetition(name: str, p: Problem, rep: int, curve: tuple[list[float], list[float]]) -> Iterator[dict[str, Any]]:
    """One line per set: what was said, and what is true."""
    rng = seeds.stream(rep, "exchange_coverage", name)
    train, bench, *sets = parts(p, rng)
    made = {k: flipped(v, flip, rng) for v, (k, (_, flip)) in zip(sets, p.sets.items(), strict=True)}
    start = time.process_time()
    found = worth(
        train, bench, made, fitted_on=dict.fromkeys(made, "other"), learner=p.learner, seed=rep, level=LEVEL,
        also="added",
    )  # fmt: skip
    took = time.process_time() - start
    sizes, means = (np.array(x) for x in curve)

    def rows(score: float) -> float:
        return float(np.exp(np.interp(score, means, np.log(sizes))))

    added = {f.candidate: f for f in found.more if f.measure == "added_real_rows"}
    for f in found.findings:
        assert isinstance(f.result, Estimate)
        view, r = made[str(f.candidate)], f.result
        truth = rows(float(np.mean([p.score(view, rng) for _ in range(4)])))
        line = {"problem": name, "rep": rep, "set": f.candidate, "truth": truth, "n": p.n, "seconds": took / len(made)}
        line |= {
            "value": r.value,
            "low": r.low,
            "high": r.high,
            "smallest": int(str(f.evidence["sizes"]).strip("[").split(",")[0]),
        }
        extra = added.get(f.candidate)
        if extra is not None and isinstance(extra.result, Estimate):
            weight = np.r_[np.ones(p.n // 2), np.full(view.n, extra.params["weight"])]
            mixes = [p.score(stack([p.draw(rng, p.n // 2), view]), rng, weight) for _ in range(6)]
            line |= {"added": extra.result.value, "added_low": extra.result.low, "added_high": extra.result.high}
            line["added_truth"] = rows(float(np.mean(mixes))) - p.n // 2
        yield line


def share(hits: list[bool]) -> str:
    if not hits:
        return "none"
    e = clopper_pearson(sum(hits), len(hits))
    return f"{e.value:.0%} [{e.low:.0%}, {e.high:.0%}] of {len(hits)}"


def report(lines: list[dict[str, Any]], what: str) -> None:
    """Coverage within the measured range, width, censoring, and the verdict against the rows held."""
    inside = [x for x in lines if x["smallest"] <= x["truth"] <= x["n"]]
    covered = [x["low"] <= x["truth"] <= x["high"] for x in inside]
    widths = [np.log(min(x["high"], x["n"]) / max(x["low"], x["smallest"] / 2)) for x in inside]
    errors = [abs(np.log(max(x["value"], x["smallest"] / 2) / x["truth"])) for x in inside]
    more = [(x["value"] >= x["n"]) == (x["truth"] >= x["n"]) for x in lines]
    firm = [x["truth"] < x["n"] for x in lines if x["high"] < x["n"]]
    censored = np.mean([x["high"] > x["n"] for x in inside]) if inside else np.nan
    print(f"{what:18s} covers {share(covered)}")
    if inside:
        print(f"{'':18s} median fold width {np.exp(np.median(widths)):.2f} (log {np.median(widths):.2f}), "
              f"median fold error {np.exp(np.median(errors)):.2f}, open above {censored:.0%}")  # fmt: skip
    print(f"{'':18s} more/less than held right {share(more)}; firmly 'less' and right {share(firm)}")
    added = [x for x in lines if "added" in x and x["added_truth"] <= x["n"] - x["n"] // 2]
    if added:
        hits = [x["added_low"] <= x["added_truth"] <= x["added_high"] for x in added]
        wide = np.median([min(x["added_high"], x["n"] // 2) - x["added_low"] for x in added])
        off = np.median([abs(x["added"] - x["added_truth"]) for x in added])
        print(f"{'':18s} added covers {share(hits)}, median width {wide:,.0f} rows, median error {off:,.0f} rows")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--repeats", type=int, default=60)
    options.add_argument("--out", type=Path, default=Path("exchange_coverage.jsonl"))
    options.add_argument("--only", choices=("linear", "adult"))
    asked = options.parse_args()
    kept = [json.loads(line) for line in asked.out.read_text().splitlines()] if asked.out.exists() else []
    with asked.out.open("a") as out:
        for name in [asked.only] if asked.only else ["linear", "adult"]:
            p, key = problem(name), f"curve {name}"
            curve = next((x["curve"] for x in kept if x["problem"] == key), None)
            if curve is None:
                measured = true_curve(p, seeds.stream(0, "exchange_coverage", key))
                curve = [[float(v) for v in part] for part in measured]
                print(json.dumps({"problem": key, "curve": curve}), file=out, flush=True)
            done = {x["rep"] for x in kept if x["problem"] == name}
            for rep in sorted(set(range(asked.repeats)) - done):
                lines = list(repetition(name, p, rep, (curve[0], curve[1])))
                out.writelines(json.dumps(line) + "\n" for line in lines)
                out.flush()
                kept += lines
    by: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for x in kept:
        if "set" in x:
            by[x["problem"]].append(x)
            by[f"{x['problem']} {x['set']}"].append(x)
    for name in sorted(by):
        report(by[name], name)
        print(f"{'':18s} {np.mean([x['seconds'] for x in by[name]]):.2f} CPU s a set")


if __name__ == "__main__":
    main()
