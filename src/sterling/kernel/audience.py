"""Who may see what: the smallest count that a recipient sees, and which policies are about privacy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sterling.kernel.dataset import Lineage
from sterling.kernel.estimate import Estimate
from sterling.kernel.privacy_claim import claimed_privacy

if TYPE_CHECKING:
    from sterling.kernel.finding import Finding, Json

# Results rest on the policy's name alone; a policy of the user's own may well be about privacy.
OPEN_POLICIES = frozenset({"default", "consequential", "five_percent"})
# Counts below this could point at single people.
FEWEST = 10
# Under what names findings record how many people, or rows, each of their shares is one of.
GROUPS = frozenset(
    {
        "attacked", "control", "tried", "control_tried", "lone", "control_lone", "descriptions", "copied_of",
        "natural_of", "train_tried", "n_real",
    }
)  # fmt: skip
STEPS = tuple(round(m * 10.0**-e, e) for e in (4, 3, 2, 1) for m in (1, 2, 5))


def is_private(policy: str) -> bool:
    """Whether a policy, by its label, may be about privacy: one that is not known is taken to be.

    >>> is_private("privacy 3"), is_private("default 3"), is_private("ours ab12")
    (True, False, True)
    """
    words = policy.split()
    return not words or words[0] not in OPEN_POLICIES


def step(rows: int) -> float:
    """How fine a share may be told: no finer than ten of the rows that it rests on.

    >>> step(1200), step(400), step(120), step(5)
    (0.01, 0.05, 0.1, 1.0)
    """
    least = max(FEWEST / max(rows, 1), 1e-4)
    return next((s for s in STEPS if s >= least), 1.0)


def smallest_group(finding: Finding) -> int:
    """Rows of the smallest group that a finding's numbers are shares of: beside 4,000, each of 12 still shows."""
    n = [finding.result.n] if isinstance(finding.result, Estimate) else []
    return min([*n, *_sizes(dict(finding.params)), *_sizes(dict(finding.evidence))], default=0)


def _sizes(told: Json) -> Iterator[int]:
    if isinstance(told, list):
        for item in told:
            yield from _sizes(item)
    elif isinstance(told, dict):
        for name, value in told.items():
            if name in GROUPS and isinstance(value, int) and not isinstance(value, bool) and value > 0:
                yield value
            elif name == "secrets":
                yield from _sizes(value)


def bare_generator(generator: str) -> str:
    """A generator without its settings, which may name columns and levels; what it claims of privacy stays.

    >>> bare_generator("cart(first=('hiv_status',))"), bare_generator("aim(epsilon=1.0, delta=1e-06, bins=9)")
    ('cart', 'aim(epsilon=1, delta=1e-06)')
    """
    name = re.split(r"[^\w.-]", generator, maxsplit=1)[0]
    claim = claimed_privacy(Lineage(generator=generator))
    if claim is None:
        return name
    people = f", records_per_person={claim.records}" if claim.records > 1 else ""
    return f"{name}(epsilon={claim.epsilon:g}, delta={claim.delta:g}{people})"
