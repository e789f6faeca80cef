"""Records that are there twice: within the set, or in the reference, exactly or but for one column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import UnrelatedInput
from sterling.kernel.protocols import Marks
from sterling.kernel.schema import Field, Role
from sterling.modalities.tabular import canonical, column_hashes, infer_schema, mix, normalise
from sterling.modalities.tabular.infer import PROVENANCE
from sterling.modalities.tabular.marks import Fault, marks_of

if TYPE_CHECKING:
    from sterling.kernel.dataset import Batch
    from sterling.kernel.view import Bools, Floats, Hashes, Ints

# "But for one column" says something only where at least two others agree.
FEWEST_COLUMNS = 3


@dataclass(frozen=True, slots=True, eq=False)
class RecordIndex:
    """The records of a set as hashes.

    Args:
        n: how many.
        whole: [u] sorted hashes of the distinct records.
        counts: [u] how often each occurs.
        without: per column the sorted hashes of the distinct records, that column left out.
        near: per column the share of records that equal another one but for that column.
        alike: per column the chance that two records agree in it.
    """

    n: int
    whole: Hashes
    counts: Ints
    without: tuple[Hashes, ...]
    near: Floats
    alike: Floats


@dataclass(frozen=True, slots=True, eq=False)
class FittedDuplicates:
    """A reference, ready to be asked.

    Args:
        name: how reasons call it; None where there is none.
        fields: the columns that count.
        parts: [d, n] what each column adds to the records' hashes.
        index: of all these columns.
    """

    name: str | None
    fields: tuple[Field, ...]
    parts: Hashes
    index: RecordIndex


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Drops copies, and flags what may be chance.

    Identifiers do not count: a copy under a new number is a copy. A record that repeats an earlier one of
    its batch, or equals one of the reference, is dropped if such records are more frequent than the
    reference explains: how often its own records repeat (rarefied to the batch's size), and how often a
    fresh record would meet one of its own (Good-Turing). Else it is flagged, with that context. Records
    that equal another but for one column are flagged where they are more frequent than within the
    reference. Without a reference, chance is what independent columns would give.

    Args:
        alpha: chance of a false alarm per question asked; there are about two per column.

    Source: Good 1953, "The population frequencies of species", Biometrika 40; Hurlbert 1971 (rarefaction).
    """

    alpha: float = 1e-4

    def fit(self, reference: Dataset | None, *, rng: np.random.Generator) -> FittedDuplicates:
        """Index a reference: the real rows, the benchmark, or any other set."""
        if reference is None:
            return FittedDuplicates(None, (), np.zeros((0, 0), dtype=np.uint64), _index(np.zeros((0, 0), np.uint64)))
        fields = tuple(f for f in reference.schema if _counts(f))
        parts = _parts(reference.table(tuple(f.name for f in fields)), fields)
        return FittedDuplicates(reference.name, fields, parts, _index(parts))

    def apply(self, fitted: FittedDuplicates, batch: Batch) -> Marks:
        """Mark every record of a batch.

        Raises:
            UnrelatedInput: if the batch has none of the reference's columns.
        """
        fields, reference = _shared(fitted, batch)
        parts = _parts(batch, fields)
        own = _index(parts)
        rows = mix(parts.sum(axis=0, dtype=np.uint64))
        repeats = _repeats(rows)
        faults = [self._repeated(own, repeats, fitted.name, reference)]
        known = np.zeros(rows.size, dtype=bool)
        if fitted.name is not None:
            place, known = _find(reference.whole, rows)
            often = known & (reference.counts[place] > 1) if known.any() else known
            faults += self._copied(fitted.name, reference, once=known & ~often, often=often)
        if len(fields) >= FEWEST_COLUMNS:
            faults += self._near(parts, fields, fitted.name, reference, own, exact=known | repeats)
        return marks_of(rows.size, faults)

    def _repeated(self, own: RecordIndex, repeats: Bools, name: str | None, reference: RecordIndex) -> Fault:
        m = repeats.size
        if name is None:
            chance = min(1.0, (m - 1) / 2 * float(np.prod(own.alike)))
            excess = _above(int(repeats.sum()), m, chance, alpha=self.alpha)
            return Fault(repeats, "drop" if excess else "flag", "repeats an earlier record")
        share = _expected_repeats(reference, m)
        excess = _more(int(repeats.sum()), m, share, reference.n, alpha=self.alpha)
        why = f"; {share:.2%} of so many records of {name} do" if share else ""
        return Fault(repeats, "drop" if excess else "flag", f"repeats an earlier record{why}")

    def _copied(self, name: str, reference: RecordIndex, *, once: Bools, often: Bools) -> Iterator[Fault]:
        """Copies of records that the reference has once, and of those it has several times."""
        singles, pairs = (int(np.sum(reference.counts == c)) for c in (1, 2))
        # Good-Turing: what occurs r times among n records is met again with chance (r + 1) N(r + 1) / (N(r) n).
        n = max(reference.n, 1)
        expected = (2 * pairs / n, (reference.n - singles - 2 * pairs) / n)
        for rows, share, what in zip((once, often), expected, ("a record", "a frequent record"), strict=True):
            excess = _more(int(rows.sum()), rows.size, share, reference.n, alpha=self.alpha)
            chance = f"; {share:.2%} of fresh real records would be" if share else ""
            yield Fault(rows, "drop" if excess else "flag", f"copy of {what} of {name}{chance}")

    def _near(
        self,
        parts: Hashes,
        fields: Sequence[Field],
        name: str | None,
        reference: RecordIndex,
        own: RecordIndex,
        *,
        exact: Bools,
    ) -> Iterator[Fault]:
        m = exact.size
        total = parts.sum(axis=0, dtype=np.uint64)
        for j, field in enumerate(fields):
            rest = mix(total - parts[j])
            later = _repeats(rest) & ~exact
            if name is None:
                chance = min(1.0, (m - 1) / 2 * float(np.prod(np.delete(own.alike, j))))
                if _above(int(later.sum()), m, chance, alpha=self.alpha):
                    yield Fault(later, "flag", f"equals an earlier record but for {field.name!r}")
                continue
            twins = _find(reference.without[j], rest)[1] & ~exact
            if _more(int(twins.sum()), m, reference.near[j], reference.n, alpha=self.alpha):
                yield Fault(twins, "flag", f"equals a record of {name} but for {field.name!r}")
            within = min(1.0, reference.near[j] * max(1.0, m / max(reference.n, 1)))
            if _more(int(later.sum()), m, within, reference.n, alpha=self.alpha):
                yield Fault(later, "flag", f"equals an earlier record but for {field.name!r}")


