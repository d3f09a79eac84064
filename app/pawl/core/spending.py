"""What proposals have cost, from the ledger alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pawl.core.config_parts import Money
from pawl.core.ledger import AnyLine, Outcome, OutcomeLine, SpendLine


@dataclass(frozen=True)
class Spending:
    """Sums over proposals. Money is in US dollars, and holds only what is known."""

    today: float = 0.0
    month: float = 0.0
    total: float = 0.0
    proposals: int = 0
    without_edit: int = 0
    """Proposals that no edit came of."""
    unpriced: int = 0
    """Proposals whose cost in money is not known."""
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    per_experiment: float | None = None
    """Money for each experiment that was proposed."""
    per_kept: float | None = None
    """Money for each improvement that was merged."""


def day_of(now: datetime) -> datetime:
    """Midnight, UTC, before a time with a zone."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def month_of(now: datetime) -> datetime:
    """The first of the month, UTC, before a time."""
    return day_of(now).replace(day=1)


def spent_since(lines: Iterable[AnyLine], since: datetime) -> float:
    """US dollars that proposals have cost at or after a time with a zone."""
    return sum(line.money or 0.0 for line in lines if isinstance(line, SpendLine) and _at(line) >= since)


def spending_of(lines: Sequence[AnyLine], now: datetime) -> Spending:
    """All that proposals have cost so far.

    Args:
        lines: the loop's ledger.
        now: a time with a zone.
    """
    spent = [line for line in lines if isinstance(line, SpendLine)]
    merged = sum(isinstance(line, OutcomeLine) and line.outcome is Outcome.MERGED for line in lines)
    proposed = len({line.experiment for line in spent if line.proposed})
    total = sum(line.money or 0.0 for line in spent)
    return Spending(
        today=spent_since(spent, day_of(now)),
        month=spent_since(spent, month_of(now)),
        total=total,
        proposals=len(spent),
        without_edit=sum(not line.proposed for line in spent),
        unpriced=sum(line.money is None for line in spent),
        tokens_in=sum(line.tokens_in for line in spent),
        tokens_cached=sum(line.tokens_cached for line in spent),
        tokens_out=sum(line.tokens_out for line in spent),
        seconds=sum(line.seconds for line in spent),
        per_experiment=total / proposed if proposed else None,
        per_kept=total / merged if merged else None,
    )


def cap_reached(money: Money, lines: Sequence[AnyLine], now: datetime) -> str:
    """Why no proposal may be started now for what it would cost, in a sentence; empty if one may."""
    day, month = day_of(now), month_of(now)
    following = (month + timedelta(days=32)).replace(day=1)
    for cap, since, until, name in (
        (money.per_month, month, following, "month"),
        (money.per_day, day, day + timedelta(days=1), "day"),
    ):
        spent = spent_since(lines, since)
        if cap is not None and spent >= cap:
            return (
                f"the meta-agent has spent ${spent:.2f} of the ${cap:.2f} that agent.money.per_{name} allows; "
                f"it is asked again from {until:%Y-%m-%d} (UTC) on"
            )
    return ""


def _at(line: SpendLine) -> datetime:
    return datetime.fromisoformat(line.at)
