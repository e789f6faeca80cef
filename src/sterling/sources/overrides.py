"""schema.toml: what the user knows better than inference, checked at the edge.

```toml
[columns.zip]
kind = "category"

[columns.income]
unit = "USD"
low = 0
missing = ["?", "unknown"]
```
"""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, cast

from sterling.kernel.errors import InputError, UnknownName, UnreadableInput
from sterling.kernel.schema import Kind, Role
from sterling.modalities.tabular import Override

KINDS = (Kind.NUMBER, Kind.CATEGORY, Kind.DATETIME, Kind.TEXT)
KEYS = ("kind", "role", "unit", "levels", "low", "high", "nullable", "missing")
E = TypeVar("E", bound=StrEnum)


def read_overrides(path: Path) -> dict[str, Override]:
    """The declarations of a schema file, by column.

    Args:
        path: TOML with one table `[columns.NAME]` per column; keys kind, role, unit, levels, low, high,
            nullable, and missing (texts that stand for a missing value).

    Raises:
        UnreadableInput: no such file, or no TOML.
        UnknownName: for a key, kind or role that there is not, with the nearest one.
        InputError: for a value of the wrong type.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise UnreadableInput(f"there is no schema file {path}", mend="check the path given with --schema") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise UnreadableInput(f"{path} is no TOML: {err}", mend='write [columns.NAME] and kind = "category"') from err
    return parse_overrides(document, where=str(path))


def parse_overrides(document: dict[str, Any], *, where: str) -> dict[str, Override]:
    """As `read_overrides`, of a document that is parsed already."""
    for key in document:
        if key != "columns":
            raise UnknownName.among(key, ["columns"], what=f"table in {where}")
    columns = document.get("columns", {})
    if not isinstance(columns, dict):
        raise InputError(f"{where}: columns is no table", mend="write [columns.NAME] for each column")
    tables = cast("dict[str, Any]", columns)
    return {name: _override(spec, where=f"{where}, column {name}") for name, spec in tables.items()}


def _override(spec: Any, *, where: str) -> Override:
    if not isinstance(spec, dict):
        raise InputError(f"{where}: {spec!r} is no table", mend='write [columns.NAME] and below it kind = "category"')
    told = cast("dict[str, Any]", spec)
    for key in told:
        if key not in KEYS:
            raise UnknownName.among(key, KEYS, what=f"key in {where}")
    low, high = _number(told, "low", where), _number(told, "high", where)
    if low is not None and high is not None and low > high:
        raise InputError(f"{where}: low {low:g} is above high {high:g}", mend="swap them")
    levels, missing = _texts(told, "levels", where), _texts(told, "missing", where)
    return Override(
        kind=_member(told.get("kind"), KINDS, what=f"kind in {where}"),
        role=_member(told.get("role"), tuple(Role), what=f"role in {where}"),
        unit=_typed(told, "unit", str, "a text", where),
        levels=levels,
        low=low,
        high=high,
        nullable=_typed(told, "nullable", bool, "true or false", where),
        missing=missing or (),
    )


def _member(value: Any, known: Iterable[E], *, what: str) -> E | None:
    members = {m.value: m for m in known}
    if value is None:
        return None
    if value not in members:
        raise UnknownName.among(str(value), members, what=what)
    return members[value]


def _typed(told: dict[str, Any], key: str, kind: type[Any], wanted: str, where: str) -> Any:
    value = told.get(key)
    if value is not None and not isinstance(value, kind):
        raise InputError(f"{where}: {key} = {value!r} is not {wanted}", mend=f"give {wanted}")
    return value


def _texts(told: dict[str, Any], key: str, where: str) -> tuple[str, ...] | None:
    values = _typed(told, key, list, 'a list such as ["a", "b"]', where)
    if values is None:
        return None
    # Levels 1, 2, 3 are spelled as text in every set: true is "true", 3 is "3".
    return tuple(str(v).lower() if isinstance(v, bool) else str(v) for v in values)


def _number(told: dict[str, Any], key: str, where: str) -> float | None:
    """A number, or a TOML date as seconds since 1970, UTC."""
    value = told.get(key)
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC)
    if isinstance(value, datetime.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=datetime.UTC)).timestamp()
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{where}: {key} = {value!r} is no number or date", mend=f"write {key} = 0")
    return float(value)
