# pyarrow ships no types; its names are checked by the tests alone.
from typing import Any

def __getattr__(name: str) -> Any: ...
