"""Formulas as a user writes them, such as total = net + 1.2 * tax, or year = year(start)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from sterling.kernel.errors import InputError
from sterling.modalities.tabular.structure_cells import DATE_PARTS, part_of, quantity_of
from sterling.stats.formulas import clock, curve, minutes

if TYPE_CHECKING:
    import pyarrow as pa

    from sterling.kernel.view import Floats

TOKEN = re.compile(r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|(`(?:[^`]|``)+`)|([^\W\d]\w*)|([-+*/()=,]))")
PLAIN_NAME = re.compile(r"[^\W\d]\w*")
CURVES: Mapping[str, Callable[[Floats], Floats]] = {
    "log": lambda x: curve("log", x),
    "log1p": lambda x: curve("log1p", x),
    "sqrt": lambda x: curve("root", x),
    "square": lambda x: curve("square", x),
    "round": np.rint,
    "floor": np.floor,
    "hundreds": lambda x: np.floor(x / 100),
    "below_hundred": lambda x: x % 100,
}
FUNCTIONS = (*CURVES, "clock", "days", *(p for p in DATE_PARTS if p != "date"))


@dataclass(frozen=True, slots=True)
class Number:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class Name:
    """A column."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or a function, with what it is applied to."""

    function: str
    of: tuple[Node, ...]


Node: TypeAlias = "Number | Name | Call"


def quoted(name: str) -> str:
    """A column's name as it stands in a formula: between backticks where it is no plain word; its own are doubled.

    >>> quoted("unit price"), quoted("a`b")
    ('`unit price`', '`a``b`')
    """
    return name if PLAIN_NAME.fullmatch(name) and name not in FUNCTIONS else "`" + name.replace("`", "``") + "`"


def parse_formula(text: str) -> tuple[str, Node]:
    """The column that a formula gives, and the expression that gives it.

    Raises:
        InputError: naming what cannot be read.

    >>> parse_formula("total = net + tax")
    ('total', Call(function='+', of=(Name(name='net'), Name(name='tax'))))
    """
    tokens = _tokens(text)
    if len(tokens) < 3 or tokens[1] != "=" or not _is_name(tokens[0]):
        raise InputError(f"the formula {text!r} names no column", mend="write it as total = net + tax")
    node, rest = _sum(tokens[2:], text)
    if rest:
        raise InputError(f"the formula {text!r} cannot be read from {rest[0]!r} on", mend="write it as a = b + 2 * c")
    return _unquoted(tokens[0]), node


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    while text[at:].strip():
        found = TOKEN.match(text, at)
        if found is None:
            raise InputError(
                f"the formula {text!r} cannot be read from {text[at:].strip()[:12]!r} on",
                mend="write names that are no plain words between backticks: `unit price`",
            )
        tokens.append(found.group().strip())
        at = found.end()
    return tokens


def _is_name(token: str) -> bool:
    return token.startswith("`") or PLAIN_NAME.fullmatch(token) is not None


def _unquoted(token: str) -> str:
    return token[1:-1].replace("``", "`") if token.startswith("`") else token


def _sum(tokens: list[str], text: str) -> tuple[Node, list[str]]:
    left, rest = _product(tokens, text)
    while rest and rest[0] in "+-":
        right, after = _product(rest[1:], text)
        left, rest = Call(rest[0], (left, right)), after
    return left, rest


def _product(tokens: list[str], text: str) -> tuple[Node, list[str]]:
    left, rest = _atom(tokens, text)
    while rest and rest[0] in "*/":
        right, after = _atom(rest[1:], text)
        left, rest = Call(rest[0], (left, right)), after
    return left, rest


def _atom(tokens: list[str], text: str) -> tuple[Node, list[str]]:
    if not tokens:
        raise InputError(f"the formula {text!r} ends too early", mend="write it as a = b + 2 * c")
    first, rest = tokens[0], tokens[1:]
    if first == "-":
        inner, after = _atom(rest, text)
        return Call("-", (Number(0.0), inner)), after
    if first == "(":
        inner, after = _sum(rest, text)
        return inner, _closed(after, text)
    if first[0].isdigit() or first[0] == ".":
        return Number(float(first)), rest
    if not _is_name(first):
        raise InputError(f"the formula {text!r} has {first!r} where a column is due", mend="write it as a = b + 2 * c")
    if not rest or rest[0] != "(" or first.startswith("`"):
        return Name(_unquoted(first)), rest
    if first not in FUNCTIONS:
        raise InputError(f"the formula {text!r} has no function {first!r}", mend=f"known: {', '.join(FUNCTIONS)}")
    inner, after = _sum(rest[1:], text)
    of = [inner]
    while after and after[0] == ",":
        inner, after = _sum(after[1:], text)
        of.append(inner)
    return _checked(Call(first, tuple(of)), text), _closed(after, text)


def _checked(call: Call, text: str) -> Call:
    wanted = 2 if call.function == "clock" else 1
    if len(call.of) != wanted:
        raise InputError(f"the formula {text!r}: {call.function} takes {wanted} values", mend="see docs/constraints.md")
    if call.function in DATE_PARTS and not isinstance(call.of[0], Name):
        raise InputError(f"the formula {text!r}: {call.function} takes a date column", mend="write year(start)")
    return call


def _closed(tokens: list[str], text: str) -> list[str]:
    if not tokens or tokens[0] != ")":
        raise InputError(f"the formula {text!r} lacks a ')'", mend="close every '('")
    return tokens[1:]


def names_in(node: Node) -> tuple[str, ...]:
    """The columns of an expression, each once."""
    if isinstance(node, Name):
        return (node.name,)
    inner = node.of if isinstance(node, Call) else ()
    return tuple(dict.fromkeys(name for part in inner for name in names_in(part)))


def value_of(node: Node, cells: Mapping[str, pa.Array], n: int) -> Floats:
    """[n] what an expression gives; dates count in seconds; NaN where a column is missing."""
    if isinstance(node, Number):
        return np.full(n, node.value)
    if isinstance(node, Name):
        return quantity_of(cells[node.name])
    if node.function in DATE_PARTS:
        inner = node.of[0]
        assert isinstance(inner, Name)
        return part_of(cells[inner.name], node.function)
    parts = [value_of(part, cells, n) for part in node.of]
    with np.errstate(all="ignore"):
        if node.function in "+-*/":
            first, second = parts
            made = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}[node.function](first, second)
            return np.where(np.isfinite(made), made, np.nan)
        if node.function == "clock":
            return clock(minutes(parts[0]) + parts[1])
        return parts[0] * 86400.0 if node.function == "days" else CURVES[node.function](parts[0])
