"""What a supervisor does next, as values: no clock, no process, no GitHub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from pawl.runner.slots import Slot


class Duty(Enum):
    """What is wanted of the machine. It only ever goes down this list."""

    SERVE = "takes jobs"
    DRAIN = "drains: what runs is let end"
    END = "ends what runs"


@dataclass(frozen=True)
class Patience:
    """How long to wait between tries, in seconds, and after how many to give up."""

    between: float = 5.0
    """From one registration of a slot to the next, at the least: GitHub admits 1,500 in five minutes."""
    first: float = 10.0
    longest: float = 600.0
    give_up: int = 8
    """Tries in a row that came to nothing, in every slot, after which the supervisor ends with an error."""


@dataclass(frozen=True)
class State:
    """Where one slot stands."""

    slot: Slot
    runner: str = ""
    """Name of the runner that lives now."""
    registration: int = 0
    """GitHub's id of it."""
    started: float = 0.0
    not_before: float = 0.0
    failures: int = 0
    """Tries in a row that came to nothing."""
    trouble: str = ""
    """Of the last try, for a person."""
    jobs: int = 0


@dataclass(frozen=True)
class Exit:
    """How a runner's program ended."""

    code: int
    worked: bool
    """Whether it took a job."""
    said: str = ""
    """Its last words."""


@dataclass(frozen=True)
class Start:
    """Register a runner, and start its program."""

    slot: Slot


@dataclass(frozen=True)
class Release:
    """End a runner if it has no job: by asking GitHub, which then gives it none."""

    state: State


@dataclass(frozen=True)
class Kill:
    """End a runner, and its job."""

    state: State


@dataclass(frozen=True)
class Leave:
    """Nothing runs, and nothing shall: end. `error` says why, where it is not what somebody asked for."""

    error: str = ""


Action = Start | Release | Kill | Leave


def plan(states: Sequence[State], duty: Duty, now: float, patience: Patience) -> tuple[Action, ...]:
    """What to do now, in order."""
    living = [state for state in states if state.runner]
    if duty is Duty.END:
        return tuple(Kill(state) for state in living) or (Leave(),)
    if duty is Duty.DRAIN:
        return tuple(Release(state) for state in living if now >= state.not_before) if living else (Leave(),)
    if not living and states and all(state.failures >= patience.give_up for state in states):
        return (
            Leave(
                f"no runner could be started, {patience.give_up} times in a row. The last one: {states[-1].trouble}"
            ),
        )
    return tuple(Start(state.slot) for state in states if not state.runner and now >= state.not_before)


def next_look(states: Sequence[State], duty: Duty, now: float) -> float | None:
    """In how many seconds there is something to do if nothing happens; None: never."""
    waiting = [
        state.not_before - now
        for state in states
        if (duty is Duty.SERVE and not state.runner)
        or (duty is Duty.DRAIN and state.runner and state.not_before > now)
    ]
    return max(0.0, min(waiting)) if waiting else None


def started(state: State, runner: str, registration: int, now: float) -> State:
    """A runner lives."""
    return replace(state, runner=runner, registration=registration, started=now, not_before=0.0)


def failed(state: State, why: str, now: float, noise: float, patience: Patience) -> State:
    """A try came to nothing. `noise`, from 0 to 1, spreads machines that failed together."""
    pause = min(patience.longest, patience.first * 2.0**state.failures) * (0.5 + noise / 2)
    return replace(
        state,
        runner="",
        registration=0,
        failures=state.failures + 1,
        trouble=why,
        not_before=now + max(patience.between, pause),
    )


def ended(state: State, how: Exit, now: float, noise: float, patience: Patience) -> State:
    """The program of a slot's runner has ended: after its job, or without one."""
    if how.worked or how.code == 0:
        return replace(
            state,
            runner="",
            registration=0,
            failures=0,
            trouble="",
            jobs=state.jobs + how.worked,
            not_before=max(now, state.started + patience.between),
        )
    words = how.said.strip() or "it said nothing"
    why = f"the runner's program ended with status {how.code} before it took a job: {words}"
    return failed(state, why, now, noise, patience)


@dataclass(frozen=True)
class News:
    """What a report is about: another one is made when this changes, or after an hour."""

    duty: Duty
    troubles: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, states: Sequence[State], duty: Duty) -> News:
        """The news of this moment. A single failure is none: GitHub has its hiccups."""
        return cls(duty, tuple(state.trouble if state.failures > 1 else "" for state in states))
