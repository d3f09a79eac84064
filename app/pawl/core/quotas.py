"""How much a loop may do by itself: open pull requests, merges a day, hours of runs a day. Counted from the ledger alone.

A day is one of UTC. What people do themselves, or ask for, is counted and never refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from pawl.core.config_parts import Limits
from pawl.core.ledger import AnyLine, LateLine, Measured, Outcome, OutcomeLine
from pawl.core.spending import day_of

HOUR = 3600.0


def merges_today(lines: Iterable[AnyLine], now: datetime) -> int:
    """Experiments that reached the branch since midnight."""
    since = day_of(now)
    return sum(
        isinstance(line, OutcomeLine)
        and line.outcome in (Outcome.MERGED, Outcome.OVERRIDDEN)
        and datetime.fromisoformat(line.at) >= since
        for line in lines
    )


def measured_today(lines: Sequence[AnyLine], now: datetime) -> float:
    """Seconds of runs in lines that were written since midnight: a job counts for the day on which it was concluded.

    Runs of a job that was cut off come again in the line of the attempt that went on, and count once.
    """
    since, total = day_of(now), 0.0
    for line in reversed(lines):
        if datetime.fromisoformat(line.at) < since:
            break  # lines are in the order of time
        if isinstance(line, (Measured, LateLine)):
            total += sum(run.seconds for run in line.runs)
    return total


def no_merge(limits: Limits, lines: Sequence[AnyLine], now: datetime) -> str:
    """Why Pawl merges nothing more today, in a sentence; empty if it may."""
    done = merges_today(lines, now)
    if done < limits.merges_per_day:
        return ""
    return f"{done} merges were made today, limits.merges_per_day is {limits.merges_per_day}; more follow {_tomorrow(now)}"


def no_proposal(limits: Limits, opened: int) -> str:
    """Why nothing new is proposed, in a sentence; empty if it may be.

    Args:
        limits: of the rules.
        opened: the loop's open pull requests, and proposals on their way.
    """
    if opened < limits.open_pulls:
        return ""
    return f"{opened} pull requests are open, limits.open_pulls is {limits.open_pulls}: merge or close some"


def no_job(limits: Limits, lines: Sequence[AnyLine], now: datetime, ahead: float) -> str:
    """Why no job is started, in a sentence; empty if one may be.

    Args:
        limits: of the rules.
        lines: the loop's ledger.
        now: the time, with its zone.
        ahead: seconds that jobs in flight and the next one are likely to take.
    """
    if limits.hours_per_day is None:
        return ""
    done = measured_today(lines, now)
    if done + ahead <= limits.hours_per_day * HOUR:
        return ""
    return (
        f"{done / HOUR:.1f} hours were measured today and {ahead / HOUR:.1f} are on their way, limits.hours_per_day is "
        f"{limits.hours_per_day:g}; more follow {_tomorrow(now)}"
    )


def _tomorrow(now: datetime) -> str:
    return f"from {day_of(now) + timedelta(days=1):%Y-%m-%d} (UTC) on"
