"""Keeps one runner alive in each slot: registers it, starts it, lets it go, and tells how the machine is."""

from __future__ import annotations

import contextlib
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from pawl.github import runners
from pawl.github.client import Repository
from pawl.github.errors import GitHubError
from pawl.lab.output import one_line
from pawl.messages.runner import Health, Place, runner_health, runner_marker
from pawl.runner.enclosure import Enclosure, Grounds
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
from pawl.runner.slots import Slot

REPORT_EVERY = 3600.0
"""Seconds between two reports without news."""
SAID = 2000
"""Bytes of a program's last words that are read."""
ENDING = 30.0
"""Seconds a killed program gets to vanish."""


class Chance(Protocol):
    """Where randomness comes from."""

    def random(self) -> float:
        """From 0 to 1."""
        ...

    def name(self) -> str:
        """Eight hex digits."""
        ...


@dataclass(frozen=True)
class Means:
    """What a supervisor works with."""

    client: Repository
    grounds: Grounds
    clock: Callable[[], float]
    """Seconds since 1970."""
    chance: Chance
    say: Callable[[str], None]
    """Takes a line for whoever reads the log."""
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True)
class _Ended:
    slot: int
    runner: str
    code: int


class Supervisor:
    """Runs until it is told to end.

    Args:
        host: the machine's name, for people.
        slots: its runners.
        means: what it works with.
    """

    def __init__(self, host: str, slots: Sequence[Slot], means: Means) -> None:
        self._host, self._means = host, means
        self._states = {slot.index: State(slot) for slot in slots}
        self._lives: dict[int, tuple[Enclosure, subprocess.Popen[bytes]]] = {}
        self._duty = Duty.SERVE
        self._mail: queue.SimpleQueue[_Ended | None] = queue.SimpleQueue()
        self._comment = runners.HealthComment(means.client, runner_marker(host))
        self._told: tuple[float, News] | None = None

    def ask_to_end(self) -> None:
        """The first time: let what runs end, and take nothing more. The second time: end what runs. From any thread."""
        self._duty = Duty.DRAIN if self._duty is Duty.SERVE else Duty.END
        self._mail.put(None)

    def run(self) -> str:
        """Work until it ends: an empty text where it was asked to, else why it gave up."""
        with _signals(self.ask_to_end):
            try:
                self._sweep()
                while True:
                    for action in plan(self._all, self._duty, self._means.clock(), self._means.patience):
                        if isinstance(action, Leave):
                            self._report(last=True)
                            return action.error
                        self._do(action)
                    self._report()
                    self._wait()
            finally:
                for _, process in self._lives.values():
                    process.kill()
                for enclosure, process in self._lives.values():
                    process.wait(ENDING)
                    enclosure.clear()

    @property
    def _all(self) -> list[State]:
        return list(self._states.values())

    def _do(self, action: Start | Release | Kill) -> None:
        if isinstance(action, Start):
            self._start(self._states[action.slot.index])
        elif isinstance(action, Kill):
            self._end(action.state)
        else:
            self._release(action.state)

    def _start(self, state: State) -> None:
        means, slot = self._means, state.slot
        name = slot.name(means.chance.name())
        others = tuple(index for index in self._states if index != slot.index)
        enclosure = Enclosure(means.grounds, slot.index, others, name, slot.gpu)
        registration = None
        try:
            # First what can fail here, then what leaves a trace at GitHub.
            enclosure.lay()
            registration = runners.register(means.client, name, slot.labels)
            with enclosure.log.open("wb") as log:
                process = subprocess.Popen(
                    enclosure.command(),
                    cwd=enclosure.folder,
                    env=enclosure.environment(registration.jit),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # a terminal's Ctrl-C is the supervisor's alone
                )
        except (OSError, GitHubError) as error:
            enclosure.clear()
            self._fail(state, str(error))
            if registration is not None:
                self._forget(registration.id)
            return
        self._lives[slot.index] = (enclosure, process)
        self._states[slot.index] = started(state, name, registration.id, means.clock())
        means.say(f"{name} waits for a job, with the labels {', '.join(slot.labels)}")
        threading.Thread(target=self._watch, args=(slot.index, name, process), daemon=True).start()

    def _watch(self, slot: int, name: str, process: subprocess.Popen[bytes]) -> None:
        self._mail.put(_Ended(slot, name, process.wait()))

    def _fail(self, state: State, why: str) -> None:
        now, chance = self._means.clock(), self._means.chance
        self._states[state.slot.index] = after = failed(
            state, one_line(why, 400), now, chance.random(), self._means.patience
        )
        self._means.say(f"{state.slot.prefix}: {after.trouble}; again in {after.not_before - now:.0f} s")

    def _release(self, state: State) -> None:
        """GitHub deletes no runner that has a job, so one that it has deleted can be ended without a loss."""
        later = self._means.clock() + self._means.patience.longest
        try:
            free = runners.remove(self._means.client, state.registration)
        except GitHubError as error:
            self._means.say(
                f"{state.runner}: whether it has a job is not known ({error}); a second signal ends it"
            )
            later = self._means.clock() + self._means.patience.first
            free = False
        if free:
            self._end(state)
        else:
            self._states[state.slot.index] = State(
                state.slot, state.runner, state.registration, state.started, later, jobs=state.jobs
            )

    def _end(self, state: State) -> None:
        _, process = self._lives[state.slot.index]
        process.kill()  # the namespace's first process goes with it, and so does everything in it
        process.wait(ENDING)
        self._bury(_Ended(state.slot.index, state.runner, 0))
        self._forget(state.registration)

    def _bury(self, news: _Ended) -> None:
        state = self._states[news.slot]
        if state.runner != news.runner:
            return  # of a runner whose end is known
        enclosure, process = self._lives.pop(news.slot)
        process.wait()
        how = Exit(news.code, enclosure.worked, _tail(enclosure))
        now, chance = self._means.clock(), self._means.chance
        self._states[news.slot] = after = ended(state, how, now, chance.random(), self._means.patience)
        enclosure.clear()
        done = "has ended its job" if how.worked else f"has ended without a job (status {how.code})"
        self._means.say(f"{news.runner} {done}" + (f": {after.trouble}" if after.trouble else ""))
        if not how.worked and news.code:
            self._forget(state.registration)

    def _forget(self, registration: int) -> None:
        # What stays is removed by GitHub after a day, and by the next start.
        with contextlib.suppress(GitHubError):
            runners.remove(self._means.client, registration)

    def _sweep(self) -> None:
        """Remove what an earlier supervisor of this machine has left registered."""
        try:
            for known in list(runners.listed(self._means.client)):
                if not known.online and not known.busy and any(s.slot.owns(known.name) for s in self._all):
                    self._forget(known.id)
        except GitHubError as error:
            self._means.say(f"runners that an earlier start may have left were not looked for: {error}")

    def _report(self, last: bool = False) -> None:
        now, news = self._means.clock(), News.of(self._all, self._duty)
        if self._told and not last and self._told[1] == news and now < self._told[0] + REPORT_EVERY:
            return
        self._told = (now, news)
        at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M UTC")
        places = [
            Place(state.slot.prefix, state.slot.labels, state.jobs, state.trouble) for state in self._all
        ]
        duty = "has ended" if last else self._duty.value
        try:
            self._comment.tell(runner_health(Health(self._host, at, duty, places)))
        except GitHubError as error:
            self._means.say(f"the tracking issue was not told how the runners are: {error}")

    def _wait(self) -> None:
        now = self._means.clock()
        due = next_look(self._all, self._duty, now)
        hour = REPORT_EVERY if self._told is None else max(1.0, self._told[0] + REPORT_EVERY - now)
        try:
            news = self._mail.get(timeout=hour if due is None else min(due, hour))
        except queue.Empty:
            return
        if news is not None:
            self._bury(news)


@contextlib.contextmanager
def _signals(act: Callable[[], None]) -> Iterator[None]:
    """Act on SIGINT and SIGTERM, where this is the thread that gets them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: act()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tail(enclosure: Enclosure) -> str:
    try:
        data = enclosure.log.read_bytes()[-SAID:]
    except OSError:
        return ""
    return one_line(" ".join(data.decode("utf-8", errors="replace").split())[-300:], 300)
