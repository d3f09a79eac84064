"""Which repositories are to be looked at: a set, so that a hundred events about one repository are one look."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from pawl.control.errors import DatabaseUnusable
from pawl.github.errors import GitHubError

log = structlog.get_logger(__name__)

FIRST_RETRY, LONGEST_RETRY = 1.0, 300.0
"""Seconds before a look that failed is tried again: doubled each time, up to the longest, less up to a half."""


EXPLAINED = (GitHubError, DatabaseUnusable)
"""Errors whose text says what happened and what to do: whoever reads the log needs no traceback beside it."""


Look = Callable[[str], float | None]
"""The look at a key; gives the seconds until it wants to look again, if it does."""
Known = Callable[[], Iterable[str]]
"""Every key there is, for the timer."""


class Scheduler(Protocol):
    """The port behind which looks are taken: when, on which threads, and never two at one key at a time.

    It is made of a look and of what is known (`Look`, `Known`), takes every key that is woken at least once, tries one again
    that failed, and wakes all that is known from time to time. What a look has to read again is known in the process that
    was told of it: a scheduler that looks elsewhere has everything read again.
    """

    def wake(self, key: str, delay: float = 0.0) -> None:
        """Look at this key, at once or in `delay` seconds; a look that is going on is followed by another."""
        ...

    def start(self) -> None:
        """Begin to look."""
        ...

    def stop(self) -> None:
        """Let the looks that run end, and start no other."""
        ...

    def due(self) -> int:
        """Keys that wait and could be looked at now."""
        ...

    def at_rest(self) -> bool:
        """Whether nothing is due or runs."""
        ...


class LookQueue:
    """A set of keys, each with the time from which on it may be looked at. No key is handed out twice at a time.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: dict[str, float] = {}
        self._running: set[str] = set()
        self._closed = False

    def wake(self, key: str, delay: float = 0.0) -> None:
        """Add a key; one that waits already keeps the earlier of the two times."""
        due = self._clock() + delay
        with self._changed:
            self._waiting[key] = min(due, self._waiting.get(key, due))
            self._changed.notify_all()  # one alone might wake somebody who waits for the queue to be idle

    def take(self, timeout: float | None = None) -> str | None:
        """The next key that is due and that nobody works on; none when the queue is closed or `timeout` seconds are over."""
        end = None if timeout is None else self._clock() + timeout
        with self._changed:
            while not self._closed:
                now = self._clock()
                due = sorted((at, key) for key, at in self._waiting.items() if key not in self._running)
                if due and due[0][0] <= now:
                    key = due[0][1]
                    del self._waiting[key]
                    self._running.add(key)
                    return key
                if end is not None and now >= end:
                    return None
                waits = [at - now for at, _ in due[:1]] + ([end - now] if end is not None else [])
                self._changed.wait(min(waits, default=None))
            return None

    def done(self, key: str) -> None:
        """The look at a key has ended: it may be handed out again."""
        with self._changed:
            self._running.discard(key)
            self._changed.notify_all()

    def close(self) -> None:
        """Hand out nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def due(self) -> int:
        """Keys that wait and could be looked at now."""
        now = self._clock()
        with self._changed:
            return sum(at <= now for at in self._waiting.values())

    def wait_idle(self, timeout: float) -> bool:
        """Whether nothing is due or runs, within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(self._idle, timeout)

    def _idle(self) -> bool:
        now = self._clock()
        return not self._running and all(at > now for at in self._waiting.values())


class Workers:
    """The scheduler of one process: threads that look, and one that wakes every known repository from time to time.

    Args:
        queue: what to look at.
        look: the look itself.
        known: every repository there is.
        count: threads.
        every: seconds between two rounds of the timer.
        jitter: a number from 0 to 1, another one each time: what failed together is not tried again together.
    """

    def __init__(
        self,
        queue: LookQueue,
        look: Look,
        known: Known,
        count: int = 4,
        every: float = 300.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._jitter = jitter
        self._queue, self._look, self._known, self._every = queue, look, known, every
        self._stopped = threading.Event()
        self._failures: dict[str, int] = {}
        self._threads = [
            threading.Thread(target=self._work, name=f"look-{n}", daemon=True) for n in range(count)
        ]
        self._threads.append(threading.Thread(target=self._tick, name="timer", daemon=True))

    def start(self) -> None:
        """Start all threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Let the looks that run end, and start no other; waits at most `timeout` seconds for each thread."""
        self._stopped.set()
        self._queue.close()
        for thread in self._threads:
            thread.join(timeout)

    def wake(self, key: str, delay: float = 0.0) -> None:
        """Look at this key, at once or in `delay` seconds."""
        self._queue.wake(key, delay)

    def due(self) -> int:
        """Keys that wait and could be looked at now."""
        return self._queue.due()

    def at_rest(self) -> bool:
        """Whether nothing is due or runs."""
        return self._queue.wait_idle(0)

    def run_next(self, timeout: float = 0.0) -> bool:
        """One look in the calling thread, if any is due within `timeout` seconds: what a worker does, step by step."""
        key = self._queue.take(timeout)
        if key is None:
            return False
        self._one(key)
        return True

    def wake_all(self) -> None:
        """Look at every known repository: what the timer does."""
        for key in self._known():
            self._queue.wake(key)

    def _work(self) -> None:
        while (key := self._queue.take()) is not None:
            self._one(key)

    def _one(self, key: str) -> None:
        try:
            again = self._look(key)
            self._failures.pop(key, None)
        except Exception as error:
            self._failures[key] = failures = self._failures.get(key, 0) + 1
            longest = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(failures - 1, 20))
            again = longest * (0.5 + self._jitter() / 2)
            wait = round(again, 1)
            if isinstance(error, EXPLAINED):
                log.error("look failed", repository=key, retry_in=wait, why=str(error))
            else:
                log.exception("look failed", repository=key, retry_in=wait)
        finally:
            self._queue.done(key)
        if again is not None:
            self._queue.wake(key, again)

    def _tick(self) -> None:
        while not self._stopped.wait(self._every):
            self.wake_all()
