"""What is said of planted cheats: how many there were, and what became of them. Not which, for proposers may read along."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pawl.core.finding import Fence
from pawl.core.ledger import AnyLine, CanaryLine, DismissalLine
from pawl.messages.figures import count
from pawl.messages.quoting import Safe

FENCES = {Fence.HELD: "stopped", Fence.PASSED: "passed", Fence.UNTOLD: "not tried"}


def canary_words(lines: Sequence[AnyLine]) -> Safe | str:
    """``6 cheats were planted: 5 stopped, 1 passed``; nothing where there were none."""
    ends = Counter(line.fence for line in lines if isinstance(line, CanaryLine))
    if not ends:
        return ""
    told = ", ".join(f"{ends[fence]} {word}" for fence, word in FENCES.items() if ends[fence])
    if dismissed := sum(isinstance(line, DismissalLine) for line in lines):
        told += f"; a person has dismissed {dismissed} of those that passed"
    planted = count(ends.total(), "cheat was", "cheats were")
    return Safe(f"{planted} planted: {told}")
