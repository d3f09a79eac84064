"""The database is taken away or damaged while experiments are in flight: nothing is lost, and the log says what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from faults_kit import World, faulty_world
from structlog.testing import capture_logs

from full_disk import full_disk

pytestmark = [
    pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning"),
    pytest.mark.usefixtures("quiet"),
]

RESULT = {1: "closed", 2: "merged"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with faulty_world(tmp_path) as made:
        yield made


def files(world: World) -> list[Path]:
    return sorted(world.home.glob("pawl.db*"))


def test_a_database_that_is_removed_while_a_job_runs_is_not_missed(world: World) -> None:
    world.running = lambda request: [path.unlink() for path in files(world)] and None
    assert world.settle().outcomes() == RESULT
    world.once()


def damage(world: World) -> None:
    """What a copy that was cut short leaves behind, as the next connection finds it."""
    world.app.database.close()
    for path in files(world):
        path.unlink()
    (world.home / "pawl.db").write_bytes(b"SQLite format 3\0" + bytes(84))


def test_a_database_that_is_damaged_while_a_job_runs_is_told_and_loses_nothing(world: World) -> None:
    """Its looks ended in a page of traceback each, in which nothing said that the file may simply be removed."""
    structlog.reset_defaults()
    world.turn()
    world.running = lambda request: damage(world)
    # It can take no delivery now. GitHub is told so, and asked again; here the timer alone is to do.
    world.webhooks, world.timer = (lambda waiting: []), True
    with capture_logs() as logs:
        for _ in range(4):
            world.turn()
            world.now += 1000
    failed = [entry for entry in logs if entry["event"] == "look failed"]
    assert failed
    assert all("remove the file" in entry["why"] and "exc_info" not in entry for entry in failed)
    assert world.outcomes() != RESULT
    for path in files(world):
        path.unlink()
    world.running = lambda request: None
    world.kill()
    assert world.settle().outcomes() == RESULT
    world.once()


def test_what_a_full_disk_kept_out_is_asked_for_again_once_there_is_space(world: World) -> None:
    """Each round had it delivered again while the disk was still full, until its few attempts were used up."""
    structlog.reset_defaults()
    world.settle()
    world.label("pawl:paused")
    answers: list[int] = []

    def deliver(waiting: list[dict[str, Any]]) -> list[dict[str, Any]]:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        for item in waiting:
            data = json.dumps(item["payload"]).encode()
            headers = world.hub.events.headers(item, data)
            answer = world.processes[-1].client.post("/webhooks", data=data, headers=headers)
            answers.append(answer.status_code)
            done = {"key": "done", "delivered_at": now, "status_code": answer.status_code}
            world.hub.store.save({**item, **done})
        return []

    world.webhooks = deliver
    with full_disk(world.app.database), capture_logs() as logs:
        for _ in range(5):
            world.app.workers.wake_all()
            world.turn()
        assert set(answers) == {503}
        assert world.processes[-1].client.get("/readyz").status_code == 503
    told = [entry for entry in logs if entry["log_level"] == "error"]
    assert len(told) == len(answers)
    assert all("disk is full" in entry["why"] and "exc_info" not in entry for entry in told)
    answers.clear()
    world.app.workers.wake_all()
    world.settle()
    assert world.processes[-1].client.get("/readyz").status_code == 200
    assert set(answers) == {202}
