"""Tables: what their columns are, one hash per row, and the arrays that measures see."""

from sterling.modalities.tabular.canonical import canonical
from sterling.modalities.tabular.hashing import column_hashes, mix, row_hashes, text_hash
from sterling.modalities.tabular.infer import infer_normal, infer_schema
from sterling.modalities.tabular.memory import MemorySource, content_hashes, fingerprint, from_table, plain_table
from sterling.modalities.tabular.overrides import Override
from sterling.modalities.tabular.roles import SharedColumns, shared_columns, with_roles
from sterling.modalities.tabular.storage import Normal, normalise, storage_type, to_storage
from sterling.modalities.tabular.views import Tabular, comparable, conversions

__all__ = [
    "MemorySource",
    "Normal",
    "Override",
    "SharedColumns",
    "Tabular",
    "canonical",
    "column_hashes",
    "comparable",
    "content_hashes",
    "conversions",
    "fingerprint",
    "from_table",
    "infer_normal",
    "infer_schema",
    "mix",
    "normalise",
    "plain_table",
    "row_hashes",
    "shared_columns",
    "storage_type",
    "text_hash",
    "to_storage",
    "with_roles",
]
