"""The database is taken away or damaged while experiments are in flight: nothing is lost, and the log says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from faults_kit import World, faulty_world
from structlog.testing import capture_logs

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
