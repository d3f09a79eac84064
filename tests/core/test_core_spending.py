"""What proposals have cost, by day and month in UTC, and caps that stop before they are passed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import core_builders as build
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pawl.core.config_parts import Money
from pawl.core.ledger import AnyLine, SpendLine
from pawl.core.spending import Spending, cap_reached, day_of, month_of, spending_of, spent_since

STEADY = settings(deadline=None, derandomize=True)

NOW = datetime(2031, 3, 1, 12, tzinfo=UTC)


def spent(*costs: tuple[str, float | None]) -> list[AnyLine]:
    """Lines of proposals, each at a time and for so much money."""
    history = build.History()
    for number, (at, money) in enumerate(costs, start=1):
        line = history.add(SpendLine, f"spend:{number}:x", experiment=number, proposer="llm", money=money)
        history.lines[-1] = line.model_copy(update={"at": at})
    return history.lines


@pytest.mark.parametrize(
    ("at", "today", "month"),
    [
        ("2031-03-01T12:00:00+00:00", 1.0, 1.0),
        ("2031-03-01T00:00:00+00:00", 1.0, 1.0),
        ("2031-02-28T23:59:59.999999+00:00", 0.0, 0.0),
        ("2031-03-01T00:30:00+01:00", 0.0, 0.0),
        ("2031-02-28T23:30:00-01:00", 1.0, 1.0),
        ("2031-03-01T00:00:00Z", 1.0, 1.0),
    ],
)
def test_a_day_begins_at_midnight_in_utc(at: str, today: float, month: float) -> None:
    found = spending_of(spent((at, 1.0)), NOW)
    assert (found.today, found.month, found.total) == (today, month, 1.0)


def test_a_month_holds_its_days() -> None:
    lines = spent(
        ("2031-02-28T00:00:00+00:00", 1.0),
        ("2031-03-01T00:00:00+00:00", 2.0),
        ("2031-03-31T23:59:59+00:00", 4.0),
    )
    found = spending_of(lines, datetime(2031, 3, 31, 23, 59, 59, tzinfo=UTC))
    assert (found.today, found.month, found.total) == (4.0, 6.0, 7.0)


@STEADY
@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_a_moment_lies_in_its_day_and_its_day_in_its_month(now: datetime) -> None:
    assert month_of(now) <= day_of(now) <= now < day_of(now) + timedelta(days=1)
    assert (month_of(now).day, month_of(now).month) == (1, now.month)


@STEADY
@given(
    st.lists(
        st.tuples(
            st.datetimes(datetime(2031, 1, 1), datetime(2031, 3, 31), timezones=st.just(UTC)),
            st.none() | st.floats(0, 100),
        ),
        max_size=20,
    )
)
def test_the_parts_never_exceed_the_whole(costs: list[tuple[datetime, float | None]]) -> None:
    lines = spent(*((at.isoformat(), money) for at, money in costs))
    found = spending_of(lines, NOW)
    expected = sum(money or 0.0 for at, money in costs if at.month == 3)
    assert spent_since(lines, month_of(NOW)) == pytest.approx(expected)
    assert found.total == pytest.approx(sum(money or 0.0 for _, money in costs))
    assert found.proposals == len(costs)
    assert found.unpriced == sum(money is None for _, money in costs)


def test_sums_by_experiment_and_improvement() -> None:
    history = build.History()
    costs: list[tuple[int, bool, float | None]] = [
        (1, True, 1.0),
        (2, False, 0.5),
        (2, True, 0.5),
        (3, True, None),
    ]
    for place, (number, proposed, money) in enumerate(costs):
        history.add(
            SpendLine,
            f"spend:{number}:{place}",
            experiment=number,
            proposer="llm",
            money=money,
            tokens_in=100,
            tokens_cached=50,
            tokens_out=10,
            seconds=2.0,
            proposed=proposed,
        )
    history.outcome(1, "merged")
    history.outcome(2, "closed")
    found = spending_of(history.lines, NOW)
    assert (found.proposals, found.without_edit, found.unpriced) == (4, 1, 1)
    assert (found.tokens_in, found.tokens_cached, found.tokens_out, found.seconds) == (400, 200, 40, 8.0)
    assert found.per_experiment == pytest.approx(2.0 / 3)
    assert found.per_kept == pytest.approx(2.0)


def test_nothing_spent_is_nothing() -> None:
    assert spending_of([], NOW) == Spending()
    assert spending_of(build.History().lines, NOW).per_kept is None


@pytest.mark.parametrize(
    ("money", "said"),
    [
        (Money(), ""),
        (Money(per_proposal=0.01), ""),
        (Money(per_day=3.01), ""),
        (
            Money(per_day=3.0),
            "$3.00 of the $3.00 that agent.money.per_day allows; it is asked again from 2031-03-02",
        ),
        (Money(per_month=5.01), ""),
        (Money(per_month=5.0), "agent.money.per_month allows; it is asked again from 2031-04-01"),
        (Money(per_day=3.0, per_month=5.0), "per_month"),
    ],
)
def test_a_cap_stops_before_it_is_passed(money: Money, said: str) -> None:
    now = datetime(2031, 3, 1, 23, 59, tzinfo=UTC)
    lines = spent(("2031-03-01T01:00:00Z", 2.0), ("2031-03-01T02:00:00Z", 3.0))
    if money.per_day is not None:
        lines = spent(
            ("2031-03-01T01:00:00Z", 1.0), ("2031-03-01T02:00:00Z", 2.0), ("2031-02-28T23:00:00Z", 9.0)
        )
        if money.per_month is not None:
            lines = spent(("2031-03-01T01:00:00Z", 5.0))
    found = cap_reached(money, lines, now)
    assert (said in found) if said else not found


def test_the_day_after_the_last_of_the_year() -> None:
    now = datetime(2031, 12, 31, 23, tzinfo=UTC)
    lines = spent(("2031-12-31T22:00:00Z", 5.0))
    assert "from 2032-01-01" in cap_reached(Money(per_day=1.0), lines, now)
    assert "from 2032-01-01" in cap_reached(Money(per_month=1.0), lines, now)
    assert cap_reached(Money(per_day=1.0, per_month=1.0), lines, now + timedelta(hours=1)) == ""


def test_another_zone_is_told_by_utc() -> None:
    """Whoever asks may have a clock of any zone: the day is UTC's."""
    east = timezone(timedelta(hours=9))
    now = datetime(2031, 3, 2, 5, tzinfo=east)  # 20 o'clock on the first, UTC
    lines = spent(("2031-03-01T10:00:00Z", 2.0))
    assert spending_of(lines, now).today == 2.0
    assert "2031-03-02" in cap_reached(Money(per_day=1.0), lines, now)
