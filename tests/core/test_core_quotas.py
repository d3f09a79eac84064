"""Quotas: counted from the ledger, told in sentences, and never passed by what Pawl does by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from core_world import EDIT, NOW, World, rules_of
from hypothesis import given
from hypothesis import strategies as st
from test_core_lanes import useless
from test_core_world import assert_sound, gain, started, until

from pawl.core import actions as act
from pawl.core.asks import Ask, Level
from pawl.core.chain import GENESIS
from pawl.core.config_parts import Limits
from pawl.core.decide import Circumstances, decide
from pawl.core.ledger import Measured, Outcome, OutcomeLine
from pawl.core.policy import HoldReason, hold
from pawl.core.quotas import HOUR, measured_today, merges_today, no_job, no_merge, no_proposal
from pawl.core.states import State

DAY = timedelta(days=1)


def outcome(number: int, at: datetime, how: Outcome = Outcome.MERGED) -> OutcomeLine:
    return OutcomeLine(
        seq=number, prev=GENESIS, loop="loop", policy=GENESIS, key=f"outcome:{number}",
        at=at.isoformat(), experiment=number, outcome=how
    )  # fmt: skip


@given(st.lists(st.tuples(st.integers(-72, 72), st.sampled_from(list(Outcome))), max_size=30))
def test_a_day_is_one_of_utc(told: list[tuple[int, Outcome]]) -> None:
    noon = NOW.replace(hour=12)
    lines = [outcome(n + 1, noon + timedelta(hours=hours), how) for n, (hours, how) in enumerate(told)]
    counted = [hours for hours, how in told if how in (Outcome.MERGED, Outcome.OVERRIDDEN) and hours >= -12]
    assert merges_today(lines, noon) == len(counted)
    limits = Limits(merges_per_day=max(1, len(counted)))
    assert bool(no_merge(limits, lines, noon)) == (len(counted) >= limits.merges_per_day)
    assert not no_merge(Limits(merges_per_day=len(counted) + 1), lines, noon)


def test_sentences_say_what_is_reached_and_until_when() -> None:
    lines = [outcome(1, NOW), outcome(2, NOW)]
    assert no_merge(Limits(merges_per_day=2), lines, NOW) == (
        "2 merges were made today, limits.merges_per_day is 2; more follow from 2031-05-05 (UTC) on"
    )
    assert "limits.open_pulls is 3: merge or close some" in no_proposal(Limits(open_pulls=3), 3)
    assert not no_proposal(Limits(open_pulls=3), 2)
    assert not no_job(Limits(), lines, NOW, 1e9), "without a limit there is none"
    assert "limits.hours_per_day is 1" in no_job(Limits(hours_per_day=1), lines, NOW, HOUR + 1)
    assert not no_job(Limits(hours_per_day=1), lines, NOW, HOUR)


def test_keeps_beyond_the_days_merges_are_held_until_the_next_day() -> None:
    world = World(rules_of(limits={"experiments": 4, "merges_per_day": 1}), noise=0.0, edits=gain)
    for _ in range(40):
        world.look()
        for job in world.taken():
            world.end_job(job.id)
        world.deliver_proposal()
    assert len(world.merges) == 1
    held = [each for each in world.snapshot().experiments if each.open]
    assert held
    assert {(hold(world.snapshot(), each) or pytest.fail("free")).reason for each in held if each.final} == {
        HoldReason.QUOTA
    }
    world.now += DAY
    world.look()
    assert len(world.merges) == 2


def test_a_person_may_merge_beyond_it() -> None:
    world = until(started({"limits": {"merges_per_day": 0}}), State.HELD)
    ask = Ask("7", "ada", Level.WRITE, "/pawl merge", 101, 1, 7)
    for action in decide(replace(world.snapshot(), asks=(ask,)), Circumstances(NOW, b"")):
        if isinstance(action, act.Append):
            world.apply(action)
    world.look()
    assert world.merges == [1]


def test_with_enough_pull_requests_open_nothing_is_proposed() -> None:
    world = World(rules_of(merge="review", limits={"open_pulls": 3}), noise=0.0, edits=gain)
    for _ in range(40):
        world.look()
        for job in world.taken():
            world.end_job(job.id)
        world.deliver_proposal()
        assert sum(pull.open for pull in world.pulls.values()) <= 3
    assert len(world.pulls) == 3
    assert any("limits.open_pulls is 3" in notice for notice in world.notices)
    world.close(2)
    world.look()
    world.look()
    assert world.proposing


@pytest.mark.parametrize("lanes", [1, 3])
def test_no_job_is_started_that_could_pass_the_days_hours(lanes: int) -> None:
    """Runs take a second each here, and the budget is a second; a screen is likely to take one."""
    limit = 20 / HOUR
    world = World(rules_of(lanes=lanes, limits={"hours_per_day": limit}), noise=0.0, edits=useless)
    for _ in range(60):
        world.look()
        for job in world.taken():
            world.end_job(job.id)
        world.deliver_proposal()
    done = measured_today(world.ledger, world.now)
    assert 10 < done <= limit * HOUR
    assert any(notice.startswith("nothing is measured: ") for notice in world.notices)
    assert not world.in_flight()
    world.now += DAY
    world.look()
    assert world.in_flight()
    world.rules = rules_of(limits={"experiments": max(world.pulls, default=0)})
    world.settle()
    assert_sound(world)
    assert [line for line in world.ledger if isinstance(line, Measured)]
    assert EDIT in world.commits[world.tip].files
