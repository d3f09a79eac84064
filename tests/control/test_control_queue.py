"""The queue of looks and its workers, on a clock that the test moves."""

from __future__ import annotations

import threading

import pytest

from pawl.control.queue import FIRST_RETRY, LONGEST_RETRY, LookQueue, Workers

pytestmark = pytest.mark.usefixtures("quiet")


class Clock:
    """Seconds that go forward when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> LookQueue:
    return LookQueue(clock)


def test_a_key_that_is_woken_often_is_taken_once(queue: LookQueue) -> None:
    for _ in range(100):
        queue.wake("a")
    assert queue.take(0) == "a"
    queue.done("a")
    assert queue.take(0) is None


def test_keys_come_in_the_order_of_their_times(queue: LookQueue, clock: Clock) -> None:
    queue.wake("late", 2)
    queue.wake("early", 1)
    assert queue.take(0) is None
    clock.now = 5
    assert [queue.take(0), queue.take(0)] == ["early", "late"]


def test_a_key_that_waits_keeps_the_earlier_time(queue: LookQueue, clock: Clock) -> None:
    queue.wake("a", 300)
    queue.wake("a")
    assert queue.take(0) == "a"
    queue.done("a")
    queue.wake("b")
    queue.wake("b", 300)
    assert queue.take(0) == "b"


def test_a_key_is_not_handed_out_twice_at_a_time(queue: LookQueue) -> None:
    """What is woken while it is looked at is looked at once more afterwards: the event may have come too late for it."""
    queue.wake("a")
    assert queue.take(0) == "a"
    queue.wake("a")
    assert queue.take(0) is None
    queue.wake("b")
    assert queue.take(0) == "b"
    queue.done("a")
    assert queue.take(0) == "a"


def test_idle_means_nothing_due_and_nothing_running(queue: LookQueue, clock: Clock) -> None:
    assert queue.wait_idle(0)
    queue.wake("a", 10)
    assert queue.wait_idle(0)
    clock.now = 10
    assert not queue.wait_idle(0)
    assert queue.take(0) == "a"
    assert not queue.wait_idle(0)
    queue.done("a")
    assert queue.wait_idle(0)


def test_a_closed_queue_hands_out_nothing(queue: LookQueue) -> None:
    queue.wake("a")
    queue.close()
    assert queue.take(0) is None
    assert queue.take(None) is None


def test_closing_wakes_whoever_waits(queue: LookQueue) -> None:
    taken: list[str | None] = []
    threads = [threading.Thread(target=lambda: taken.append(queue.take())) for _ in range(3)]
    for thread in threads:
        thread.start()
    queue.close()
    for thread in threads:
        thread.join(10)
    assert taken == [None] * 3


def test_whoever_waits_for_idleness_swallows_no_wake_up(queue: LookQueue) -> None:
    """A worker and somebody who waits for the queue to be idle wait on the same condition: a key must reach the worker."""
    queue.wake("busy")
    assert queue.take(0) == "busy"
    taken = threading.Event()

    def work() -> None:
        if queue.take() == "new":
            taken.set()

    threads = [threading.Thread(target=queue.wait_idle, args=(30,)), threading.Thread(target=work)]
    for thread in threads:
        thread.start()
    queue.wake("new")
    assert taken.wait(30)
    queue.done("new")
    queue.done("busy")
    for thread in threads:
        thread.join(30)


class Looks:
    """Looks that fail as often as they are told to."""

    def __init__(self, failures: int = 0, again: float | None = None) -> None:
        self.failures, self.again = failures, again
        self.seen: list[str] = []

    def __call__(self, key: str) -> float | None:
        self.seen.append(key)
        if len(self.seen) <= self.failures:
            raise RuntimeError("no")
        return self.again


def test_one_look_at_a_time_in_the_calling_thread(queue: LookQueue) -> None:
    looks = Looks()
    workers = Workers(queue, looks, list)
    assert not workers.run_next()
    queue.wake("a")
    assert workers.run_next()
    assert not workers.run_next()
    assert looks.seen == ["a"]


def test_a_look_that_fails_is_tried_again_ever_later(queue: LookQueue, clock: Clock) -> None:
    workers = Workers(queue, Looks(failures=12), list, jitter=lambda: 1.0)
    queue.wake("a")
    waits = []
    while workers.run_next():
        before = clock.now
        while not queue.wait_idle(0) or clock.now - before < LONGEST_RETRY:
            clock.now += 1
            if not queue.wait_idle(0):
                waits.append(clock.now - before)
                break
        else:
            break
    assert waits == [min(LONGEST_RETRY, FIRST_RETRY * 2**n) for n in range(12)]


def test_what_failed_together_is_not_tried_again_together(queue: LookQueue, clock: Clock) -> None:
    draws = iter((0.0, 1.0))
    looks = Looks(failures=2)
    workers = Workers(queue, looks, list, jitter=lambda: next(draws))
    queue.wake("a")
    queue.wake("b")
    assert workers.run_next()
    assert workers.run_next()
    clock.now += FIRST_RETRY / 2
    assert workers.run_next()
    assert not workers.run_next()
    clock.now += FIRST_RETRY / 2
    assert workers.run_next()
    assert looks.seen == ["a", "b", "a", "b"]


def test_a_look_that_succeeds_forgets_its_failures(queue: LookQueue, clock: Clock) -> None:
    looks = Looks(failures=3)
    workers = Workers(queue, looks, list)
    queue.wake("a")
    for _ in range(4):
        assert workers.run_next()
        clock.now += LONGEST_RETRY
    assert not workers.run_next()
    looks.seen.clear()
    looks.failures = 1
    queue.wake("a")
    assert workers.run_next()
    clock.now += FIRST_RETRY
    assert workers.run_next()


def test_an_event_does_not_wait_for_the_retry(queue: LookQueue) -> None:
    workers = Workers(queue, Looks(failures=1), list)
    queue.wake("a")
    assert workers.run_next()
    assert not workers.run_next()
    queue.wake("a")
    assert workers.run_next()


def test_failures_of_one_key_put_off_no_other(queue: LookQueue) -> None:
    looks = Looks(failures=1)
    workers = Workers(queue, looks, list)
    queue.wake("a")
    queue.wake("b")
    assert workers.run_next()
    assert workers.run_next()
    assert looks.seen == ["a", "b"]


def test_a_look_says_when_it_wants_to_look_again(queue: LookQueue, clock: Clock) -> None:
    workers = Workers(queue, Looks(again=60), list)
    queue.wake("a")
    assert workers.run_next()
    clock.now = 59
    assert not workers.run_next()
    clock.now = 60
    assert workers.run_next()


def test_the_timer_wakes_what_is_known(queue: LookQueue) -> None:
    looks = Looks()
    workers = Workers(queue, looks, lambda: ["a", "b"])
    workers.wake_all()
    while workers.run_next():
        pass
    assert looks.seen == ["a", "b"]


def test_threads_look_and_stop() -> None:
    """With the machine's own clock: both keys are looked at, and no thread is left behind."""
    queue, looks = LookQueue(), Looks()
    workers = Workers(queue, looks, list, count=2)
    workers.start()
    queue.wake("a")
    queue.wake("b")
    assert queue.wait_idle(10)
    workers.stop()
    assert sorted(looks.seen) == ["a", "b"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("look-", "timer"))]
