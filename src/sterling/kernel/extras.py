"""The one place where optional dependencies are loaded."""

from __future__ import annotations

import importlib
from types import ModuleType

from sterling.kernel.errors import MissingExtra


def need(module: str, *, extra: str) -> ModuleType:
    """Import an optional module, or say which extra brings it.

    Raises:
        MissingExtra: if the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as err:
        if err.name is None or not (module == err.name or module.startswith(f"{err.name}.")):
            raise  # a broken installation of the extra itself: its own error says more
        raise MissingExtra(f"{module} is not installed", mend=f"pip install 'sterling[{extra}]'") from err
