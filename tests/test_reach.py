"""The map of what is out of reach: a deleted cluster tops it, other people's real rows leave it empty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest

from sterling.api.inputs import Roles, declare, journal_path, load
from sterling.api.reach import reach as reach_sets
from sterling.api.reach import set_apart
from sterling.api.reach_result import collect
from sterling.blend.reach import SHUFFLES, Reach, excess_losses, reach, shuffles
from sterling.kernel.errors import InputError
from sterling.kernel.estimate import Estimate, Unmeasured
from sterling.kernel.finding import Status, Verdict
from sterling.kernel.protocols import silent
from sterling.kernel.schema import Kind, Role
from sterling.kernel.seeds import stream
from sterling.kernel.view import Column, View
from sterling.learners.logistic import Logistic
from sterling.report.pictures import draw
from sterling.sources.queries import wear_of
from sterling.stats.subgroups import best_subgroup, terms_of


def view(n: int, *, seed: int) -> View:
    """Two numbers, a category of four levels, and a target."""
    rng = stream(seed, "reach rows", n)
    columns = (
        Column("age", Kind.NUMBER, Role.FEATURE, np.floor(rng.uniform(18, 90, n)), integer=True),
        Column("pay", Kind.NUMBER, Role.FEATURE, rng.lognormal(size=n)),
        Column("work", Kind.CATEGORY, Role.FEATURE, rng.integers(0, 4, n), ("clerk", "cook", "self", "state")),
        Column("y", Kind.CATEGORY, Role.TARGET, rng.integers(0, 2, n), ("no", "yes")),
    )
    return View(n, f"v{seed}", columns)


def cluster(v: View) -> np.ndarray:
    return (v.column("age").values >= 60) & (v.column("work").values == 2)


def mapped(real: View, held: View, made: View, *, seed: int = 0, more: View | None = None) -> Reach:
    got = reach(real, held, made, more=more, seed=seed, effort="fast", alpha=0.05, on_event=silent)
    assert isinstance(got, Reach)
    return got


def without(v: View) -> View:
    return v.take(~cluster(v))


def test_a_cluster_that_the_set_lacks_tops_the_map() -> None:
    for seed in range(5):
        held = view(800, seed=50 + seed)
        got = mapped(view(2000, seed=seed), held, without(view(2600, seed=100 + seed)), seed=seed)
        first = got.groups[0].records.members(held.columns or ())
        truth = cluster(held)
        assert (first & truth).sum() >= 0.7 * max(first.sum(), truth.sum()), got.groups[0].title
        assert got.groups[0].advice == "collect, don't simulate"
        assert got.groups[0].share.low > 5 * got.floor.value
        assert got.groups[0].density < 0.5


def test_other_real_rows_leave_the_map_empty() -> None:
    named, whole = 0, 0
    for seed in range(12):
        got = mapped(view(600, seed=seed), view(300, seed=200 + seed), view(600, seed=400 + seed), seed=seed)
        named += bool(got.groups)
        whole += got.p <= 0.05
        assert got.floor.value == pytest.approx(1 / 32, abs=0.008)
    assert named <= 3  # 12 trials at .05: more has a chance of .002
    assert whole <= 3


@pytest.mark.slow
def test_the_interval_of_the_share_covers_what_fresh_rows_show() -> None:
    covered = 0
    for seed in range(40):
        got = mapped(view(600, seed=seed), view(300, seed=700 + seed), view(600, seed=900 + seed), seed=seed)
        covered += got.whole.low <= 1 / 32 <= got.whole.high
    assert covered >= 34


def test_a_thin_cluster_is_to_be_weighed_up_or_sampled_more() -> None:
    made = view(6000, seed=3)
    thin = made.take(~cluster(made) | (np.arange(made.n) % 6 == 0))
    got = mapped(view(5000, seed=1), view(2000, seed=2), thin)
    assert got.groups[0].advice == "raise its weight"
    more = view(60_000, seed=4)
    plenty = more.take(~cluster(more) | (np.arange(more.n) % 6 == 0))
    assert mapped(view(5000, seed=1), view(2000, seed=2), thin, more=plenty).groups[0].advice == "sample more"
    gone = mapped(view(5000, seed=1), view(2000, seed=2), without(made), more=without(more)).groups[0]
    assert gone.advice == "collect, don't simulate"
    assert gone.with_more is not None
    assert gone.with_more > 0.15


def test_many_equal_rows_are_no_alarm_and_a_missing_level_is() -> None:
    def few_levels(n: int, seed: int, *, lost: bool) -> View:
        rng = stream(seed, "levels")
        codes = rng.integers(0, 3, (n, 2))
        codes = codes[codes[:, 0] != 2] if lost else codes
        columns = tuple(Column(f"c{j}", Kind.CATEGORY, Role.FEATURE, codes[:, j], ("a", "b", "ç")) for j in range(2))
        return View(codes.shape[0], "v", columns)

    real, held = few_levels(900, 1, lost=False), few_levels(400, 2, lost=False)
    assert mapped(real, held, few_levels(900, 3, lost=False)).groups == ()
    got = mapped(real, held, few_levels(1300, 4, lost=True))
    assert got.groups[0].title == "c0=ç"
    assert got.groups[0].share.value == 1.0


def test_an_embedding_without_columns_is_mapped_by_clusters() -> None:
    def points(n: int, seed: int, *, lost: bool) -> View:
        rng = stream(seed, "points")
        which = rng.integers(0, 3 if lost else 4, n)
        return View(n, "v", embedding=np.eye(4)[which] * 8 + rng.normal(size=(n, 4)))

    got = mapped(points(900, 1, lost=False), points(400, 2, lost=False), points(900, 3, lost=True))
    assert got.groups[0].title.startswith("cluster=")
    assert got.groups[0].share.value > 0.8
    assert mapped(points(900, 1, lost=False), points(400, 2, lost=False), points(900, 4, lost=False)).groups == ()


def test_too_few_rows_and_rows_without_columns_are_said() -> None:
    few = reach(
        view(20, seed=1), view(300, seed=2), view(600, seed=3), seed=0, effort="fast", alpha=0.05, on_event=silent
    )
    assert isinstance(few, Unmeasured)
    assert "20 real" in few.reason
    bare = View(300, "v")
    assert isinstance(reach(bare, bare, bare, seed=0, effort="fast", alpha=0.05, on_event=silent), Unmeasured)


def test_losses_are_larger_where_the_set_lacks_rows() -> None:
    def told(v: View) -> View:
        odd = cluster(v)
        y = np.where(odd, v.column("pay").values < 1, v.column("pay").values > 1).astype(np.int64)
        return replace(v, columns=tuple(replace(c, values=y) if c.name == "y" else c for c in v.columns or ()))

    real, held, made = (told(view(n, seed=s)) for n, s in ((3000, 1), (1500, 2), (3000, 3)))
    got = mapped(real, held, without(made))
    loss = excess_losses(real, held, without(made), got.groups, learner=Logistic(), seed=0)[got.groups[0].title]
    assert isinstance(loss, Estimate)
    assert loss.low > 0


def test_subgroups_are_found_and_named() -> None:
    v = view(3000, seed=1)
    columns = v.columns or ()
    hits = cluster(v).astype(float)
    best = best_subgroup(terms_of(columns, least=20), hits, expected=0.01)
    assert best is not None
    assert {c.column for c in best.conditions} == {"age", "work"}
    assert "work=self" in best.title
    mask = best.members(columns)
    assert (mask & cluster(v)).sum() >= 0.8 * mask.sum()
    none = best_subgroup(terms_of(columns, least=20), hits, among=np.zeros(v.n, dtype=bool), expected=0.01)
    assert none is None
    assert best_subgroup(terms_of((), least=20), np.empty(0), expected=0.5) is None


@pytest.fixture(scope="module")
def lacking(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """vendor.csv without older women."""
    table = pyarrow.csv.read_csv(folder / "vendor.csv")
    gone = pc.and_(pc.greater_equal(table["age"], 40), pc.equal(table["sex"], pa.scalar("Female")))
    out = tmp_path_factory.mktemp("lacking") / "lacking.csv"
    pyarrow.csv.write_csv(table.filter(pc.invert(gone)), out)
    return out


def test_the_command_names_the_group_and_what_to_do(
    cli: Callable[..., Any], folder: Path, lacking: Path, tmp_path: Path
) -> None:
    said = cli(
        "reach", folder / "real.csv", lacking, "--holdout", folder / "holdout.csv", "--target", "label",
        "--real-row", "2.5", "--fast", "--html", tmp_path / "r.html", "--json", tmp_path / "r.json",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "REACH COLLECT_REAL" in said.out
    assert "What cannot be synthesised (yet)" in said.out
    assert "sex=Female" in said.out
    assert max(len(line) for line in said.out.splitlines()) <= 80
    page = (tmp_path / "r.html").read_text()
    assert page.count('class="chart wide"') == 1
    assert page.count('class="chart narrow"') == 1


def test_other_peoples_rows_are_within_reach(folder: Path) -> None:
    got = reach_sets(folder / "vendor.csv", folder / "real.csv", holdout=folder / "holdout.csv", effort="fast")
    assert got.decision.verdict is Verdict.SHIP
    assert got.decision.rules[0].outcome == "REACHED"
    assert got.findings[0].status is Status.PASS
    assert got.picture is None


def test_six_sets_at_once_do_not_hide_the_one_that_lacks_a_group(adult: pa.Table, folder: Path, lacking: Path) -> None:
    keep = pyarrow.csv.read_csv(folder / "real.csv").column_names[:-1]
    table = adult.select([*keep, "income"]).rename_columns([*keep, "label"])
    others = [table.slice(6000 + 1500 * i, 1500) for i in range(5)]
    times: list[Any] = []

    def heard(kind: str, facts: Any) -> None:
        times.extend([facts["times"]] if kind == "shuffled" else [])

    got = reach_sets(
        folder / "real.csv", [lacking, *others], holdout=folder / "holdout.csv", effort="fast", on_event=heard
    )
    assert got.decision.verdict is Verdict.FIX
    assert {r.candidate for r in got.decision.rules if r.outcome == "COLLECT_REAL"} == {"lacking"}
    assert [f.status for f in got.findings if f.slice is None].count(Status.PASS) == 5
    assert times == [239, 99, 99, 99, 99, 99]  # more only where a p could still fall to .05 / 6


@pytest.mark.parametrize("effort", ["fast", "full"])
@pytest.mark.parametrize("sets", [1, 2, 6, 11, 50])
def test_the_smallest_p_is_below_alpha_however_many_sets(effort: Any, sets: int) -> None:
    assert 1 / (1 + shuffles(0.05 / sets, effort)) <= 0.05 / sets / 2 + 1e-12


def test_fewer_shuffles_where_nothing_can_be_named_name_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def named(seed: int) -> list[Any]:
        views = (view(n, seed=s + seed) for n, s in ((500, 0), (250, 50), (500, 90)))
        got = reach(*views, seed=seed, effort="fast", alpha=0.01, on_event=silent)
        assert isinstance(got, Reach)
        return [got.p <= 0.01, *(g.title for g in got.groups)]

    early = [named(seed) for seed in range(6)]
    monkeypatch.setitem(SHUFFLES, "fast", 199)
    assert [named(seed) for seed in range(6)] == early


def test_the_benchmark_stays_sealed(folder: Path, lacking: Path) -> None:
    one, two = (
        reach_sets(folder / "real.csv", lacking, target="label", holdout=folder / name, effort="fast")
        for name in ("holdout.csv", "vendor.csv")
    )
    assert one.as_json() == two.as_json()
    assert one.decision.verdict is Verdict.FIX
    for name in ("holdout.csv", "vendor.csv"):
        sealed = load(folder / name)
        assert wear_of(journal_path().parent, sealed.fingerprint, rows=sealed.rows).questions == 0
    asked = one.tables[1].rows
    real = pyarrow.csv.read_csv(folder / "real.csv").select(list(one.tables[1].columns[1:])).to_pylist()
    assert all(dict(zip(one.tables[1].columns[1:], row[1:], strict=True)) in real for row in asked)
    with pytest.raises(InputError, match="same rows as"):
        reach_sets(folder / "real.csv", folder / "vendor.csv", holdout=folder / "vendor.csv", effort="fast")


def test_the_records_that_are_asked_are_others_than_those_laid_out() -> None:
    table = pa.table({"who": [i // 4 for i in range(400)], "x": range(400), "t": range(400)})
    roles = Roles(entity="who", time="t")
    laid, asked = set_apart(declare(load(table, name="r"), roles), table.slice(0, 9), [], roles=roles)
    people = [set(part.table().column("who").to_pylist()) for part in (laid, asked)]
    assert laid.rows + asked.rows == 400
    assert not people[0] & people[1]
    assert 60 < asked.rows < 140
    assert min(people[1]) < 40  # not the latest alone


def test_a_generator_of_ours_is_asked_for_more_rows(folder: Path) -> None:
    got = reach_sets(folder / "real.csv", generator="copula", holdout=folder / "holdout.csv", effort="fast")
    assert {f.candidate for f in got.findings} == {"copula"}
    assert all("with_more" not in f.evidence or f.evidence["with_more"] is not None for f in got.findings)


def test_a_recipient_sees_no_record(folder: Path, lacking: Path) -> None:
    got = reach_sets(folder / "real.csv", lacking, holdout=folder / "holdout.csv", effort="fast")
    assert [t.owner_only for t in got.tables] == [False, True]


def test_what_makes_no_map_is_said(cli: Callable[..., Any], folder: Path) -> None:
    said = cli("reach", folder / "real.csv")
    assert said.code == 2
    assert "no synthetic rows" in said.err
    with pytest.raises(InputError, match="without a target"):
        reach_sets(folder / "real.csv", folder / "vendor.csv", rank="loss")
    with pytest.raises(InputError, match="cannot cost"):
        reach_sets(folder / "real.csv", folder / "vendor.csv", real_row=-1)


def test_rows_to_collect_follow_from_the_share() -> None:
    got = mapped(view(2000, seed=1), view(800, seed=2), without(view(2600, seed=3))).groups[0]
    small = replace(got, held=12, of_real=0.01)
    assert collect(small, 30) == 1800
    assert collect(replace(got, held=30), 30) == 0


def test_the_picture_takes_any_text_and_refuses_what_it_cannot_draw() -> None:
    row = {"label": "<b>&age=1", "set": "a", "value": 0.5, "low": 0.2, "high": 0.9, "advice": "collect"}
    drawn = draw({"kind": "reach", "rows": [row], "floor": 0.03, "sets": 2})
    assert drawn is not None
    assert "<b>" not in drawn.svg
    assert "a · &lt;b&gt;" in drawn.svg
    assert draw({"kind": "reach", "rows": [], "floor": 0.03}) is None
    assert draw({"kind": "reach", "rows": [{"label": "x"}], "floor": None}) is None


def test_the_real_rows_themselves_are_no_reach_but_too_near(folder: Path) -> None:
    answer = reach_sets(str(folder / "real.csv"), str(folder / "real.csv"), effort="fast", seed=0)
    assert answer.decision.verdict is Verdict.SHIP
    assert "TOO_NEAR" in {r.outcome for r in answer.decision.rules}
    assert not any(f.status is Status.FAIL for f in answer.findings)
