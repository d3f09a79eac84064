"""Webhooks that were lost are asked for again, a few times, and counted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from faults_kit import BETTER, World, config, faulty_world
from hypothesis import given, settings
from hypothesis import strategies as st

from pawl.control.missed import ATTEMPTS, LISTED, missed
from pawl.github.app import Delivery

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def attempt(number: int, guid: str, status: int, minutes: float = 1) -> Delivery:
    at = (NOW - timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")
    return Delivery(number, guid, "push", "", at, status, False, 1, 1)


@pytest.mark.parametrize(
    ("attempts", "again"),
    [
        ([], ()),
        ([attempt(1, "a", 202)], ()),
        ([attempt(1, "a", 502)], (1,)),
        ([attempt(3, "c", 0), attempt(2, "b", 202), attempt(1, "a", 502)], (1, 3)),
        ([attempt(2, "a", 202), attempt(1, "a", 502)], ()),
        ([attempt(1, "a", 202), attempt(2, "a", 502)], ()),
        ([attempt(2, "a", 500), attempt(1, "a", 502)], (2,)),
        ([attempt(number, "a", 500) for number in range(ATTEMPTS, 0, -1)], ()),
        ([attempt(1, "a", 502, minutes=61)], ()),
        ([attempt(1, "a", 401)], (1,)),
    ],
)
def test_what_is_asked_for_again(attempts: list[Delivery], again: tuple[int, ...]) -> None:
    assert missed(attempts, NOW) == again


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from([0, 202, 500])), max_size=30))
@settings(deadline=None, derandomize=True)
def test_nothing_that_arrived_is_asked_for(told: list[tuple[str, int]]) -> None:
    attempts = [attempt(number, guid, status) for number, (guid, status) in enumerate(told)]
    arrived = {each.guid for each in attempts if each.status_code == 202}
    again = [attempts[number] for number in missed(attempts, NOW)]
    assert not {each.guid for each in again} & arrived
    assert len({each.guid for each in again}) == len(again)


def test_a_long_record_is_not_read_to_its_end() -> None:
    read = 0

    def endless() -> Iterator[Delivery]:
        nonlocal read
        while True:
            read += 1
            yield attempt(read, f"{read}", 202)

    assert missed(endless(), NOW) == ()
    assert read == LISTED + 1


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with faulty_world(tmp_path, {1: BETTER}, config(1)) as made:
        yield made
    structlog.reset_defaults()


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_lost_webhook_is_delivered_in_the_next_round(world: World) -> None:
    world.settle()
    (lost,) = [item for item in world.hub.deliveries if item["event"] == "issues"][-1:]
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    world.hub.store.save({**lost, "key": "done", "status_code": 502, "delivered_at": now})
    world.app.workers.wake_all()
    world.look()
    pending = [item for item in world.hub.deliveries if item["key"] == "pending"]
    assert [(item["guid"], item["redelivery"]) for item in pending] == [(lost["guid"], True)]
    world.hub.store.save({**pending[0], "key": "done", "status_code": 202, "delivered_at": now})
    world.app.workers.wake_all()
    world.look()
    assert not [item for item in world.hub.deliveries if item["key"] == "pending"], "it has arrived now"
    text = world.app.metrics().decode()
    assert "pawl_webhooks_redelivered_total 1.0" in text


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_figures_tell_what_was_done_and_name_no_repository(world: World) -> None:
    world.settle()
    text = world.app.metrics().decode()
    told = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line[0] != "#"
    }
    assert told["pawl_repositories"] == 1
    assert told['pawl_actions_total{action="Merge"}'] == 1
    assert told['pawl_proposals_total{outcome="edit",proposer="search"}'] == 1
    assert told["pawl_look_seconds_count"] > 3
    assert told['pawl_webhooks_total{event="push",outcome="fresh"}'] > 0
    assert world.app.metrics().decode().count("you/") == 0
    assert "loop" not in text.replace("loops", "")
