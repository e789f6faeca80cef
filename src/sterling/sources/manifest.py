"""What a set promises: its manifest, written last, checked first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sterling.kernel.dataset import Lineage, Origin
from sterling.kernel.errors import BrokenStore, InputError, UnreadableInput
from sterling.kernel.finding import Json
from sterling.kernel.schema import Field, Kind, Role, Schema
from sterling.sources.shard import Shard, broken

NAME = "manifest.json"
FORMAT = "sterling-set"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that is known of a set but its rows.

    Args:
        name: how reports call it.
        schema: the fields, without lineage columns.
        origin: real, synthetic, augmented or mixed.
        lineage: how it came to be.
        rows: how many records.
        fingerprint: the same that the rows have in memory.
        shards: the files that hold the rows, in order.
        extra: what the maker of the set wants to be kept with it.
    """

    name: str
    schema: Schema
    origin: Origin
    lineage: Lineage
    rows: int
    fingerprint: str
    shards: tuple[Shard, ...]
    extra: Mapping[str, Json]


def manifest_text(manifest: Manifest) -> str:
    """The manifest as JSON, sealed by a hash of itself."""
    body: dict[str, Json] = {
        "format": FORMAT,
        "version": VERSION,
        "name": manifest.name,
        "origin": manifest.origin.value,
        "rows": manifest.rows,
        "fingerprint": manifest.fingerprint,
        "lineage": _plain(asdict(manifest.lineage)),
        "schema": schema_to_json(manifest.schema),
        "shards": [_plain(asdict(shard)) for shard in manifest.shards],
        "extra": dict(manifest.extra),
    }
    body["seal"] = _seal(body)
    return json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a set.

    Raises:
        UnreadableInput: if there is no such folder.
        BrokenStore: if the folder holds no finished set, or the manifest was changed.
        InputError: if it is some other manifest, or that of a newer Sterling.
    """
    path = folder / NAME
    if not folder.is_dir():
        raise UnreadableInput(f"there is no folder {folder}", mend="name a folder that Sterling wrote")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise BrokenStore(
            f"{folder} holds no finished set: it has no {NAME}", mend="run the command that was to write it again"
        ) from err
    except (OSError, ValueError, RecursionError) as err:
        raise broken(path, f"cannot be read ({err})") from err
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InputError(f"{path} is not the manifest of a set", mend="name a folder that generate or blend wrote")
    if data.get("version") != VERSION:
        raise InputError(
            f"{path} has the format version {data.get('version')}, this Sterling reads {VERSION}",
            mend="pip install -U sterling",
        )
    if data.get("seal") != _seal({k: v for k, v in data.items() if k != "seal"}):
        raise broken(path, "has changed since it was written")
    return _parse(data)


def _seal(body: Mapping[str, Json]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _plain(record: Mapping[str, Any]) -> dict[str, Json]:
    """Tuples as lists, as JSON reads them back."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in record.items()}


def _parse(data: Mapping[str, Any]) -> Manifest:
    """The seal has vouched for the shape: only Sterling wrote this."""
    lineage: dict[str, Any] = {**data["lineage"], "parents": tuple(data["lineage"]["parents"])}
    return Manifest(
        name=data["name"],
        schema=schema_from_json(data["schema"]),
        origin=Origin(data["origin"]),
        lineage=Lineage(**lineage),
        rows=data["rows"],
        fingerprint=data["fingerprint"],
        shards=tuple(Shard(**shard) for shard in data["shards"]),
        extra=data["extra"],
    )


def schema_to_json(schema: Schema) -> dict[str, Json]:
    """The schema with every property of every field.

    >>> schema_from_json(schema_to_json(Schema((Field("x", Kind.NUMBER),)))) == Schema((Field("x", Kind.NUMBER),))
    True
    """
    return {"modality": schema.modality, "fields": [_plain(asdict(field)) for field in schema]}


def schema_from_json(data: Mapping[str, Any]) -> Schema:
    """The schema that `schema_to_json` wrote."""
    return Schema(tuple(_field(record) for record in data["fields"]), data["modality"])


def _field(record: Mapping[str, Any]) -> Field:
    levels = record["levels"]
    changed: dict[str, Any] = {
        "kind": Kind(record["kind"]),
        "role": Role(record["role"]),
        "levels": None if levels is None else tuple(levels),
        "declared": tuple(record.get("declared", ())),
    }
    return Field(**{**record, **changed})
