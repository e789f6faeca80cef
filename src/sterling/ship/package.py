"""Ship a set: rows, papers and evidence in one folder that appears whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sterling.kernel.audience import bare_generator
from sterling.kernel.dataset import Dataset
from sterling.kernel.errors import InputError
from sterling.ship.card import card
from sterling.ship.croissant import croissant
from sterling.ship.prov import prov
from sterling.ship.recipient import Audience, Purpose, for_private, recipients_json, refuse_real_rows, without_ranges
from sterling.ship.shipment import Shipment
from sterling.sources.atomic import sha256_of, sync, write_text, writing_to
from sterling.sources.manifest import NAME as MANIFEST
from sterling.sources.manifest import read_manifest
from sterling.sources.provenance import ORIGIN, PARENT, RUN, record_schema
from sterling.sources.store import with_lineage_columns, write_set


def ship_set(
    dataset: Dataset,
    out: Path,
    *,
    title: str,
    result_json: Mapping[str, Any],
    report_html: str | None,
    licence: str | None,
    audience: Audience,
    purpose: Purpose | None = None,
    created: str | None = None,
    creator: str | None = None,
) -> Path:
    """Write a set with its card, Croissant, provenance, result and report.

    Args:
        dataset: the rows; those without lineage columns get the set's own origin.
        out: a new or empty folder.
        title: what the set is called.
        result_json: the envelope of the run that judged it; for a recipient, the recipient's form.
        report_html: the report; for a recipient, the recipient's form. None ships no report.
        licence: SPDX name or URL; None says that none was declared.
        audience: a recipient gets no evidence and no ranges of columns, and under a privacy policy no real row.
        purpose: of the policy; None judges by the policy's name in the result.
        created: ISO date of publication.
        creator: person or organisation that answers for the set.

    Returns:
        `out`.

    Raises:
        InputError: if real rows would reach a recipient under a privacy policy, if `out` holds something else,
            or cannot be written.
    """
    origins = _origins(dataset)
    result = dict(result_json)
    secret = False
    if audience == "recipient":
        policy = str(result.get("policy") or "")
        refuse_real_rows(origins, policy=policy, purpose=purpose)
        result, secret = recipients_json(result), for_private(policy, purpose)
    out = out.absolute()
    staging = out.with_name(f".{out.name}.shipping")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        kept, types = _write_rows(_unnamed(dataset) if secret else dataset, staging, audience, secret=secret)
        shipment = Shipment(
            dataset=kept,
            types=types,
            shards=read_manifest(staging).shards,
            origins=origins,
            title=title,
            result=result,
            licence=licence,
            audience=audience,
            created=created,
            creator=creator,
            report=report_html is not None,
        )
        _write_papers(shipment, staging, report_html)
        _appear(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return out


def _origins(dataset: Dataset) -> dict[str, int]:
    """How many rows there are of each origin, most first; rows that do not say have the set's."""
    counts: Counter[str] = Counter()
    for batch in dataset.batches():
        if ORIGIN in batch.column_names:
            found = pc.value_counts(batch[ORIGIN].combine_chunks().fill_null(dataset.origin.value))
            counts.update({item["values"].as_py(): item["counts"].as_py() for item in found})
        else:
            counts[dataset.origin.value] += batch.num_rows
    return dict(counts.most_common())


def _write_rows(dataset: Dataset, folder: Path, audience: Audience, *, secret: bool) -> tuple[Dataset, pa.Schema]:
    schema = record_schema(dataset.schema)
    kept = write_set(
        (_without_parents(batch) for batch in _marked(dataset)) if secret else _marked(dataset),
        folder,
        schema=without_ranges(schema) if audience == "recipient" else schema,
        origin=dataset.origin,
        lineage=dataset.lineage,
        name=dataset.name,
    )
    return kept, next(kept.batches()).schema


def _unnamed(dataset: Dataset) -> Dataset:
    """The set without the settings of its generator, which may name columns, and without its parents: real sets."""
    lineage = dataset.lineage
    made = None if lineage.generator is None else bare_generator(lineage.generator)
    return replace(dataset, lineage=replace(lineage, generator=made, parents=()))


def _without_parents(batch: pa.Table) -> pa.Table:
    """The rows, each without the fingerprint it came from and the settings of what made it."""
    for name, told in ((PARENT, lambda _: None), (RUN, bare_generator)):
        place = batch.schema.get_field_index(name)
        if place >= 0:
            column = pc.dictionary_encode(batch[name].combine_chunks())
            words = pa.array([None if v is None else told(v) for v in column.dictionary.to_pylist()], pa.string())
            batch = batch.set_column(place, name, words.take(column.indices))
    return batch


def _marked(dataset: Dataset) -> Iterator[pa.Table]:
    """Every row with its origin."""
    lineage = dataset.lineage
    for batch in dataset.batches():
        if ORIGIN in batch.column_names:
            yield batch
        else:
            yield with_lineage_columns(
                batch,
                origin=dataset.origin,
                parent=lineage.parents[0] if lineage.parents else None,
                depth=lineage.depth,
                run=lineage.generator or dataset.name,
            )


def _write_papers(shipment: Shipment, folder: Path, report_html: str | None) -> None:
    """Croissant last: it names all the others by their hash."""
    write_text(folder / "result.json", _json(shipment.result))
    write_text(folder / "prov.json", _json(prov(shipment)))
    write_text(folder / "README.md", card(shipment))
    if report_html is not None:
        write_text(folder / "report.html", report_html)
    papers = {p.name: sha256_of(p) for p in folder.iterdir() if p.is_file()}
    write_text(folder / "croissant.json", _json(croissant(shipment, papers)))


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _appear(staging: Path, out: Path) -> None:
    """Give the finished folder its name, unless something else has it."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if _contents(out) == _contents(staging):
            return
        what = "another shipped set" if (out / MANIFEST).exists() else "something else"
        raise InputError(f"{out} already holds {what}", mend="name another folder, or remove this one first")
    with writing_to(out):
        with suppress(FileNotFoundError):
            out.rmdir()
        staging.replace(out)
        sync(out.parent)


def _contents(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    return {str(p.relative_to(folder)): sha256_of(p) for p in folder.rglob("*") if p.is_file()}
