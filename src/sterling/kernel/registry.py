"""One door for built-ins and plug-ins: a room lists its files, and a file's name is its public name.

`measures/two_sample_auc.py` holds the function `two_sample_auc`; `generators/cart.py` the class `Cart`.
Plug-ins enter by entry points of the group `sterling.<room>`, under the entry point's name.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import MISSING, fields
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from sterling.kernel.errors import InputError, UnknownName

Room = Literal["generators", "augmenters", "checks", "measures", "faults", "learners", "modalities"]
ROOMS: tuple[Room, ...] = ("generators", "augmenters", "checks", "measures", "faults", "learners", "modalities")


def names(room: Room) -> tuple[str, ...]:
    """All public names of a room, built-ins and plug-ins, sorted; imports none of them."""
    package = importlib.import_module(f"sterling.{room}")
    own = {m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")}
    return tuple(sorted(own | {e.name for e in _plug_ins(room)}))


@cache
def _plug_ins(room: Room) -> tuple[EntryPoint, ...]:
    """What other packages offer; what is installed does not change while a process runs."""
    return tuple(entry_points(group=f"sterling.{room}"))


def resolve(room: Room, name: str) -> Any:
    """The public thing of that name: a function for measures, a class of settings elsewhere.

    Raises:
        UnknownName: with the nearest names.
    """
    if name not in names(room):
        raise UnknownName.among(name, names(room), what=room.removesuffix("s").replace("modalitie", "modality"))
    for entry in _plug_ins(room):
        if entry.name == name:
            return entry.load()
    module = importlib.import_module(f"sterling.{room}.{name}")
    camel = "".join(part.capitalize() for part in name.split("_"))
    return getattr(module, name, None) or getattr(module, camel)


def build(room: Room, name: str, settings: dict[str, Any]) -> Any:
    """An instance of a settings class.

    Args:
        room: where to look.
        name: its public name.
        settings: field values, already of the right type.

    Raises:
        UnknownName: for the name, or for a setting that it does not have.
        InputError: if the class refuses a value.
    """
    cls: Any = resolve(room, name)
    known = [f.name for f in fields(cls)]
    for key in settings:
        if key not in known:
            raise UnknownName.among(key, known, what=f"setting of {name}")
    needed = [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]
    lacking = [key for key in needed if key not in settings]
    if lacking:
        raise InputError(f"{name} needs {', '.join(lacking)}", mend=" ".join(f"--set {key}=..." for key in lacking))
    try:
        return cls(**settings)
    except (TypeError, ValueError) as err:
        raise InputError(f"{name} refuses {settings}: {err}", mend=f"see `sterling list {room}`") from err
