"""Numbers and names as the rules' sentences have them: plain text, no markup."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from sterling.kernel.estimate import Estimate


def number(x: float) -> str:
    """A number for a sentence: three digits that matter, thousands with commas.

    >>> number(0.51234), number(3921.4), number(-0.0004), number(1.0), number(math.inf)
    ('0.512', '3,921', '-0.0004', '1', 'more')
    """
    if math.isinf(x):
        return "more" if x > 0 else "less"
    if abs(x) >= 100:
        return f"{x:,.0f}"
    digits = 4 if 0 < abs(x) < 0.001 else 3 if abs(x) < 10 else 1
    return f"{x:.{digits}f}".rstrip("0").rstrip(".") or "0"


def interval(estimate: Estimate) -> str:
    """The value with its interval in brackets.

    >>> interval(Estimate(0.6, 0.55, 0.65, 100, 0.95, "DeLong"))
    '0.6 [0.55, 0.65]'
    """
    return f"{number(estimate.value)} [{number(estimate.low)}, {number(estimate.high)}]"


def joined(words: Sequence[str], *, most: int = 3) -> str:
    """A list as a reader expects it, cut after `most`.

    >>> joined(["a"]), joined(["a", "b"]), joined(["a", "b", "c", "d", "e"])
    ('a', 'a and b', 'a, b, c and 2 more')
    """
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def plural(n: int, noun: str) -> str:
    """A count with its noun.

    >>> plural(1, "row"), plural(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def sentence(*parts: str | None) -> str:
    """Parts as sentences one after another: each ends with one full stop and starts with a capital.

    >>> sentence("too few rows", "collect 30 more.", None)
    'Too few rows. Collect 30 more.'
    """
    return " ".join(f"{p[0].upper()}{p[1:]}".rstrip(" .") + "." for p in _stripped(parts))


def _stripped(parts: Iterable[str | None]) -> list[str]:
    return [p.strip() for p in parts if p and p.strip(" .")]