def _counts(field: Field) -> bool:
    """Identifiers and Sterling's own notes say which record it is, not what it is."""
    return field.role not in (Role.KEY, Role.ENTITY) and not field.name.startswith(PROVENANCE)


def _shared(fitted: FittedDuplicates, batch: Batch) -> tuple[tuple[Field, ...], RecordIndex]:
    """The columns to compare, and the reference's index of just these."""
    if fitted.name is None:
        return tuple(f for f in infer_schema(batch) if _counts(f)), fitted.index
    have = [f.name in batch.column_names for f in fitted.fields]
    if not any(have):
        raise UnrelatedInput(
            f"the records share no column with {fitted.name}: they have {', '.join(batch.column_names[:12])}",
            mend="name the right reference, or rename the columns",
        )
    if all(have):
        return fitted.fields, fitted.index
    fields = tuple(f for f, there in zip(fitted.fields, have, strict=True) if there)
    return fields, _index(fitted.parts[have])


def _parts(table: pa.Table, fields: Sequence[Field]) -> Hashes:
    """[d, n] hashes of the cells, read as the reference's kinds."""
    plain = normalise(table.select([f.name for f in fields])).table
    parts = np.zeros((len(fields), table.num_rows), dtype=np.uint64)
    for j, field in enumerate(fields):
        cells = canonical(plain.column(field.name), field)
        parts[j] = column_hashes(pa.chunked_array([cells]), field.name)
    return parts


def _index(parts: Hashes) -> RecordIndex:
    d, n = parts.shape
    total = parts.sum(axis=0, dtype=np.uint64)
    whole, first, counts = np.unique(mix(total), return_index=True, return_counts=True)
    without: list[Hashes] = []
    near, alike = np.zeros(d), np.ones(d)
    for j in range(d):
        rest, twin, sharing = np.unique(mix(total - parts[j])[first], return_inverse=True, return_counts=True)
        without.append(rest)
        near[j] = float(counts[sharing[twin] > 1].sum()) / max(n, 1)
        levels = np.unique(parts[j], return_counts=True)[1]
        alike[j] = float(np.sum((levels / max(n, 1)) ** 2))
    return RecordIndex(n, whole, counts, tuple(without), near, alike)


def _repeats(rows: Hashes) -> Bools:
    """[n] True for all but the first of equal hashes."""
    repeats = np.ones(rows.size, dtype=bool)
    repeats[np.unique(rows, return_index=True)[1]] = False
    return repeats


def _find(known: Hashes, rows: Hashes) -> tuple[Ints, Bools]:
    """[n] place of each hash among sorted ones, and whether it is there."""
    if not known.size:
        return np.zeros(rows.size, dtype=np.int64), np.zeros(rows.size, dtype=bool)
    place = np.minimum(np.searchsorted(known, rows), known.size - 1)
    return place, known[place] == rows


def _expected_repeats(reference: RecordIndex, m: int) -> float:
    """The share of m of the reference's records that would repeat an earlier one; beyond n it grows with m."""
    from scipy.special import gammaln

    n, c = reference.n, reference.counts
    size = min(m, n)
    # Chance that none of the c copies is among `size` of n records: C(n - c, size) / C(n, size).
    room = np.maximum(n - c - size, -1)
    absent = np.where(
        room < 0,
        0.0,
        np.exp(gammaln(n - c + 1) - gammaln(np.maximum(room, 0) + 1) - gammaln(n + 1) + gammaln(n - size + 1)),
    )
    share = 1.0 - float(np.sum(1.0 - absent)) / max(size, 1)
    # Below one record in total it is rounding.
    return min(1.0, share * m / size) if size and share * size > 1e-6 else 0.0


def _more(k: int, m: int, share: float, n: int, *, alpha: float) -> bool:
    """Whether k of m is certainly more than the share seen among n: Fisher's exact test, one-sided."""
    from scipy.stats import hypergeom

    return k > 0 and n > 0 and float(hypergeom.sf(k - 1, m + n, k + round(share * n), m)) < alpha


def _above(k: int, m: int, share: float, *, alpha: float) -> bool:
    """Whether k of m is certainly more than a known share."""
    from scipy.stats import binom

    return k > 0 and float(binom.sf(k - 1, m, share)) < alpha
