"""Train and holdout: every row has its side, on every machine and in every order of the file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sterling.kernel.dataset import Dataset, SplitRole
from sterling.kernel.errors import InputError
from sterling.kernel.schema import Field, Kind, Role
from sterling.modalities.tabular import canonical, content_hashes, from_table, mix, plain_table, row_hashes, text_hash
from sterling.modalities.tabular.canonical import seconds

if TYPE_CHECKING:
    from sterling.kernel.view import Bools, Floats, Hashes, Ints

HOLDOUT = 0.2


def split(dataset: Dataset, *, holdout: float = HOLDOUT, salt: str = "sterling") -> tuple[Dataset, Dataset]:
    """Set a part of the rows apart.

    With a TIME column the latest rows are the holdout, equal times together; else a hash decides. With an
    ENTITY column all rows of an entity fall on one side (with both: by the entity's latest time). Otherwise
    each row falls by its content and its occurrence among equal rows, so that it keeps its side when the
    file is sorted anew or written in another format.

    Args:
        dataset: real rows.
        holdout: share of the rows to set apart, in (0, 1); met up to binomial noise, exactly by time.
        salt: another salt is another split.

    Returns:
        (train, holdout). Either may be empty where there are few rows: the caller says INSUFFICIENT.

    Raises:
        InputError: if the share is not between 0 and 1.
    """
    if not 0.0 < holdout < 1.0:
        raise InputError(f"cannot set a share of {holdout} apart", mend="give a share between 0 and 1, such as 0.2")
    table = plain_table(dataset)
    apart = held_out(dataset, table, holdout=holdout, salt=salt)
    return _part(dataset, table, ~apart, SplitRole.TRAIN), _part(dataset, table, apart, SplitRole.HOLDOUT)


def held_out(dataset: Dataset, table: pa.Table, *, holdout: float, salt: str) -> Bools:
    """[n] True for the rows of the holdout."""
    rows = _with_occurrence(content_hashes(table))
    entity = next(iter(dataset.schema.with_role(Role.ENTITY)), None)
    groups = rows if entity is None else _entities(table, entity, rows)
    time = next(iter(dataset.schema.with_role(Role.TIME)), None)
    if time is not None and table.num_rows:
        return _latest(_times(table, time), groups, share=holdout)
    # 53 bits: the most that a float64 between 0 and 1 can hold exactly.
    place = (mix(groups ^ text_hash(f"split {salt}")) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return place < holdout


def _with_occurrence(hashes: Hashes) -> Hashes:
    """[n] hashes that tell equal rows apart by counting them; which is which does not matter."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    fresh = np.ones(hashes.size, dtype=bool)
    fresh[1:] = ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(fresh)
    occurrence: Ints = np.empty(hashes.size, dtype=np.int64)
    occurrence[order] = np.arange(hashes.size) - np.repeat(starts, np.diff(np.append(starts, hashes.size)))
    return mix(hashes) ^ mix(occurrence.view(np.uint64))


def _entities(table: pa.Table, entity: Field, rows: Hashes) -> Hashes:
    """[n] one hash per entity; a row without one stands for itself."""
    unknown = table.column(entity.name).is_null().to_numpy()
    return np.where(unknown, rows, row_hashes(table, [entity.name]))


def _times(table: pa.Table, time: Field) -> Floats:
    return seconds(canonical(table.column(time.name), replace(time, kind=Kind.DATETIME)))


def _latest(times: Floats, groups: Hashes, *, share: float) -> Bools:
    """[n] the latest share of the rows; rows of a group go by its latest time, rows without a time stay."""
    _, group = np.unique(groups, return_inverse=True)
    latest = np.full(int(group.max()) + 1, -np.inf)
    np.maximum.at(latest, group, np.where(np.isnan(times), -np.inf, times))
    moment = latest[group]
    known = np.sort(moment[np.isfinite(moment)])
    if not known.size:
        return np.zeros(times.size, dtype=bool)
    cut = known[min(int(np.ceil(known.size * (1.0 - share))), known.size - 1)]
    # Equal times stay together, on the side that leaves the share nearer to what was asked for.
    with_ties, without = float(np.mean(known >= cut)), float(np.mean(known > cut))
    return moment > cut if abs(without - share) < abs(with_ties - share) else moment >= cut


def _part(dataset: Dataset, table: pa.Table, rows: Bools, role: SplitRole) -> Dataset:
    return from_table(
        table.filter(pa.array(rows)),
        name=f"{dataset.name} ({role.value})",
        origin=dataset.origin,
        schema=dataset.schema,
        lineage=replace(dataset.lineage, parents=(dataset.fingerprint,)),
        split=role,
    )
