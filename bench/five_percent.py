"""The field's 5 % rule beside the default's D5: how often each refuses what would help, and accepts what harms.

    python bench/mixing.py --out /tmp/mixing.jsonl          # the cases, with what each way of mixing gains
    python bench/five_percent.py --cases /tmp/mixing.jsonl [--out /tmp/alone.jsonl] [--most 384]

The cases are those of mixing.py: real tables x generators x sizes x seeds. The 5 % rule trains on the synthetic rows
alone and on the real rows alone, scores both on the benchmark that a user has, and fails the set if the gap exceeds
.05 of score (`--relative`: 5 % of the real score). Those two trainings are added here; all else is read from the cases:

- a FAIL is wrong where the set, at the right weight beside the real rows, gains more than .005 on untouched rows;
- a PASS is wrong where the set, mixed in unweighted as the rule invites to, loses more than .005;
- of D5, a refusal is wrong where the right weight gains more than .005, an adopted mix where it loses more than .005.

"The right weight" is the best of five, chosen on the untouched rows: nobody can know it, and it flatters both rules'
refusals alike. One JSON line per case is appended to --out; run again to go on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mixing import Case, add_line, ground, rows_of
from sterling.api.worth import build_learner
from sterling.blend.training import judge, target_of
from sterling.kernel.protocols import Learner
from sterling.kernel.seeds import stream
from sterling.kernel.view import View
from sterling.stats.proportions import clopper_pearson
from sterling.stats.scores import score_of

HARM = GAIN = 0.005
LIMIT = 0.05
TRAININGS = 2


def score(learner: Learner, rows: View, test: View) -> float:
    """The score on the benchmark, over `TRAININGS` trainings."""
    models = [learner.fit(rows, None, rng=stream(run, "five percent")) for run in range(TRAININGS)]
    target = target_of(test, "the benchmark")
    return float(np.mean([score_of(target, np.asarray(judge(learner, model, test))) for model in models]))


def play(row: dict[str, Any], learner: Learner) -> dict[str, Any]:
    """The two scores that the rule looks at."""
    started = time.monotonic()
    table, setting, n, seed = row["case"].rsplit("/", 3)
    on = ground(Case(table, setting, int(n), int(seed)))
    return {
        "case": row["case"],
        "real": score(learner, on.train, on.benchmark),
        "alone": score(learner, on.candidate.view, on.benchmark),
        "seconds": round(time.monotonic() - started, 2),
    }


def rate(rows: Sequence[dict[str, Any]], wrong: Callable[[dict[str, Any]], bool]) -> str:
    """How many of how many, as a share with its 95 % interval."""
    if not rows:
        return "no case"
    hits = sum(wrong(row) for row in rows)
    share = clopper_pearson(hits, len(rows))
    return f"{hits:>3} of {len(rows):>3} = {share.value:>5.1%} [{share.low:.1%}, {share.high:.1%}]"


def table(rows: Sequence[dict[str, Any]], *, relative: bool) -> Iterator[str]:
    """What is printed."""

    def fails(row: dict[str, Any]) -> bool:
        return row["real"] - row["alone"] > LIMIT * (row["real"] if relative else 1.0)

    def would_gain(row: dict[str, Any]) -> bool:
        return row["oracle"] > GAIN

    failed, passed = [r for r in rows if fails(r)], [r for r in rows if not fails(r)]
    adopted, refused = [r for r in rows if r["guarded"] != 0], [r for r in rows if r["guarded"] == 0]
    yield f"{len(rows)} cases; a gain or a loss counts beyond {GAIN}; gap {'relative' if relative else 'in score'}"
    yield f"5 % rule FAIL, would gain at the right weight    {rate(failed, would_gain)}"
    yield f"5 % rule PASS, unweighted mixing harms           {rate(passed, lambda r: r['unweighted'] < -HARM)}"
    yield f"default  refuses, would gain at the right weight {rate(refused, would_gain)}"
    yield f"default  adopts, and the mix harms               {rate(adopted, lambda r: r['guarded'] < -HARM)}"
    followed = np.array([0.0 if fails(r) else r["unweighted"] for r in rows])
    guarded = np.array([r["guarded"] for r in rows])
    yield f"mean gain of following it: 5 % rule {followed.mean():+.4f} (worst {followed.min():+.4f}), " + (
        f"default {guarded.mean():+.4f} (worst {guarded.min():+.4f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, default=Path("/tmp/mixing.jsonl"))
    parser.add_argument("--out", type=Path, default=Path("/tmp/alone.jsonl"))
    parser.add_argument("--learner", default="boosted_trees")
    parser.add_argument("--most", type=int, default=384)
    parser.add_argument("--relative", action="store_true")
    asked = parser.parse_args()
    learner = build_learner(asked.learner, {})
    cases = [row for row in rows_of(asked.cases) if row["learner"] == repr(learner)][: asked.most]
    done = {row["case"] for row in rows_of(asked.out)}
    for row in cases:
        if row["case"] not in done:
            add_line(asked.out, play(row, learner))
    scores = {row["case"]: row for row in rows_of(asked.out)}
    joined = [{**row, **scores[row["case"]]} for row in cases if row["case"] in scores]
    if not joined:
        raise SystemExit("no case yet: run bench/mixing.py first, and name its --out as --cases")
    print("\n".join(table(joined, relative=asked.relative)))


if __name__ == "__main__":
    main()
