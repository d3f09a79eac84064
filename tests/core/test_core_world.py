"""Whole loops in a world of values: whatever happens, each experiment ends once, and what is merged was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from core_world import EDIT, World
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from pawl.core.ledger import (
    Outcome,
    OutcomeLine,
)
from pawl.core.policy import PAUSED_LABEL, RESUME_LABEL
from pawl.core.states import TRANSITIONS
from pawl.core.verifying import verify

WALKS = settings(
    deadline=None,
    derandomize=True,
    max_examples=70,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def _open_pull(world: World) -> int | None:
    waiting = [number for number, pull in world.pulls.items() if pull.open]
    return world.random.choice(waiting) if waiting else None


def _end(world: World, how: str) -> None:
    for job in world.in_flight():
        world.end_job(job.id, how)


def _edit_pull(world: World, path: str, data: bytes) -> None:
    number = _open_pull(world)
    if number is not None:
        world.push_to_experiment(number, path, data)


def _with_pull(world: World, what: Callable[[int], None]) -> None:
    number = _open_pull(world)
    if number is not None:
        what(number)


def _move_knob(world: World) -> None:
    content = world.commits[world.tip].files[EDIT].decode()
    world.push(EDIT, content.replace("gain_0 = ", "gain_0 = 1", 1).encode())


def _push_edit(world: World) -> None:
    content = world.commits[world.tip].files[EDIT]
    _edit_pull(world, EDIT, world.random_edit(content))


EVENTS: dict[str, Callable[[World], object]] = {
    "look": lambda w: w.step(),
    "look again": lambda w: w.step(),
    "look, every action twice": lambda w: w.step(twice=True),
    "look, crash": lambda w: w.step(fuse=w.random.randrange(6)),
    "proposal": lambda w: w.deliver_proposal(),
    "job starts": lambda w: w.start_job(),
    "job ends": lambda w: _end(w, "complete"),
    "job is cut off": lambda w: _end(w, "cut off"),
    "job is lost": lambda w: _end(w, "lost"),
    "job is refused": lambda w: _end(w, "refused"),
    "record is forged": lambda w: _end(w, "forged"),
    "push beside": lambda w: w.push("README.md", f"{w.effects}".encode()),
    "push to inputs": lambda w: w.push("lab/evaluate.py", f"print({w.effects})".encode()),
    "push to the editable file": _move_knob,
    "close": lambda w: _with_pull(w, w.close),
    "merge": lambda w: _with_pull(w, w.merge),
    "pause": lambda w: w.label(PAUSED_LABEL),
    "unpause": lambda w: w.label(PAUSED_LABEL, False),
    "resume": lambda w: w.label(RESUME_LABEL),
    "stop": lambda w: w.set_stop(True),
    "go on": lambda w: w.set_stop(False),
    "close tracking": lambda w: w.open_tracking(False),
    "open tracking": lambda w: w.open_tracking(True),
    "push to experiment": _push_edit,
    "push elsewhere to experiment": lambda w: _edit_pull(w, "README.md", b"# mine\n"),
    "checks pass": lambda w: w.finish_checks("success"),
    "a check fails": lambda w: w.finish_checks("failure"),
}
USUAL = ["look", "look again", "proposal", "job starts", "job ends"]


def walk(world: World, events: list[str]) -> World:
    """Everything that happened, and then what happens when everybody lets the loop finish."""
    for event in events:
        EVENTS[event](world)
        world.note_states()
    world.settle()
    return world


def assert_sound(world: World) -> None:
    """What must be true of any world that has come to rest."""
    keys = Counter(line.key for line in world.ledger)
    assert not [key for key, count in keys.items() if count > 1]
    outcomes = world.of_kind(OutcomeLine)
    assert sorted(line.experiment for line in outcomes) == sorted(world.pulls)
    assert not [pull for pull in world.pulls.values() if pull.open or pull.branch]
    assert [str(found) for found in verify(world.ledger)] == []
    assert {pair for pair in world.transitions if pair[1] not in TRANSITIONS[pair[0]]} == set()
    merged = [line.experiment for line in outcomes if line.outcome is Outcome.MERGED]
    assert set(world.merges) <= set(merged)
    assert not world.in_flight()


EVENT_LISTS = st.lists(
    st.one_of(st.sampled_from(USUAL), st.sampled_from(USUAL), st.sampled_from(sorted(EVENTS))),
    min_size=5,
    max_size=45,
)
