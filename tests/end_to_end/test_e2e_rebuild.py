"""The database made anew from GitHub: what was damaged is found and mended, and nothing else is touched."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from faults_kit import BETTER, NAME, World, config, faulty_world
from world_kit import run_pawl

pytestmark = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # see faults_kit


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A loop whose one experiment is over."""
    with faulty_world(tmp_path, {1: BETTER}, config(1)) as made:
        made.settle().once()
        yield made


def rebuild(world: World, *arguments: str) -> tuple[int, str]:
    """The command, beside a server that has the database open."""
    known = world.hub.app
    done = run_pawl(
        "rebuild",
        *arguments,
        PAWL_APP_ID=str(known.id),
        PAWL_PRIVATE_KEY=known.private_key_pem,
        PAWL_WEBHOOK_SECRET=known.webhook_secret,
        PAWL_API=world.server.api_url,
        PAWL_DATABASE=f"sqlite:///{world.home / 'pawl.db'}",
    )
    return done.returncode, done.stdout


def rows(world: World, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(world.home / "pawl.db")) as connection:
        found = connection.execute(statement).fetchall()
        connection.commit()
        return found


def test_a_sound_cache_is_confirmed(world: World) -> None:
    before, writes = rows(world, "SELECT guid FROM deliveries"), len(world.writes())
    rebuild(world)
    code, said = rebuild(world)
    assert code == 0
    assert said.startswith(f"{NAME}: ")
    assert "lacked 0 and had 0 otherwise; replaced" in said
    assert rows(world, "SELECT guid FROM deliveries") == before
    assert len(world.writes()) == writes, "nothing on GitHub is changed"


def test_an_object_that_somebody_damaged_is_named_and_mended(world: World) -> None:
    rebuild(world)
    rows(
        world,
        "UPDATE blobs SET data = 'x' WHERE sha = (SELECT sha FROM blobs WHERE sha NOT LIKE '%:%' LIMIT 1)",
    )
    code, said = rebuild(world, "--dry-run")
    assert (code, said.count("was not what GitHub has")) == (1, 1)
    assert "had 1 otherwise; left as they are" in said
    code, said = rebuild(world)
    assert (code, said.count("was not what GitHub has")) == (1, 1)
    assert rebuild(world)[0] == 0
    world.kill()
    world.settle().once()


def test_a_database_that_is_gone_is_there_again(world: World) -> None:
    world.processes[-1].app.database.close()
    for name in ("pawl.db", "pawl.db-wal", "pawl.db-shm"):
        (world.home / name).unlink(missing_ok=True)
    code, said = rebuild(world)
    assert code == 0
    assert "the cache had 0 of them" in said
    assert rows(world, "SELECT count(*) FROM blobs") != [(0,)]


def test_rows_of_a_repository_that_the_app_left_are_dropped(world: World) -> None:
    rows(world, "INSERT INTO blobs VALUES ('gone/away', 'abc', 'x')")
    rebuild(world)
    assert rows(world, "SELECT count(*) FROM blobs WHERE repository = 'gone/away'") == [(0,)]


def test_a_loop_that_cannot_be_looked_at_is_told(world: World) -> None:
    world.push({"aim/train.py": None})
    code, said = rebuild(world)
    assert code == 1
    assert "cannot be looked at: aim: aim/train.py is not on main" in said
