"""`audit`: attack a generator on the user's own table, and put what the attack proves beside what it promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from sterling.api.privacy_audit_result import concluded
from sterling.kernel import seeds
from sterling.kernel.dataset import Dataset, Lineage
from sterling.kernel.errors import InputError
from sterling.kernel.privacy_claim import claimed_privacy
from sterling.kernel.protocols import Generator, OnEvent, silent
from sterling.kernel.schema import Field, Kind, Role
from sterling.stats.privacy_audit import SHARES, Guesses, coin_scores, guessed, joined

if TYPE_CHECKING:
    from sterling.decide.result import Result
    from sterling.kernel.view import Ints

KINDS = (Kind.NUMBER, Kind.CATEGORY, Kind.DATETIME)
ROLES = (Role.FEATURE, Role.TARGET, Role.GROUP)
Attack = Literal["narrow", "wide"]
# Narrow: all of a generator's care goes to the few counts of two columns, and every canary has a cell of its own that
# others fill too. Wide: canaries are records that nobody has.
ATTACKS: tuple[Attack, ...] = ("narrow", "wide")
LEAST_ROWS = 50
# Wider tables are attacked through so many of their columns: more would only make each fit slower.
MOST_COLUMNS = {"narrow": 2, "wide": 8}
# Codes per column, as the attacker sees it.
MOST_CODES = 24
# Made rows per known row: drawing them costs no privacy, and takes the chance of drawing out of the attack.
MADE_PER_ROW = 20


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """The size of the attack.

    Args:
        fits: how often the generator is fitted for the wide attack; for the narrow one, which is cheaper and
            sharper, three times as often.
        canaries: made-up records per fit; a coin decides of each whether it is learned from.
        rows: real rows beside them; fewer make each canary weigh more.
        seed: of rows, canaries and coins.
    """

    fits: int
    canaries: int
    rows: int
    seed: int

    def times(self, attack: Attack) -> int:
        """Fits for one of the attacks."""
        return self.fits * (3 if attack == "narrow" else 1)


def privacy_audit(
    name: str,
    real: Any,
    *,
    settings: Sequence[str] | Mapping[str, Any] = (),
    fits: int = 3,
    canaries: int = 50,
    rows: int = 500,
    schema: Path | None = None,
    seed: int = 0,
    on_event: OnEvent = silent,
) -> Result:
    """Attack a generator with planted records, and report the epsilon below which no promise is tenable.

    Args:
        name: a generator's registry name.
        real: real data; a small part of it is used, for one record weighs most among few.
        settings: the generator's settings.
        fits: refits for the wide attack, >= 1, and three times as many for the narrow one; each has coins of its own.
        canaries: made-up records per fit, >= 4.
        rows: real rows per fit, at least 50.
        schema: TOML that declares the columns.
        seed: same seed, same rows, canaries and coins.
        on_event: hears cost and progress.

    Returns:
        A result of kind "audit": BLOCK where the promise is refuted with 95 % confidence. An attack that proves
        nothing does not prove the promise.

    Raises:
        UnknownName: for a generator or setting that is not there.
        InputError: for too few rows, fits or canaries, or a table without a column to attack.
    """
    from sterling.api.generate import describe
    from sterling.api.inputs import load
    from sterling.api.settings import from_mapping, from_pairs

    made_by = from_mapping("generators", name, settings) if isinstance(settings, Mapping) else from_pairs(
        "generators", name, settings
    )  # fmt: skip
    whole = load(real, schema=schema)
    plan = AuditPlan(fits, canaries, min(rows, whole.rows), seed)
    _check(plan, whole)
    what = describe(name, made_by)
    grounds: dict[Attack, Dataset] = {attack: ground_of(whole, plan, attack) for attack in ATTACKS}
    on_event("cost", {"trainings": 4 * fits, "rows": 4 * fits * (plan.rows + canaries)})
    attacks: dict[tuple[str, float], Guesses] = {}
    for attack, ground in grounds.items():
        runs = [run_once(made_by, ground, plan, attack=attack, run=i) for i in range(plan.times(attack))]
        on_event("step", {"text": f"{attack} attack done: {plan.times(attack)} fits"})
        attacks |= {(attack, share): joined([run[share] for run in runs]) for share in SHARES}
    skipped = tuple(f.name for f in whole.schema if all(f.name not in ground.schema for ground in grounds.values()))
    return concluded(what, claimed_privacy(Lineage(generator=what)), attacks, whole, plan, skipped=skipped)


def _check(plan: AuditPlan, whole: Dataset) -> None:
    if whole.rows < LEAST_ROWS:
        raise InputError(f"{whole.name} has {whole.rows} rows", mend=f"give at least {LEAST_ROWS} real rows")
    for what, value, least in (("fits", plan.fits, 1), ("canaries", plan.canaries, 4), ("rows", plan.rows, LEAST_ROWS)):
        if value < least:
            raise InputError(f"{what} is {value}", mend=f"give at least {least}: --{what} {least}")


def ground_of(whole: Dataset, plan: AuditPlan, attack: Attack) -> Dataset:
    """So many rows of the table, drawn by the seed, and the columns that are attacked: those of most levels.

    Raises:
        InputError: if no column holds numbers or categories.
    """
    from sterling.modalities.tabular import from_table

    rng = seeds.stream(plan.seed, "audit", "rows")
    table = whole.table().take(pa.array(np.sort(rng.permutation(whole.rows)[: plan.rows])))
    usable = [f for f in whole.schema if f.kind in KINDS and f.role in ROLES]
    if not usable:
        raise InputError(f"{whole.name} has no column of numbers or categories", mend="give a table that has one")
    levels = {f.name: min(len(table[f.name].unique()), MOST_CODES) for f in usable}
    # Categories before numbers of as many levels: their cells are one level each.
    order = sorted(usable, key=lambda f: (-levels[f.name], f.kind is not Kind.CATEGORY))
    names = [f.name for f in order[: MOST_COLUMNS[attack]]]
    return from_table(table.select(names), name=whole.name, schema=whole.schema.select(names))


def run_once(
    generator: Generator, ground: Dataset, plan: AuditPlan, *, attack: Attack, run: int
) -> dict[float, Guesses]:
    """Plant, fit, sample, guess: what the attacker guessed right, by the share of records that he guesses on."""
    from sterling.modalities.tabular import from_table

    rng = seeds.stream(plan.seed, "audit", attack, run)
    known = ground.table()
    drawn = _distinct_rows(known, plan.canaries) if attack == "narrow" else _strangers(known, plan.canaries, rng=rng)
    coins = rng.random(drawn.num_rows) < 0.5
    # The schema stays the one of the rows: nothing about it may tell which canaries are in.
    learned = from_table(
        pa.concat_tables([known, drawn.filter(pa.array(coins))]), name=ground.name, schema=ground.schema
    )
    fitted = generator.fit(learned, rng=seeds.stream(plan.seed, "audit", attack, "fit", run))
    stream = seeds.stream(plan.seed, "audit", attack, "sample", run)
    made = pa.concat_tables(list(generator.sample(fitted, MADE_PER_ROW * ground.rows, rng=stream)))
    coded = [_coded(f, known, drawn, made) for f in ground.schema]
    sizes = tuple(int(max(part.max(initial=0) for part in column)) + 1 for column in coded)
    rows, records, theirs = (np.array([column[i] for column in coded]) for i in range(3))
    scores = coin_scores(records, theirs, rows, sizes)
    return {share: guessed(scores, coins, share) for share in SHARES}


def _distinct_rows(known: pa.Table, k: int) -> pa.Table:
    """The k commonest combinations: each canary in a cell that is its own among the canaries, and that others fill."""
    names = known.column_names
    counted = known.append_column("_n", pa.array(np.ones(known.num_rows, dtype=np.int64)))
    common = counted.group_by(names).aggregate([("_n", "sum")]).sort_by([("_n_sum", "descending")])
    return common.select(names).slice(0, k).cast(known.schema)


def _strangers(known: pa.Table, k: int, *, rng: np.random.Generator) -> pa.Table:
    """Records of which every cell is a random distinct value of its column: pairs that hardly anybody has."""
    columns: list[pa.ChunkedArray] = []
    for column in known.columns:
        distinct = column.unique()
        columns.append(pa.chunked_array([distinct.take(pa.array(rng.integers(len(distinct), size=k)))]))
    return pa.table(columns, schema=known.schema)


def _coded(field: Field, known: pa.Table, records: pa.Table, made: pa.Table) -> tuple[Ints, Ints, Ints]:
    """Codes of one column in three tables, in one coding that only what the attacker knows has shaped."""
    from sterling.modalities.tabular import canonical, normalise

    own = canonical(
        normalise(pa.concat_tables([known.select([field.name]), records.select([field.name])])).table[0], field
    )
    other = canonical(normalise(made.select([field.name])).table[0], field)
    n = known.num_rows
    if field.kind is Kind.CATEGORY:
        levels = own.dictionary_encode()
        mine = levels.indices.fill_null(len(levels.dictionary)).to_numpy(zero_copy_only=False).astype(np.int64)
        strange = len(levels.dictionary) + 1
        place = {word: i for i, word in enumerate(levels.dictionary.to_pylist())}
        theirs = np.array(
            [len(place) if word is None else place.get(word, strange) for word in other.to_pylist()], dtype=np.int64
        )
        return mine[:n], mine[n:], theirs
    mine_values, their_values = _numbers(own, field), _numbers(other, field)
    finite = mine_values[np.isfinite(mine_values)]
    cuts = np.unique(finite)
    if cuts.size > MOST_CODES:
        cuts = np.unique(np.quantile(finite, np.linspace(0, 1, MOST_CODES + 1)[1:-1]))
    codes = [np.where(np.isnan(v), 0, 1 + np.searchsorted(cuts, v, side="left")) for v in (mine_values, their_values)]
    return codes[0][:n], codes[0][n:], codes[1]


def _numbers(array: pa.Array, field: Field) -> np.ndarray:
    from sterling.modalities.tabular.canonical import floats, seconds

    return seconds(array) if field.kind is Kind.DATETIME else floats(array)
