"""Lanes: several runners serve one loop, each finds its next job queued, and what differs in kind is never compared."""

from __future__ import annotations

from typing import Any

import pytest
from core_world import EDIT, World, rules_of
from hypothesis import given
from hypothesis import strategies as st
from test_core_world import assert_sound, gain

from pawl.core import actions as act
from pawl.core.lanes import BEHIND, emptiest, room, slots
from pawl.core.ledger import CalibrationLine, Measured, VerdictLine
from pawl.core.measurement import Purpose
from pawl.core.policy import PAUSED_LABEL
from pawl.core.verifying import verify

FLEETS: dict[str, Any] = {
    "h100": {"labels": ["self-hosted", "h100"], "lanes": 2},
    "a100": {"labels": ["self-hosted", "a100"]},
}


def useless(world: World, number: int) -> bytes:
    return world.commits[world.tip].files[EDIT] + f"# {number}\n".encode()


@given(st.dictionaries(st.sampled_from(["", "a", "b"]), st.integers(1, 9), min_size=1), st.data())
def test_room_is_what_is_left(fleets: dict[str, int], data: st.DataObject) -> None:
    flying = data.draw(st.lists(st.sampled_from(["", "a", "b", "gone"]), max_size=30))
    free = room(fleets, flying)
    assert free == {name: max(0, slots(fleets)[name] - flying.count(name)) for name in fleets}
    idle = {name: max(0, lanes - flying.count(name)) for name, lanes in fleets.items()}
    found = emptiest(fleets, free)
    assert (found is None) == (not any(free.values()))
    assert found is None or idle[found] == max(idle.values())


def life(world: World, rounds: int) -> None:
    for _ in range(rounds):
        world.look()
        while world.deliver_proposal():
            world.look()
        while world.start_job():
            world.look()
        for job in world.taken():
            world.end_job(job.id)


@pytest.mark.parametrize("lanes", [1, 4])
def test_every_lane_works_and_finds_its_next_job_queued(lanes: int) -> None:
    world = World(rules_of(lanes=lanes, limits={"experiments": 24}), noise=0.0, edits=useless)
    life(world, 4)
    world.look()
    while world.deliver_proposal():
        world.look()
    while world.start_job():
        world.look()
    assert [job.status for job in world.in_flight()] == ["in_progress"] * lanes + ["queued"] * BEHIND * lanes
    world.settle()
    assert_sound(world)
    assert [str(found) for found in verify(world.ledger)] == []
    assert world.purposes().count(Purpose.POOL) == 1


def test_only_as_many_proposals_are_asked_for_as_lanes_want() -> None:
    world = World(rules_of(lanes=3), noise=0.0, edits=useless)
    world.look()
    assert sorted(world.proposing) == [1, 2, 3]
    world.deliver_proposal()
    world.look()
    assert sorted(world.proposing) == [2, 3, 4]
    limited = World(rules_of(lanes=3, limits={"experiments": 2}), noise=0.0)
    limited.look()
    assert sorted(limited.proposing) == [1, 2]


def test_winners_of_several_lanes_each_end_up_on_what_the_others_made() -> None:
    """All gains are kept: the first merges, the others are brought onto the new base and sealed again there."""
    world = World(rules_of(lanes=3, limits={"experiments": 6}), noise=0.0, edits=gain)
    world.settle()
    assert_sound(world)
    assert sorted(world.merges) == [1, 2, 3, 4, 5, 6]
    assert [str(found) for found in verify(world.ledger)] == []


def test_what_waits_is_brought_onto_a_base_that_moved_before_it_begins() -> None:
    """The queued job is cancelled before any run, and what it was to measure goes on as a new attempt on the new base."""
    world = World(rules_of(), noise=0.0, edits=useless)
    life(world, 2)
    world.look()
    while world.deliver_proposal():
        world.look()
    world.start_job()
    world.look()
    running, queued = world.in_flight()
    world.push("lab/evaluate.py", b"print('harder')\n")
    world.look()
    assert world.jobs[queued.id - 1].status == "completed"
    assert world.jobs[running.id - 1].status == "in_progress"
    world.rules = rules_of(limits={"experiments": 3})
    world.settle()
    assert_sound(world)


def test_a_pause_lets_no_waiting_job_begin() -> None:
    world = World(rules_of(lanes=2), noise=0.0, edits=useless)
    life(world, 3)
    world.look()
    while world.deliver_proposal() or world.start_job():
        world.look()
    queued = {job.id for job in world.in_flight() if job.status == "queued"}
    assert len(queued) == 2
    world.label(PAUSED_LABEL)
    assert {action.job for action in world.decided() if isinstance(action, act.CancelJob)} == queued


def test_kinds_of_machines_are_never_compared() -> None:
    world = World(rules_of(fleets=FLEETS, limits={"experiments": 30}), seed=5, edits=useless)
    world.devices = {"h100": "NVIDIA H100", "a100": "NVIDIA A100"}
    world.shifts = {"a100": -40.0}
    world.settle()
    assert_sound(world)
    measured = [line for line in world.ledger if isinstance(line, Measured)]
    assert {(line.fleet, line.device) for line in measured} == {
        ("h100", "NVIDIA H100"), ("a100", "NVIDIA A100"),
    }  # fmt: skip
    pools = [line for line in world.of_kind(CalibrationLine) if line.purpose is Purpose.POOL]
    assert sorted(line.fleet for line in pools) == ["a100", "h100"]
    for line in world.of_kind(VerdictLine):
        level = -40.0 if line.fleet == "a100" else 0.0
        assert all(abs(value - level) < 10 for value in line.calibration.pool)
    assert [str(found) for found in verify(world.ledger)] == []


def test_a_line_that_hides_its_fleet_is_noticed() -> None:
    world = World(rules_of(fleets=FLEETS, limits={"experiments": 12}), seed=5, edits=useless)
    world.shifts = {"a100": -40.0}
    life(world, 10)
    place = next(i for i, n in enumerate(world.ledger) if isinstance(n, VerdictLine) and n.fleet == "a100")
    lines = list(world.ledger[: place + 1])
    lines[place] = lines[place].model_copy(update={"fleet": "h100"})
    assert any("its calibration is" in str(found) for found in verify(lines))
