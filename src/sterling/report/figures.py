"""Numbers as a page prints them: few digits, real minus signs, open ends in words."""

from __future__ import annotations

import math
import re

from sterling.kernel.audience import FEWEST

MINUS = "\u2212"


def number(x: float) -> str:
    """Three digits that matter, thousands with commas.

    >>> number(0.51234), number(3921.4), number(-0.0004), number(0.0), number(12.34)
    ('0.512', '3,921', '−0.0004', '0', '12.3')
    """
    size = abs(x)
    if math.isinf(x):
        return "∞" if x > 0 else f"{MINUS}∞"
    if size >= 100:
        text = f"{size:,.0f}"
    elif size >= 10:
        text = f"{size:.1f}"
    elif size >= 0.001 or size == 0:
        text = f"{size:.3f}" if size else "0"
    else:
        text = f"{size:.1g}" if size >= 1e-6 else f"{size:.0e}"
    return f"{MINUS}{text}" if x < 0 and text.strip("0.") else text


def span(low: float | None, high: float | None) -> str:
    """An interval; None or an infinity is an open end.

    >>> span(0.1, 0.25), span(2800.0, None), span(-math.inf, 3.0)
    ('[0.100, 0.250]', '[2,800, …)', '(…, 3.000]')
    """
    left = "(…" if low is None or math.isinf(low) else f"[{number(low)}"
    right = "…)" if high is None or math.isinf(high) else f"{number(high)}]"
    return f"{left}, {right}"


def count(n: int, *, small: str | None = None) -> str:
    """A count with commas; counts from 1 to 9 become `small` where that is given.

    >>> count(12345), count(7), count(7, small="<10"), count(0, small="<10")
    ('12,345', '7', '<10', '0')
    """
    return small if small is not None and 0 < n < FEWEST else f"{n:,}"


def short(text: str, most: int) -> str:
    """The text, cut in the middle where it is longer than `most`: names differ at both ends.

    >>> short("vendor_c_final_v2.csv", 12), short("A", 12)
    ('vendor…v2.csv', 'A')
    """
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}…{text[-half:]}"


def rows_text(value: float, low: float | None, high: float | None, *, smallest: float, largest: float) -> str:
    """Real-equivalent rows in words, never beyond what the curve shows.

    Args:
        value: the point.
        low: lower end, None if open.
        high: upper end, None if open.
        smallest: rows at the curve's left end.
        largest: rows at its right end.

    >>> rows_text(3900.0, 2800.0, None, smallest=100, largest=4800)
    '3,900 real rows'
    >>> rows_text(4800.0, 4800.0, None, smallest=100, largest=4800)
    'at least 4,800 real rows'
    >>> rows_text(0.0, 0.0, 100.0, smallest=100, largest=4800)
    'fewer than 100 real rows'
    """
    if high is None and value >= largest:
        return f"at least {round(largest):,} real rows"
    if value < smallest:
        return f"fewer than {round(smallest):,} real rows"
    return f"{round(value):,} real {'row' if round(value) == 1 else 'rows'}"


def minus(sentence: str) -> str:
    """A sentence with real minus signs before its numbers; ranges and names keep their hyphens.

    >>> minus("-0.07 [-0.08, -0.06] in age=50-60 of vendor-2")
    '−0.07 [−0.08, −0.06] in age=50-60 of vendor-2'
    """
    return re.sub(r"(?<![\w=.-])-(?=\d)", MINUS, sentence)
