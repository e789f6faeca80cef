"""What was read, as a result records it."""

from __future__ import annotations

from dataclasses import dataclass

from sterling.kernel.finding import Json


@dataclass(frozen=True, slots=True)
class InputRecord:
    """One set that went in.

    Args:
        name: how reports call it.
        rows: how many records.
        fingerprint: hex SHA-256 of schema and rows.
        origin: real, synthetic, augmented or mixed.
        notes: what ingestion repaired or left out.
        generator: what made it, with settings, as its lineage says; None for real data and foreign files.
    """

    name: str
    rows: int
    fingerprint: str
    origin: str = "real"
    notes: tuple[str, ...] = ()
    generator: str | None = None

    def as_json(self) -> dict[str, Json]:
        """The record as the envelope has it."""
        return {
            "name": self.name,
            "rows": self.rows,
            "fingerprint": self.fingerprint,
            "origin": self.origin,
            "notes": list(self.notes),
            **({} if self.generator is None else {"generator": self.generator}),
        }
