"""The inbox and the cache: what is remembered, what is kept apart, and what happens when the file goes away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from full_disk import full_disk
from pawl.control.database import KEEP_DELIVERIES, MAX_BLOB, Arrival, Database
from pawl.control.errors import DatabaseUnusable
from pawl.control.presses import Press

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'pawl.db'}")
    yield made
    made.close()


def _receive(database: Database, guid: str, at: datetime = NOW) -> bool:
    return database.receive([Arrival(guid, "push", "", "us/loop")], at) == [True]


def test_a_delivery_is_new_once(database: Database) -> None:
    assert _receive(database, "one")
    assert not _receive(database, "one")
    assert _receive(database, "two")


def test_those_that_come_together_are_new_once_each(database: Database) -> None:
    press = Press("digest", "ann", "merge", "pawl/lab", "1.0", "abc")
    pushes = [Arrival(guid, "push", "", "us/loop") for guid in ("one", "two", "one")]
    presses = [Arrival(guid, "check_run", "", "us/loop", press) for guid in ("three", "three", "replayed")]
    assert _receive(database, "two")
    assert database.receive([*pushes, *presses], NOW) == [True, False, False, True, False, False]
    assert database.presses("us/loop") == [press]


def test_a_delivery_is_known_after_a_restart(tmp_path: Path, database: Database) -> None:
    assert _receive(database, "one")
    again = Database(f"sqlite:///{tmp_path / 'pawl.db'}")
    assert not _receive(again, "one")
    again.close()


def test_one_delivery_from_many_threads_is_new_once(database: Database) -> None:
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(_receive(database, "one"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == [False] * 7 + [True]


def test_deliveries_are_forgotten_when_none_can_come_again(database: Database) -> None:
    assert _receive(database, "old", NOW - KEEP_DELIVERIES - timedelta(seconds=1))
    assert _receive(database, "new", NOW - timedelta(days=3))
    database.forget_deliveries(NOW)
    assert _receive(database, "old")
    assert not _receive(database, "new")


def test_an_object_is_kept_under_its_name(database: Database) -> None:
    blobs = database.blobs("us/loop")
    assert blobs.get("a" * 40) is None
    blobs.put("a" * 40, b"\x00\xff bytes")
    blobs.put("a" * 40, b"\x00\xff bytes")
    assert blobs.get("a" * 40) == b"\x00\xff bytes"


def test_no_repository_reads_anothers_objects(database: Database) -> None:
    """A private repository's file must not be readable by naming its SHA elsewhere."""
    database.blobs("us/private").put("a" * 40, b"secret")
    assert database.blobs("us/public").get("a" * 40) is None
    assert database.blobs("us/privat").get("a" * 40) is None
    database.blobs("us/public").put("a" * 40, b"mine")
    assert database.blobs("us/private").get("a" * 40) == b"secret"


def test_a_large_object_is_not_cached(database: Database) -> None:
    blobs = database.blobs("us/loop")
    blobs.put("a" * 40, b"x" * (MAX_BLOB + 1))
    assert blobs.get("a" * 40) is None


def test_the_file_may_be_deleted_while_it_is_in_use(tmp_path: Path, database: Database) -> None:
    """Connections that are opened afterwards find an empty file, and go on with it.

    They used to find no tables in it, so that every webhook and every look failed until the next restart.
    """
    assert _receive(database, "one")
    database.blobs("us/loop").put("a" * 40, b"bytes")
    for path in tmp_path.glob("pawl.db*"):
        path.unlink()
    assert database.ready()
    _receive(database, "two")
    database.close()  # every pooled connection goes, as it may at any time
    assert database.ready()
    assert _receive(database, "three")
    assert not _receive(database, "three")
    blobs = database.blobs("us/loop")
    assert blobs.get("a" * 40) is None
    blobs.put("a" * 40, b"bytes")
    assert blobs.get("a" * 40) == b"bytes"
    database.forget_deliveries(NOW)


def test_a_damaged_database_is_not_ready(tmp_path: Path, database: Database) -> None:
    """It used to be, since the question that was asked needed no file."""
    database.close()
    (tmp_path / "pawl.db").write_bytes(b"no database" * 1000)
    assert not database.ready()


def test_a_database_that_does_not_answer_is_not_ready(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    database = Database(f"sqlite:///{folder / 'pawl.db'}")
    assert database.ready()
    database.close()
    for path in folder.glob("*"):
        path.unlink()
    folder.rmdir()
    assert not database.ready()
    database.close()


def test_a_database_on_a_full_disk_is_not_ready_until_there_is_space(database: Database) -> None:
    """It was, since it can still be read: whoever watches the server was told that all is well."""
    with full_disk(database):
        with pytest.raises(DatabaseUnusable, match="full"):
            _receive(database, "one")
        assert not database.ready()
    assert database.ready()
    assert _receive(database, "one")


def test_a_full_disk_that_only_the_cache_has_met_is_told_too(database: Database) -> None:
    with full_disk(database):
        with pytest.raises(OperationalError, match="full"):
            database.blobs("us/loop").put("a" * 40, b"x" * 10_000)
        assert not database.ready()
    database.blobs("us/loop").put("a" * 40, b"x" * 10_000)
    assert database.ready()


def test_memory_will_do_for_a_try() -> None:
    database = Database("sqlite://")
    assert database.ready()
    assert _receive(database, "one")
    assert not _receive(database, "one")
    database.close()
