"""What is said of the screen: how many runs of unchanged code passed it, and how many should."""

from __future__ import annotations

from collections.abc import Sequence

from pawl.core.ledger import AnyLine
from pawl.core.screening import COVERAGE, screened
from pawl.messages.figures import count
from pawl.messages.quoting import Safe


def screen_words(lines: Sequence[AnyLine]) -> Safe | str:
    """``3 of 61 runs of unchanged code passed it (4.9 %, …), where 5 % should``; nothing before there was one."""
    found = screened(lines)
    if found is None:
        return ""
    low, high = (f"{100 * bound:.1f}" for bound in found.interval)
    share = f"{100 * found.passed / found.runs:.1f} %"
    interval = f"{COVERAGE:.0%}".replace("%", " % interval")
    verdict = ": too many" if found.too_many else ": too few" if found.too_few else ""
    return Safe(
        f"{found.passed} of {count(found.runs, 'run')} of unchanged code passed it ({share}; {interval} {low} to {high} %), "
        f"where {100 * found.declared:.0f} % should{verdict}"
    )
