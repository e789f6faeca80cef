# pyarrow makes its compute functions at import; a type checker cannot see them.
from typing import Any

def __getattr__(name: str) -> Any: ...
