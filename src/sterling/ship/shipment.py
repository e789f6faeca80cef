"""All that the papers of a shipped set tell, gathered once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pyarrow as pa

from sterling.kernel.dataset import Dataset
from sterling.ship.recipient import Audience
from sterling.sources.shard import Shard

URN = "urn:sha256:"


@dataclass(frozen=True, slots=True)
class Shipment:
    """A set on its way out.

    Args:
        dataset: as it lies in the shipped folder.
        types: Arrow types of all its columns, lineage columns included.
        shards: its files.
        origins: how many rows there are of each origin.
        title: what it is called.
        result: the envelope of the run that judged it.
        licence: an SPDX name or a URL; None if the owner declared none.
        audience: whom it is for.
        created: ISO date; None leaves it out, so that shipping twice gives the same bytes.
        creator: person or organisation; None if not declared.
        report: whether `report.html` lies beside it.
    """

    dataset: Dataset
    types: pa.Schema
    shards: tuple[Shard, ...]
    origins: Mapping[str, int]
    title: str
    result: Mapping[str, Any]
    licence: str | None
    audience: Audience
    created: str | None
    creator: str | None
    report: bool

    @property
    def parents(self) -> tuple[str, ...]:
        """Fingerprints of the sets it was made from; a mix that adopted nothing is its own real set."""
        return tuple(parent for parent in self.dataset.lineage.parents if parent != self.dataset.fingerprint)

    @property
    def software(self) -> str:
        """Name and version of what made it."""
        return f"Sterling {version('sterling')}"

    @property
    def licence_url(self) -> str | None:
        """Where the licence can be read."""
        if self.licence is None or "://" in self.licence:
            return self.licence
        return f"https://spdx.org/licenses/{self.licence}"

    @property
    def description(self) -> str:
        """One sentence for catalogues."""
        parts = ", ".join(f"{count:,} {origin}" for origin, count in self.origins.items())
        verdict = self.result.get("verdict")
        judged = f" Verdict: {verdict}." if verdict else ""
        return f"{self.dataset.rows:,} rows ({parts}), every row with its origin.{judged}"
