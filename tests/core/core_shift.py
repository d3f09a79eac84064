"""A world with a clock: proposals, pick-ups and runs take their time, and the real `decide` says what happens next."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from random import Random
from typing import Any

from core_world import EDIT, KNOBS, NOW, World, rules_of

from pawl.core.measurement import Record, Request, RunRecord, Step

BUDGET = 300.0
PROPOSAL = 60.0
"""Seconds that a proposal takes."""
LOOK = 1.0
"""Seconds from an event to the end of the look that follows it."""
START, OUTSIDE = 2.0, 0.5
"""Seconds of a job before its first run, and of every run outside its budget."""


class _Timed(World):
    """Runs that take their budget, made when the job starts so that its length is known."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.made: dict[str, Record] = {}

    def _run(self, request: Request, step: Step) -> RunRecord:
        return super()._run(request, step).model_copy(update={"seconds": BUDGET})

    def _measure(self, request: Request, how: str) -> Record:
        if request.digest not in self.made:
            self.made[request.digest] = super()._measure(request, how)
        return self.made[request.digest]


def _edit(world: World, number: int) -> bytes:
    """Three of a hundred edits gain something; the others do nothing."""
    chance = Random(f"{world.seed}/{number}")
    content = world.commits[world.tip].files[EDIT].decode()
    if chance.random() < 0.03:
        knob = chance.randrange(KNOBS)
        lines = content.splitlines(keepends=True)
        place = next(i for i, line in enumerate(lines) if line.startswith(f"gain_{knob}"))
        lines[place] = f"gain_{knob} = {float(lines[place].split('=')[1]) + 4}\n"
        return "".join(lines).encode()
    return f"{content}# {number}\n".encode()


@dataclass
class Shift:
    """Some hours of a loop.

    Args:
        lanes: runners.
        pick_up: seconds between a job's dispatch and the moment from which a runner can take it.
        seed: of noise and edits.
    """

    lanes: int = 1
    pick_up: float = 5.0
    seed: int = 0
    now: float = 0.0
    pooled: float = 0.0
    """When the first pool was in the ledger."""
    _events: list[tuple[float, int, Callable[[], Any]]] = field(default_factory=list)
    _known: set[int] = field(default_factory=set)
    _asked: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.world = _Timed(rules_of(budget="300s", lanes=self.lanes), seed=self.seed, edits=_edit)
        self.world.watched = False
        self._order = count()
        self.begun: list[tuple[float, int]] = []
        """When every job began, and how many runs it makes."""
        self.available: list[int] = []
        self.idle = self.lanes

    def after(self, hours: float) -> Shift:
        """The loop after so many hours, from its first look on."""
        self._at(0.0, self._look)
        while self._events and self._events[0][0] <= hours * 3600:
            self.now, _, happens = heapq.heappop(self._events)
            self.world.now = NOW + timedelta(seconds=self.now)
            happens()
        self.now = hours * 3600
        return self

    def inside(self, until: float) -> float:
        """Seconds inside budgets until then, on all runners together; a run that goes on counts as far as it has come."""
        total = 0.0
        for began, runs in self.begun:
            passed = min(max(0.0, until - began - START), runs * (BUDGET + OUTSIDE))
            whole, rest = divmod(passed, BUDGET + OUTSIDE)
            total += whole * BUDGET + min(rest, BUDGET)
        return total

    @property
    def share(self) -> float:
        """The part of all runners' time that was spent inside a budget."""
        return self.inside(self.now) / (self.lanes * self.now)

    @property
    def rate(self) -> float:
        """Runners' worth of time inside budgets since the first pool was there, which one runner makes alone."""
        return (self.inside(self.now) - self.inside(self.pooled)) / (self.now - self.pooled)

    def experiments(self) -> int:
        """Verdicts so far."""
        return len({line.experiment for line in self.world.ledger if line.kind == "verdict"})

    def _at(self, time: float, happens: Callable[[], Any]) -> None:
        heapq.heappush(self._events, (time, next(self._order), happens))

    def _look(self) -> None:
        self.world.look()
        if self.world.ledger and not self.pooled:
            self.pooled = self.now
        for number in self.world.proposing:
            if number not in self._asked:
                self._asked.add(number)
                self._at(self.now + PROPOSAL, self._propose)
        for job in self.world.jobs:
            if job.id not in self._known:
                self._known.add(job.id)
                self._at(self.now + self.pick_up, lambda job=job.id: self._offer(job))

    def _soon(self) -> None:
        self._at(self.now + LOOK, self._look)

    def _propose(self) -> None:
        self.world.deliver_proposal()
        self._soon()

    def _offer(self, job: int) -> None:
        self.available.append(job)
        self._take()

    def _take(self) -> None:
        while self.idle and self.available:
            job = self.available.pop(0)
            found = self.world.jobs[job - 1]
            if found.status != "queued":
                continue  # it was cancelled in the meantime
            self.idle -= 1
            self.world.start_this(job)
            request = self.world.check_runs[found.check_run - 1].request
            assert request is not None
            runs = len(self.world._measure(request, "complete").runs)
            self.begun.append((self.now, runs))
            self._at(self.now + START + runs * (BUDGET + OUTSIDE), lambda job=job: self._end(job))
            self._soon()

    def _end(self, job: int) -> None:
        if self.world.jobs[job - 1].status != "completed":
            self.world.end_job(job)
        self.idle += 1
        self._take()
        self._soon()
