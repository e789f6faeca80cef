"""A neural network that draws column after column: TabularARGN, through its own library."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError
from sterling.kernel.extras import need
from sterling.kernel.schema import Kind
from sterling.modalities.tabular.anatomy import BATCH_ROWS, Anatomy, take_apart
from sterling.modalities.tabular.canonical import flat, texts
from sterling.modalities.tabular.given import checked_given
from sterling.modalities.tabular.identifiers import identifiers, running_numbers
from sterling.modalities.tabular.outcomes import cells_of
from sterling.modalities.tabular.storage import normalise, to_storage

if TYPE_CHECKING:
    from sterling.kernel.dataset import Batch

LEAST_ROWS = 20
TRAINING_ONLY = ("optimizer", "lr-scheduler")
SEED_VARIABLE = "MOSTLYAI_ENGINE_SEED"


@dataclass(frozen=True, slots=True, eq=False)
class FittedNetwork:
    """A trained network, as its library wrote it to disk.

    Args:
        anatomy: of the training table.
        names: the columns that the network draws.
        missing: of every modelled column, the share of missing cells.
        archive: its folder as an uncompressed tar file.
    """

    anatomy: Anatomy
    names: tuple[str, ...]
    missing: tuple[float, ...]
    archive: bytes


@dataclass(frozen=True, slots=True)
class TabularArgn:
    """MOSTLY AI's autoregressive network for tables; needs the extra `neural`, and uses a GPU where there is one.

    On one core it takes about a hundred times the work of `cart`; judge whether that pays with `compare` and
    `worth`. Rare categories come out as "_RARE_" where `protect` is on. Identifiers are made anew, free text
    comes from a chain of words, as with Sterling's own generators. Any columns may be given.

    Args:
        epochs: passes over the rows at most, >= 1; training stops by itself before.
        minutes: of training at most, > 0.
        protect: whether its library hides rare categories and extreme numbers.
        temperature: above 0; below 1 rows become typical and rare ones are lost, which `collapse` warns of.

    Raises:
        InputError: for a setting out of its range.

    Source: Tiwald et al. 2025, "TabularARGN", arXiv:2501.12012; package mostlyai-engine (Apache-2.0).
    """

    epochs: int = 100
    minutes: float = 60.0
    protect: bool = True
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.epochs < 1 or not self.minutes > 0 or not self.temperature > 0:
            raise InputError(
                f"epochs={self.epochs}, minutes={self.minutes}, temperature={self.temperature}",
                mend="give epochs of at least 1, minutes and temperature above 0",
            )

    def fit(self, data: Dataset, *, rng: np.random.Generator) -> FittedNetwork:
        """Train the network.

        Raises:
            MissingExtra: if its library is not installed.
            InputError: for fewer than 20 rows, or nothing but identifiers and texts.
        """
        engine = need("mostlyai.engine", extra="neural")
        anatomy, ids = take_apart(data)
        names = tuple(o.field.name for o in anatomy.outcomes if o.field.kind is not Kind.TEXT)
        if data.rows < LEAST_ROWS or not names:
            raise InputError(
                f"{data.name} has {data.rows} rows and {len(names)} columns for a network to learn",
                mend=f"give at least {LEAST_ROWS} rows, or use `cart`",
            )
        frame = _frame(normalise(data.table(names)).table, anatomy)
        with _apart(int(rng.integers(2**31))) as folder:
            model = engine.TabularARGN(
                workspace_dir=folder,
                max_epochs=self.epochs,
                max_training_time=self.minutes,
                value_protection=self.protect,
                tgt_encoding_types=_encodings(anatomy, names),
                verbose=0,
            )
            model.fit(frame)
            missing = tuple(float(share) for share in np.mean(ids < 0, axis=1))
            return FittedNetwork(anatomy, names, missing, _packed(folder))

    def sample(
        self, fitted: FittedNetwork, n: int, *, rng: np.random.Generator, given: Batch | None = None
    ) -> Iterator[Batch]:
        """Draw n rows.

        Raises:
            MissingExtra: if its library is not installed.
            UnknownName: for a given column that is not there.
            InputError: for n < 1, or given columns of another length.
        """
        if n < 1:
            raise InputError(f"cannot make {n} rows", mend="ask for at least one: -n 1000")
        fixed = checked_given(fitted.anatomy.schema, n, given)
        need("mostlyai.engine", extra="neural")
        return self._rows(fitted, n, fixed, rng)

    def _rows(self, fitted: FittedNetwork, n: int, fixed: Batch, rng: np.random.Generator) -> Iterator[Batch]:
        anatomy = fitted.anatomy
        held = {name: flat(fixed.column(name)) for name in fixed.column_names}
        salt = int(rng.integers(2**63))
        cells: dict[str, Any] = self._drawn(fitted, n, held, seed=int(rng.integers(2**31)))
        for outcome, missing in zip(anatomy.outcomes, fitted.missing, strict=True):
            if outcome.field.name not in cells:  # free text
                ids = np.where(rng.random(n) < missing, -1, 0).astype(np.int32)
                cells[outcome.field.name] = cells_of(outcome, ids, smoothing=0.0, rng=rng)
        for maker in anatomy.identifiers:
            cells[maker.field.name] = identifiers(maker, running_numbers(maker, n, rng=rng), salt=salt)
        cells |= held
        table = to_storage(pa.table({name: cells[name] for name in anatomy.schema.names}), anatomy.schema)
        for start in range(0, n, BATCH_ROWS):
            yield table.slice(start, BATCH_ROWS)

    def _drawn(self, fitted: FittedNetwork, n: int, held: dict[str, pa.Array], *, seed: int) -> dict[str, Any]:
        engine, parquet = need("mostlyai.engine", extra="neural"), need("pyarrow.parquet", extra="neural")
        fixed = {name: held[name] for name in fitted.names if name in held}
        with _apart(seed) as folder:
            with tarfile.open(fileobj=io.BytesIO(fitted.archive)) as archive:
                archive.extractall(folder, filter="data")
            engine.generate(
                workspace_dir=folder,
                sample_size=None if fixed else n,
                seed_data=_frame(pa.table(fixed), fitted.anatomy) if fixed else None,
                sampling_temperature=self.temperature,
                rare_category_replacement_method="SAMPLE" if self.protect else "CONSTANT",
            )
            table = parquet.read_table(folder / "SyntheticData").slice(0, n)
        return {
            name: flat(table.column(short)) for name, short in _short(fitted.anatomy).items() if name in fitted.names
        }


def _short(anatomy: Anatomy) -> dict[str, str]:
    """What each column is called in the library, which stumbles over some names."""
    return {o.field.name: f"c{j}" for j, o in enumerate(anatomy.outcomes)}


def _frame(table: pa.Table, anatomy: Anatomy) -> Any:
    """The table as the library takes it: a pandas frame, categories as text."""
    kinds, short = {o.field.name: o.field.kind for o in anatomy.outcomes}, _short(anatomy)
    cells = {name: flat(table.column(name)) for name in table.column_names}
    plain = {short[n]: texts(array) if kinds[n] is Kind.CATEGORY else array for n, array in cells.items()}
    return pa.table(plain).to_pandas()


def _encodings(anatomy: Anatomy, names: tuple[str, ...]) -> dict[str, str]:
    """How each column is told to the network; numbers find their own way."""
    words = {Kind.CATEGORY: "TABULAR_CATEGORICAL", Kind.DATETIME: "TABULAR_DATETIME"}
    kinds, short = {o.field.name: o.field.kind for o in anatomy.outcomes}, _short(anatomy)
    return {short[name]: words.get(kinds[name], "TABULAR_NUMERIC_AUTO") for name in names}


def _packed(folder: Path) -> bytes:
    """What a network needs to draw: its folder without the training rows and the optimiser's state."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for part in sorted(p for p in folder.rglob("*") if p.is_file()):
            inside = part.relative_to(folder)
            if not {"tgt-data", "encoded-data", "SyntheticData"} & set(inside.parts) and part.stem not in TRAINING_ONLY:
                archive.add(part, inside)
    return sink.getvalue()


@contextmanager
def _apart(seed: int) -> Generator[Path]:
    """A folder to work in, with the library's global generators seeded; all of them are as before afterwards."""
    import random  # noqa: TID251  the library draws from it: its state is kept and put back

    torch = need("torch", extra="neural")
    engine = need("mostlyai.engine", extra="neural")
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state(), os.environ.get(SEED_VARIABLE)  # noqa: NPY002
    with tempfile.TemporaryDirectory(prefix="sterling-argn-") as name:
        try:
            engine.set_random_state(seed)
            yield Path(name)
        finally:
            random.setstate(kept[0])
            np.random.set_state(kept[1])  # noqa: NPY002
            torch.set_rng_state(kept[2])
            if kept[3] is None:
                os.environ.pop(SEED_VARIABLE, None)
