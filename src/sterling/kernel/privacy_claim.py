"""What a set's lineage claims of differential privacy.

For the privacy passport and every other reader: ask `claimed_privacy(dataset.lineage)`. A claim is a promise of the
generator's proof, not a measurement; `sterling audit` measures how much of it an attacker can refute.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from sterling.kernel.dataset import Lineage
    from sterling.kernel.schema import Schema
    from sterling.kernel.table import Table

SETTINGS = re.compile(r"^[\w.-]+\((?P<settings>.*?)\)")
NUMBER = r"=(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)(?=,|$)"


class Claim(NamedTuple):
    """(epsilon, delta)-differential privacy of the whole set, for one record added or taken away.

    Args:
        epsilon: > 0; smaller is more private.
        delta: chance that the promise fails.
        records: of one person that the promise covers together.
    """

    epsilon: float
    delta: float
    records: int = 1


@runtime_checkable
class PrivateFit(Protocol):
    """What a differentially private generator's `fit` returns.

    Whoever publishes what it makes must publish `schema` in place of the training data's (whose ranges and levels were
    read off the records), no fingerprint of the training rows, and identifiers that follow from no real one.
    """

    @property
    def schema(self) -> Schema:
        """The fields with nothing in them that was not declared or paid for."""
        ...

    def report(self) -> tuple[Table, ...]:
        """What the budget was spent on."""
        ...


def claimed_privacy(lineage: Lineage) -> Claim | None:
    """The epsilon and delta that a set's generator promised; None where it promised nothing.

    A run whose noise came from a seed (`noise=seeded`, for tests) promises nothing: whoever knows the seed can draw
    the noise again and take it off.

    >>> from sterling.kernel.dataset import Lineage
    >>> claimed_privacy(Lineage(generator="aim(epsilon=1.0, delta=1e-06)"))
    Claim(epsilon=1.0, delta=1e-06, records=1)
    >>> claimed_privacy(Lineage(generator="aim(epsilon=1.0, delta=1e-06, noise=seeded)"))
    >>> claimed_privacy(Lineage(generator="cart(min_leaf=5)"))
    """
    found = SETTINGS.match(lineage.generator or "")
    if found is None:
        return None
    settings = found["settings"]
    epsilon, delta, records = (
        re.search(rf"(?:^|, ){name}{NUMBER}", settings) for name in ("epsilon", "delta", "records_per_person")
    )
    if epsilon is None or delta is None or "noise=seeded" in settings:
        return None
    return Claim(float(epsilon[1]), float(delta[1]), int(records[1]) if records else 1)
