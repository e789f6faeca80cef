"""WORN: the benchmark has answered so many questions that a gain could be made of the answers alone."""

from __future__ import annotations

from sterling.decide.policy import Policy
from sterling.decide.sentences import plural
from sterling.kernel.finding import RuleOutcome


def worn(*, questions: int, rows: int, policy: Policy) -> RuleOutcome | None:
    """Warn once tuning on the answers could fake the difference that the policy cares for; it asks for no verdict.

    Args:
        questions: different questions the benchmark has answered.
        rows: of the benchmark.
        policy: its `benchmark.difference` is the gain that must not be faked.
    """
    from sterling.stats.reusable import fakeable, rows_to_bear

    limit = policy.benchmark.difference
    gain = fakeable(questions, rows)
    if not rows or gain <= limit:
        return None
    more = rows_to_bear(questions, gain=limit) - rows
    reason = (
        f"The benchmark of {plural(rows, 'row')} has answered {plural(questions, 'different question')}: who tuned on "
        f"the answers could show a gain of {gain:.3f} that is not there, and {limit:g} matters here. "
        f"Collect fresh benchmark rows: {more:,} more would restore it, or set {policy.benchmark.rows:,} apart that "
        "nobody has scored on."
    )
    return RuleOutcome("WORN", "COLLECT_TEST", (), reason)
