"""Few requests are left: measuring goes on, new proposals and the timer's rounds wait, and GitHub's word is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from faults_kit import BETTER, NAME, WORSE, World, config, faulty_world

from pawl.localhub.errors import HubError

pytestmark = [
    pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning"),
    pytest.mark.usefixtures("quiet"),
]

OTHER = "octo/other"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with faulty_world(tmp_path, {1: WORSE, 2: WORSE - 0.1, 3: BETTER}, config(3)) as made:
        yield made


def test_what_is_begun_is_concluded_and_nothing_new_is_proposed_until_there_is_more(world: World) -> None:
    world.look()
    world.hub.rate_spent = int(0.95 * world.hub.rate_limit)
    world.settle()
    assert world.outcomes() == {1: "closed", 2: "closed"}
    assert "no proposal: few requests to GitHub are left until" in world.tracking()["body"]
    again = world.app._repositories[NAME].asks_again_in()
    assert again is not None
    assert 0 <= again <= 3600, "by itself, when the hour is over"

    before = len(world.hub.request_log)
    world.app.workers.wake_all()
    world.turn()
    after = list(world.hub.request_log)[before:]
    assert not [entry.path for entry in after if entry.repository], "the timer's round waits"

    world.hub.rate_spent = 0
    world.push({"README.md": "Something else.\n"})
    assert world.settle().outcomes() == {1: "closed", 2: "closed", 3: "merged"}
    world.once()


def test_who_is_told_to_wait_asks_nothing_meanwhile_through_that_installation(world: World) -> None:
    """A secondary limit: who goes on asking is shut out for longer. Every repository of the account waits."""

    def limit() -> None:
        raise HubError(403, "You have exceeded a secondary rate limit")

    world.hub.create_repository(OTHER)
    world.hub.push_files(OTHER, {"README.md": "Nothing.\n"}, "Begin")
    world.hub.installations.install(OTHER)
    world.turn()
    world.hub.faults.on_request("POST", "/check-runs", limit)
    while not world.app._waits:
        world.turn()
    before = len(world.hub.request_log)
    for second in (0, 30, 29):
        world.now += second
        world.app.workers.wake(NAME)
        world.app.workers.wake(OTHER)
        assert world.look()
        assert len(world.hub.request_log) == before
    assert world.settle().outcomes() == {1: "closed", 2: "closed", 3: "merged"}
    world.once()
