"""Croissant 1.1: the set described for machines that load data.

Source: MLCommons, Croissant Format Specification 1.1 (2025).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import pyarrow as pa

from sterling.kernel.finding import Json
from sterling.ship.shipment import URN, Shipment
from sterling.sources.shard import DATA

VERSION = "http://mlcommons.org/croissant/1.1"
TERMS = (
    "annotation arrayShape citeAs column containedIn equivalentProperty excludes extract field fileProperty "
    "fileObject fileSet format includes isArray isLiveDataset jsonPath key md5 parentField recordSet references "
    "regex readLines sdVersion separator source subField transform unArchive value "
    "path repeated replace samplingRate"
)
# The specification's own context (appendix 1), what its reference reader knows besides, and PROV-O.
CONTEXT: dict[str, Json] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in TERMS.split()},
}
MEDIA = {".json": "application/json", ".html": "text/html", ".md": "text/markdown"}
ROWS = "rows"
FILES = "parquet-files"


def croissant(shipment: Shipment, papers: Mapping[str, str]) -> dict[str, Json]:
    """The description of a shipped set.

    Args:
        shipment: the set and what is known of it.
        papers: SHA-256 of the files beside the data, by name.
    """
    data = shipment.dataset
    undeclared = "not declared"
    described: dict[str, Json] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": shipment.title,
        "description": shipment.description,
        # No address is known before the set is published: its content is its name.
        "url": f"{URN}{data.fingerprint}",
        "license": shipment.licence_url or {"@type": "sc:CreativeWork", "name": undeclared},
        "creator": {"@type": "sc:Organization", "name": shipment.creator or undeclared},
        "version": "1.0.0",
        "citeAs": f"{shipment.title}, fingerprint {data.fingerprint}, made with {shipment.software}",
        "isLiveDataset": False,
        "keywords": ["synthetic data", data.origin.value, data.schema.modality],
        "prov:wasDerivedFrom": [{"@id": f"{URN}{parent}"} for parent in shipment.parents],
        "prov:wasGeneratedBy": {"@type": "prov:Activity", "prov:label": data.lineage.generator or data.name},
        "distribution": [*_files(shipment, papers), _file_set()],
        "recordSet": [_record_set(shipment)],
    }
    return described if shipment.created is None else {**described, "datePublished": shipment.created}


def _files(shipment: Shipment, papers: Mapping[str, str]) -> list[Json]:
    # Equal shards are one file; an identifier stands once.
    shards = {shard.sha256: shard for shard in shipment.shards}.values()
    data: list[Json] = [
        {**_file(f"{DATA}/{s.sha256}.parquet", s.sha256, "application/x-parquet"), "contentSize": f"{s.bytes} B"}
        for s in shards
    ]
    return data + [_file(name, sha256, MEDIA[f".{name.rsplit('.', 1)[-1]}"]) for name, sha256 in sorted(papers.items())]


def _file(path: str, sha256: str, media: str) -> dict[str, Json]:
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path.rsplit("/", 1)[-1],
        "contentUrl": path,
        "encodingFormat": media,
        "sha256": sha256,
    }


def _file_set() -> dict[str, Json]:
    return {
        "@type": "cr:FileSet",
        "@id": FILES,
        "name": "the rows, in Parquet files named by their SHA-256",
        "encodingFormat": "application/x-parquet",
        "includes": f"{DATA}/*.parquet",
    }


def _record_set(shipment: Shipment) -> dict[str, Json]:
    target = shipment.dataset.schema.target
    return {
        "@type": "cr:RecordSet",
        "@id": ROWS,
        "name": ROWS,
        "description": "One record per row; columns that begin with _sterling_ tell where the row comes from.",
        "field": [_field(f, label=target is not None and f.name == target.name) for f in shipment.types],
    }


def _field(field: pa.Field, *, label: bool) -> dict[str, Json]:
    kind = _data_type(field.type)
    return {
        "@type": "cr:Field",
        "@id": f"{ROWS}/{quote(field.name, safe='', errors='backslashreplace')}",
        "name": field.name,
        "dataType": [kind, "cr:Label"] if label else kind,
        "source": {"fileSet": {"@id": FILES}, "extract": {"column": field.name}},
    }


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "sc:Float"
    if pa.types.is_timestamp(kind):
        return "sc:DateTime"
    return "sc:Date" if pa.types.is_date(kind) else "sc:Text"
