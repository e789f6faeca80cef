"""A table that a result carries beside its findings: rankings, ledgers, lists of examples."""

from __future__ import annotations

from dataclasses import dataclass

from sterling.kernel.finding import Json, finite_json


@dataclass(frozen=True, slots=True)
class Table:
    """Rows for people to read, in the order they are to be read.

    Args:
        title: plain words, such as "What each setting is worth".
        columns: the names over the columns.
        rows: one value per column each; numbers stay numbers, and are formatted where they are shown.
        note: what a reader must know of it, one or two sentences.
        owner_only: whether it holds real records or counts that no recipient may see.

    >>> Table("Sets", ("set", "rows"), (("A", 3),)).as_json()["rows"]
    [['A', 3]]
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Json, ...], ...]
    note: str = ""
    owner_only: bool = False

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"table {self.title!r}: every row needs {len(self.columns)} values")

    def as_json(self) -> dict[str, Json]:
        """The table as the envelope has it; infinities become null, as everywhere in it."""
        return {
            "title": self.title,
            "columns": list(self.columns),
            "rows": [[finite_json(value) for value in row] for row in self.rows],
            "note": self.note,
            "owner_only": self.owner_only,
        }
