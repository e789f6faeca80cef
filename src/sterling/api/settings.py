"""`--set key=value` and TOML settings become typed values of a settings class."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

from sterling.kernel import registry
from sterling.kernel.errors import InputError, UnknownName


def from_pairs(room: registry.Room, name: str, pairs: Sequence[str]) -> Any:
    """An instance of a settings class from "key=value" strings.

    Args:
        room: where the class lives.
        name: its public name.
        pairs: "key=value"; a value "@file" is the file's text, a comma list becomes a tuple where
            the setting is one.

    Raises:
        UnknownName: for the name, or for a setting it does not have.
        InputError: for a pair without "=", or a value that is not of the setting's type.
    """
    given: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--set {pair!r} has no '='", mend="write it as --set key=value")
        given[key.strip()] = _text(value)
    return from_mapping(room, name, given)


def from_mapping(room: registry.Room, name: str, given: Mapping[str, Any]) -> Any:
    """An instance of a settings class from a mapping; text is converted to the setting's type.

    Raises:
        UnknownName: for the name, or for a setting it does not have.
        InputError: for a value that is not of the setting's type.
    """
    cls = registry.resolve(room, name)
    hints = typing.get_type_hints(cls)
    known = [f.name for f in fields(cls)]
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in known:
            raise UnknownName.among(key, known, what=f"setting of {name}")
        values[key] = _convert(value, hints[key], where=f"{name}: {key}") if isinstance(value, str) else value
    return registry.build(room, name, values)


def _text(value: str) -> str:
    if not value.startswith("@"):
        return value
    path = Path(value[1:])
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise InputError(f"cannot read {path}: {err}", mend="write --set key=@FILE with a UTF-8 text file") from err


def _convert(text: str, hint: Any, *, where: str) -> Any:
    """`text` as the type a setting is annotated with."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if type(None) in options and text.strip().lower() in ("", "none"):
            return None
        return _convert(text, next(o for o in options if o is not type(None)), where=where)
    if origin is Literal:
        if text not in options:
            raise UnknownName.among(text, [str(o) for o in options], what=f"value for {where}")
        return text
    if origin is tuple:
        return tuple(_convert(part.strip(), options[0], where=where) for part in text.split(",") if part.strip())
    if hint is bool:
        if text.lower() not in ("true", "false"):
            raise InputError(f"{where} is true or false, not {text!r}", mend=f"--set {where.split()[-1]}=true")
        return text.lower() == "true"
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError as err:
            raise InputError(f"{where} takes a number, not {text!r}", mend="see `sterling list`") from err
    return text
