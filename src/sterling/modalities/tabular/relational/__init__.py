"""Several tables and the keys between them. It stands in this room because a database is made of tables."""

from sterling.modalities.tabular.relational.guess import Guess, guess_keys
from sterling.modalities.tabular.relational.keys import Database, ForeignKey, Relations, TableSpec
from sterling.modalities.tabular.relational.learned import FittedDatabase, fit_database
from sterling.modalities.tabular.relational.made import sample_database
from sterling.modalities.tabular.relational.match import NULL, ORPHAN, positions

__all__ = [
    "NULL",
    "ORPHAN",
    "Database",
    "FittedDatabase",
    "ForeignKey",
    "Guess",
    "Relations",
    "TableSpec",
    "fit_database",
    "guess_keys",
    "positions",
    "sample_database",
]
