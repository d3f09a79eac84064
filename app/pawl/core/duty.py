"""How much of the runners' time is spent inside a budget: the duty cycle of a loop, from its ledger alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pawl.core.ledger import AnyLine, Measured

WINDOW = 50
"""Measurements, the newest, that the duty cycle is told of: about a night of one runner."""


@dataclass(frozen=True)
class Duty:
    """Time inside budgets and time that passed, in seconds of one runner."""

    inside: float
    passed: float

    @property
    def share(self) -> float:
        """Of the time that passed, what was spent inside a budget; at most 1."""
        return min(1.0, self.inside / self.passed) if self.passed > 0 else 0.0


def duty_of(lines: Sequence[AnyLine], lanes: int) -> Duty | None:
    """The duty cycle of the newest measurements, from the end of the first of them to the end of the last.

    A job's line is written as soon as it has ended, so times between lines are wall time. Pauses count as idle: they are.

    Args:
        lines: the loop's ledger.
        lanes: runners that serve the loop, of all fleets together.

    Returns:
        None where there are fewer than two measurements.
    """
    measured = [line for line in lines if isinstance(line, Measured) and line.runs][-WINDOW - 1 :]
    if len(measured) < 2:
        return None
    first, *rest = measured
    passed = (datetime.fromisoformat(rest[-1].at) - datetime.fromisoformat(first.at)).total_seconds()
    # A run that went on behind its budget, into its grace, was inside for its budget and no longer.
    inside = sum(min(run.seconds, line.rules.budget) for line in rest for run in line.runs)
    return Duty(inside, passed * lanes) if passed > 0 else None
