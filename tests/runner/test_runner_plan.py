"""What a supervisor does next, by tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pawl.lab.device import Gpu
from pawl.runner.errors import Unfit
from pawl.runner.plan import (
    Duty,
    Exit,
    Kill,
    Leave,
    News,
    Patience,
    Release,
    Start,
    State,
    ended,
    failed,
    next_look,
    plan,
    started,
)
from pawl.runner.slots import Slot, host_name, kind_label, slots_for

A, B = State(Slot(0, "pawl-box-0", ("pawl",))), State(Slot(1, "pawl-box-1", ("pawl",)))
LIVES = started(A, "pawl-box-0-00000001", 7, 100.0)
LATER = replace(B, not_before=160.0, failures=1, trouble="why")
BROKEN = replace(A, failures=8, trouble="GitHub answered 403")
PATIENCE = Patience()


@pytest.mark.parametrize(
    ("states", "duty", "now", "actions", "look"),
    [
        ((A, B), Duty.SERVE, 100.0, (Start(A.slot), Start(B.slot)), 0.0),
        ((LIVES, B), Duty.SERVE, 100.0, (Start(B.slot),), 0.0),
        ((LIVES, LATER), Duty.SERVE, 100.0, (), 60.0),
        ((LIVES, LATER), Duty.SERVE, 160.0, (Start(B.slot),), 0.0),
        ((LIVES,), Duty.SERVE, 100.0, (), None),
        ((LIVES, LATER), Duty.DRAIN, 100.0, (Release(LIVES),), None),
        ((replace(LIVES, not_before=160.0),), Duty.DRAIN, 100.0, (), 60.0),
        ((A, LATER), Duty.DRAIN, 100.0, (Leave(),), None),
        ((LIVES,), Duty.END, 100.0, (Kill(LIVES),), None),
        ((A,), Duty.END, 100.0, (Leave(),), None),
        ((BROKEN, LIVES), Duty.SERVE, 100.0, (Start(A.slot),), 0.0),
    ],
)
def test_the_next_actions(
    states: tuple[State, ...], duty: Duty, now: float, actions: tuple[object, ...], look: float | None
) -> None:
    assert plan(states, duty, now, PATIENCE) == actions
    assert next_look(states, duty, now) == look


def test_it_gives_up_only_where_nothing_works_anywhere() -> None:
    (leave,) = plan((BROKEN, replace(BROKEN, slot=B.slot)), Duty.SERVE, 100.0, PATIENCE)
    assert isinstance(leave, Leave)
    assert "8 times in a row" in leave.error
    assert "GitHub answered 403" in leave.error


def test_pauses_double_up_to_ten_minutes_and_are_spread() -> None:
    state, pauses = A, []
    for _ in range(9):
        state = failed(state, "why", 0.0, 1.0, PATIENCE)
        pauses.append(state.not_before)
    assert pauses == [10, 20, 40, 80, 160, 320, 600, 600, 600]
    assert failed(replace(A, failures=3), "why", 0.0, 0.0, PATIENCE).not_before == 40


@pytest.mark.parametrize(
    ("how", "jobs", "failures"),
    [
        (Exit(0, True), 1, 0),
        (Exit(1, True), 1, 0),  # the job was cut off, but the runner was good
        (Exit(0, False), 0, 0),
        (Exit(1, False, "the version is too old"), 0, 3),
    ],
)
def test_what_an_end_means(how: Exit, jobs: int, failures: int) -> None:
    state = ended(replace(LIVES, failures=2), how, 101.0, 0.5, PATIENCE)
    assert (state.runner, state.registration, state.jobs, state.failures) == ("", 0, jobs, failures)
    assert state.not_before >= 105.0  # never more than one registration in five seconds
    assert (how.said in state.trouble) if failures else not state.trouble


def test_one_failure_is_no_news() -> None:
    once = failed(A, "a hiccup", 0.0, 0.5, PATIENCE)
    assert News.of([once], Duty.SERVE) == News.of([A], Duty.SERVE)
    assert News.of([failed(once, "again", 0.0, 0.5, PATIENCE)], Duty.SERVE) != News.of([A], Duty.SERVE)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("NVIDIA H100 80GB HBM3", "pawl-h100"),
        ("NVIDIA A100-SXM4-40GB", "pawl-a100"),
        ("NVIDIA GeForce RTX 4090", "pawl-rtx-4090"),
        ("Tesla T4", "pawl-t4"),
        ("NVIDIA RTX A6000", "pawl-rtx-a6000"),
        ("", "pawl-gpu"),
    ],
)
def test_the_label_of_a_kind(name: str, label: str) -> None:
    assert kind_label(name) == label


def test_slots_of_a_machine() -> None:
    gpus = [Gpu(0, "GPU-a", "NVIDIA H100 80GB HBM3"), Gpu(1, "GPU-b", "NVIDIA L4")]
    (cpu,) = slots_for("Box.example.org", (), None, ("night",))
    assert (cpu.prefix, cpu.labels, cpu.gpu) == (
        "pawl-box-0",
        ("self-hosted", "pawl", "pawl-cpu", "night"),
        "",
    )
    assert [slot.labels[-1] for slot in slots_for("box", gpus, None)] == ["pawl-h100", "pawl-l4"]
    (one,) = slots_for("box", gpus, [1])
    assert (one.index, one.gpu) == (1, "GPU-b")
    with pytest.raises(Unfit, match="GPU 2, but the driver sees 0, 1"):
        slots_for("box", gpus, [2])
    with pytest.raises(Unfit, match="twice"):
        slots_for("box", gpus, [1, 1])
    with pytest.raises(Unfit, match="sees none"):
        slots_for("box", (), [0])
    assert host_name("--") == "runner"


def test_a_slot_knows_its_own_runners() -> None:
    slot = Slot(1, "pawl-box-1", ())
    assert slot.owns(slot.name("0123abcd"))
    assert not any(
        slot.owns(name) for name in ("pawl-box-10-0123abcd", "pawl-box-1", "pawl-box-1-x", "pawl-box-1-mine")
    )
