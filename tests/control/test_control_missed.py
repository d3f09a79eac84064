"""Webhooks that were lost are asked for again, a few times, and counted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

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


def lose(world: World, count: int) -> list[dict[str, Any]]:
    """Deliveries, the last ones, that did not arrive."""
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    lost = [item for item in world.hub.deliveries if item["key"] == "done"][-count:]
    for item in lost:
        world.hub.store.save({**item, "status_code": 502, "delivered_at": now})
    return lost


def waiting(world: World) -> list[str]:
    return [item["guid"] for item in world.hub.deliveries if item["key"] == "pending"]


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("status", [404, 410, 422])
def test_an_attempt_that_github_has_forgotten_keeps_no_other_from_being_made(
    world: World, status: int
) -> None:
    """The first refusal used to end the round, and the round after it began with the same one."""
    world.settle()
    first, second = lose(world, 2)
    world.hub.faults.fail_before("POST", f"/deliveries/{first['id']}/attempts", status=status)
    world.app.workers.wake_all()
    world.look()
    assert waiting(world) == [second["guid"]]


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_list_that_cannot_be_read_costs_nothing_but_itself(world: World, status: int) -> None:
    """A cursor can expire between two pages, and old servers have no such list."""
    world.settle()
    lose(world, 1)
    world.hub.faults.fail_before("GET", "/app/hook/deliveries", status=status)
    world.app.workers.wake_all()
    world.look()
    assert waiting(world) == []
    assert world.app.ready()
    world.app.workers.wake_all()
    world.look()
    assert len(waiting(world)) == 1


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_the_record_is_read_page_by_page_by_its_own_links(world: World) -> None:
    world.settle()
    (item,) = lose(world, 1)
    now = item["delivered_at"]
    bare = {name: value for name, value in item.items() if name not in ("id", "key", "repo")}
    for number in range(150):
        fresh = {**bare, "guid": f"later-{number}", "status_code": 202, "delivered_at": now}
        world.hub.store.add("delivery", fresh, key="done")
    stamped = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    for done in [item for item in world.hub.deliveries if item["key"] == "done"]:
        world.hub.store.save({**done, "delivered_at": stamped})
    world.app.workers.wake_all()
    world.look()
    assert item["guid"] in waiting(world)


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
