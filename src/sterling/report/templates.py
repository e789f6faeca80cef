"""How the pages' templates are read: escaped throughout, and strict about what they are given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sterling.report.figures import minus

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent


def templates() -> Environment:
    """The environment of this room's templates: column names and sentences are strangers' text, and are escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    room = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    room.filters["minus"] = minus
    return room
