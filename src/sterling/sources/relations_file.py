"""relations.toml: tables and the keys between them, read and written.

```toml
[tables.orders]
path = "orders.csv"
primary_key = ["order_id"]

[tables.airports]
keep = true

[[foreign_keys]]
child = "orders"
columns = ["customer_id"]
parent = "customers"
parent_columns = ["id"]
orphans = "null"
```
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from sterling.kernel.errors import InputError, UnknownName, UnreadableInput
from sterling.modalities.tabular import Override
from sterling.modalities.tabular.relational import ForeignKey, Guess, Relations, TableSpec
from sterling.sources.overrides import parse_overrides

TABLE_KEYS = ("path", "primary_key", "keep", "generator", "columns")
KEY_KEYS = ("child", "columns", "parent", "parent_columns", "orphans", "lead")
ORPHANS = ("refuse", "drop", "null")


def read_relations(path: Path) -> Relations:
    """The relations that a file declares; whether the tables have those columns is checked where they are read.

    Raises:
        UnreadableInput: no such file, or no TOML.
        UnknownName: for a key or word that there is not, with the nearest one.
        InputError: for a value of the wrong type, or no tables.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise UnreadableInput(
            f"there is no file {path}", mend="make it: sterling relational infer SOURCE -o FILE"
        ) from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise UnreadableInput(
            f"{path} is no TOML: {err}", mend="see `sterling relational infer` for how it looks"
        ) from err
    for key in document:
        if key not in ("tables", "foreign_keys"):
            raise UnknownName.among(key, ["tables", "foreign_keys"], what=f"part of {path}:")
    tables, keys = document.get("tables", {}), document.get("foreign_keys", [])
    if not isinstance(tables, dict) or not tables:
        raise InputError(f"{path} declares no tables", mend="write [tables.NAME] for each of them")
    if not isinstance(keys, list):
        raise InputError(f"{path}: foreign_keys is no list of tables", mend="write [[foreign_keys]] for each of them")
    named = cast("dict[str, Any]", tables)
    specs = tuple(_table(name, spec, where=f"{path}, table {name}") for name, spec in named.items())
    listed = enumerate(cast("list[Any]", keys), 1)
    return Relations(specs, tuple(_key(spec, where=f"{path}, foreign key {i}") for i, spec in listed))


def relations_text(relations: Relations, guesses: Sequence[Guess] = ()) -> str:
    """The file's text; what speaks for a guessed key stands above it."""
    why = {guess.key.name: guess for guess in guesses}
    parts = ["# Tables and the keys between them. Edit what is wrong; see docs/relational.md.\n"]
    for spec in relations.tables:
        lines = [f"[tables.{_word(spec.name)}]"]
        lines += [f"path = {_word(spec.path)}"] if spec.path else []
        lines += [f"primary_key = {_words(spec.primary)}", f"keep = {'true' if spec.keep else 'false'}"]
        lines += [f"generator = {_word(spec.generator)}"] if spec.generator else []
        parts.append("\n".join(lines) + "\n" + _columns(spec.name, spec.columns))
    for key in relations.foreign:
        lines = _told(why[key.name]) if key.name in why else []
        lines += ["[[foreign_keys]]", f"child = {_word(key.child)}", f"columns = {_words(key.columns)}"]
        lines += [f"parent = {_word(key.parent)}", f"parent_columns = {_words(key.parent_columns)}"]
        lines += [f"orphans = {_word(key.orphans)}"]
        lines += ["lead = true"] if key.lead else []
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _told(guess: Guess) -> list[str]:
    lines = [f"# {guess.reason}"]
    if guess.orphans:
        lines.append(
            f"# {guess.orphans:,} of {guess.rows:,} rows name no row of {guess.key.parent}, such as {guess.example!r}"
        )
    if guess.nulls:
        lines.append(f"# {guess.nulls:,} of {guess.rows:,} rows have no key")
    return [line.replace("\n", " ") for line in lines]


def _columns(table: str, columns: Mapping[str, Override]) -> str:
    text = ""
    for name, told in columns.items():
        values: list[tuple[str, Any]] = [
            ("kind", told.kind), ("role", told.role), ("unit", told.unit), ("levels", told.levels), ("low", told.low),
            ("high", told.high), ("nullable", told.nullable), ("missing", told.missing or None),
        ]  # fmt: skip
        text += f"\n[tables.{_word(table)}.columns.{_word(name)}]\n"
        text += "".join(f"{key} = {_value(value)}\n" for key, value in values if value is not None)
    return text


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return _words(cast("tuple[str, ...]", value))
    return _word(str(value)) if isinstance(value, str) else repr(value)


def _word(text: str) -> str:
    """A basic string of TOML: JSON's escapes are among its own."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _words(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_word, texts))}]"


def _table(name: str, spec: Any, *, where: str) -> TableSpec:
    told = _told_keys(spec, TABLE_KEYS, where)
    return TableSpec(
        name,
        primary=_names(told, "primary_key", where),
        keep=_typed(told, "keep", bool, "true or false", where) or False,
        path=_typed(told, "path", str, "a file name", where),
        generator=_typed(told, "generator", str, "the name of a generator", where),
        columns=parse_overrides({"columns": told.get("columns", {})}, where=where),
    )


def _key(spec: Any, *, where: str) -> ForeignKey:
    told = _told_keys(spec, KEY_KEYS, where)
    for key in ("child", "columns", "parent", "parent_columns"):
        if key not in told:
            raise InputError(
                f"{where} has no {key}", mend=f'write child, columns, parent and parent_columns: {key} = "..."'
            )
    orphans = told.get("orphans", "refuse")
    if orphans not in ORPHANS:
        raise UnknownName.among(str(orphans), ORPHANS, what=f"word for orphans in {where}:")
    return ForeignKey(
        child=_typed(told, "child", str, "the name of a table", where),
        columns=_names(told, "columns", where),
        parent=_typed(told, "parent", str, "the name of a table", where),
        parent_columns=_names(told, "parent_columns", where),
        orphans=orphans,
        lead=_typed(told, "lead", bool, "true or false", where) or False,
    )


def _told_keys(spec: Any, known: Sequence[str], where: str) -> dict[str, Any]:
    if not isinstance(spec, dict):
        raise InputError(f"{where}: {spec!r} is no table", mend="write its keys below it, one a line")
    told = cast("dict[str, Any]", spec)
    for key in told:
        if key not in known:
            raise UnknownName.among(key, known, what=f"key in {where}:")
    return told


def _names(told: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = told.get(key, [])
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(n, str) for n in cast("list[Any]", names)):
        raise InputError(f"{where}: {key} = {value!r} is no list of columns", mend=f'write {key} = ["id"]')
    return tuple(cast("list[str]", names))


def _typed(told: Mapping[str, Any], key: str, kind: type[Any], wanted: str, where: str) -> Any:
    value = told.get(key)
    if value is not None and not isinstance(value, kind):
        raise InputError(f"{where}: {key} = {value!r} is not {wanted}", mend=f"give {wanted}")
    return value
