"""A database of any age is brought to the form that this version knows, or left alone with a reason."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from pawl.control.database import Arrival, Database
from pawl.control.errors import SettingsError
from pawl.control.migrations import FOLDER, HEAD
from pawl.control.tables import Base

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ARRIVAL = Arrival("one", "push", "", "us/loop")


def opened(file: Path) -> Database:
    return Database(f"sqlite:///{file}")


def revision(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(found)


def test_migrations_make_what_the_tables_are(tmp_path: Path) -> None:
    """By migrations alone: what a connection adds to a new file must not hide a table that none of them makes."""
    file = tmp_path / "pawl.db"
    opened(file).close()
    with create_engine(f"sqlite:///{file}").connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    assert (revision(file), ScriptDirectory(str(FOLDER)).get_current_head()) == (HEAD, HEAD)


def test_a_database_from_before_migrations_is_emptied(tmp_path: Path) -> None:
    """It is a cache and an inbox: what its tables look like is not guessed at."""
    file = tmp_path / "pawl.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE deliveries (guid TEXT PRIMARY KEY)")
        connection.execute("INSERT INTO deliveries VALUES ('one')")
        connection.commit()
    database = opened(file)
    assert database.receive([ARRIVAL], NOW) == [True]
    database.close()
    assert revision(file) == HEAD


def test_what_is_there_stays(tmp_path: Path) -> None:
    file = tmp_path / "pawl.db"
    first = opened(file)
    assert first.receive([ARRIVAL], NOW) == [True]
    first.close()
    again = opened(file)
    assert again.receive([ARRIVAL], NOW) == [False]
    again.close()


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "pawl.db"
    opened(file).close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(SettingsError, match=r"newer version of Pawl has written .* \(its revision is 9999\)"):
        opened(file)
    assert revision(file) == "9999"


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    file = tmp_path / "pawl.db"
    code = f"from pawl.control.database import Database; Database('sqlite:///{file}').close()"
    started = [
        subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    ends = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 4, ends
    assert revision(file) == HEAD


def test_a_database_that_is_deleted_under_a_connection_is_one_of_this_version_again(tmp_path: Path) -> None:
    file = tmp_path / "pawl.db"
    database = opened(file)
    for name in ("pawl.db", "pawl.db-wal", "pawl.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    database.close()
    assert database.receive([ARRIVAL], NOW) == [True]
    database.close()
    assert revision(file) == HEAD
    opened(file).close()
