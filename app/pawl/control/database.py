"""Pawl's own database: an inbox and a cache. It can be deleted at any time, and nothing is lost with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, create_engine, delete, event, insert, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from pawl.control.errors import DatabaseUnusable
from pawl.control.migrations import HEAD, migrate
from pawl.control.presses import Press
from pawl.control.tables import Base, Blob, Delivery, Pressed

KEEP_DELIVERIES = timedelta(days=7)
"""How long a delivery's id is remembered; GitHub offers deliveries for redelivery for three days."""
MAX_BLOB = 4 * 2**20
"""Bytes above which an object is not cached."""


@dataclass(frozen=True)
class Arrival:
    """What the inbox keeps of a delivery."""

    guid: str
    event: str
    action: str
    repository: str
    press: Press | None = None
    """A button that it tells of."""


_LARGEST = {
    "guid": "=" * 64, "event": "=" * 64, "action": "=" * 64, "repository": "=" * 200,
    "received_at": datetime.min.replace(tzinfo=UTC),
}  # fmt: skip
"""No delivery, but as large as any: where it can be noted, one can."""


class Database:
    """The inbox and the cache behind one SQLAlchemy address, brought to the newest form first.

    Raises:
        SettingsError: a newer version of Pawl has written it.
    """

    def __init__(self, address: str) -> None:
        self._engine: Engine = create_engine(address)
        self._writing = threading.Lock()
        self._refuses = False
        """Whether something could not be written, and no delivery has been noted since: its disk may be full."""
        self._delivery, self._pressed = (_Row(table, self._engine.dialect) for table in (Delivery, Pressed))
        self._driver: Any = self._engine.dialect.loaded_dbapi
        if address.startswith("sqlite"):
            _migrate_sqlite(address)
            event.listen(self._engine, "connect", _tune_sqlite)
        else:
            with self._engine.begin() as connection:
                migrate(connection)

    def receive(self, arrivals: Iterable[Arrival], now: datetime) -> list[bool]:
        """Note deliveries, with the presses that they tell of, all or none; false for each that was noted before.

        Raises:
            DatabaseUnusable: they cannot be noted.
        """
        try:
            with self._writing, closing(self._engine.raw_connection()) as connection:
                cursor = connection.cursor()
                fresh = [self._note(cursor, each, now) for each in arrivals]
                connection.commit()
        except (self._driver.Error, SQLAlchemyError) as error:
            self._refuses = True
            raise DatabaseUnusable(error) from error
        if any(fresh):
            self._refuses = False
        return fresh

    def _note(self, cursor: Any, arrival: Arrival, now: datetime) -> bool:
        noted = self._delivery.put(
            cursor, guid=arrival.guid, event=arrival.event, action=arrival.action, repository=arrival.repository,
            received_at=now,
        )  # fmt: skip
        if arrival.press is None or not noted:
            return noted
        return self._pressed.put(cursor, repository=arrival.repository, **asdict(arrival.press))

    def idle(self) -> bool:
        """Whether nobody writes just now, so that a delivery would be noted at once."""
        return not self._writing.locked()

    def presses(self, repository: str) -> list[Press]:
        """A repository's presses that have no answer yet."""
        with self._engine.connect() as connection:
            columns = [Pressed.__table__.c[item.name] for item in fields(Press)]
            found = connection.execute(select(*columns).where(Pressed.repository == repository))
            return [Press(*row) for row in found]

    def forget_presses(self, presses: Iterable[Press]) -> None:
        """These have been seen to."""
        answered = [press.id for press in presses]
        with self._write() as connection:
            connection.execute(delete(Pressed).where(Pressed.id.in_(answered)))

    def forget_deliveries(self, now: datetime) -> None:
        """Drop the ids of deliveries that can no longer come again."""
        with self._write() as connection:
            connection.execute(delete(Delivery).where(Delivery.received_at < now - KEEP_DELIVERIES))

    def forget_others(self, repositories: Collection[str]) -> None:
        """Drop the rows of every repository but these: the App left the others, or they have other names now."""
        with self._write() as connection:
            for table in (Blob, Delivery, Pressed):
                known = connection.execute(select(table.repository).distinct()).scalars()
                for name in set(known) - {*repositories, ""}:
                    connection.execute(delete(table).where(table.repository == name))

    def replace(self, repository: str, objects: Mapping[str, bytes]) -> None:
        """Let a repository's cache hold these objects and no others, at once for every reader."""
        rows = [
            {"repository": repository, "sha": sha, "data": data}
            for sha, data in objects.items()
            if len(data) <= MAX_BLOB
        ]
        with self._write() as connection:
            connection.execute(delete(Blob).where(Blob.repository == repository))
            if rows:
                connection.execute(insert(Blob), rows)

    def ready(self) -> bool:
        """Whether the database answers, is one, and takes what is written to it: tried where it refused the last time."""
        try:
            if self._refuses:
                with self._write() as connection:
                    connection.execute(insert(Delivery).values(_LARGEST))
                    connection.execute(delete(Delivery).where(Delivery.guid == _LARGEST["guid"]))
                self._refuses = False
            with self._engine.connect() as connection:
                connection.execute(select(Delivery.guid).limit(1))
        except SQLAlchemyError:
            return False
        return True

    def blobs(self, repository: str) -> BlobCache:
        """The cache of one repository's objects; no other repository's can be read through it."""
        return BlobCache(self._engine, self._write, repository)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        """A transaction, of which there is one at a time."""
        with self._writing:
            try:
                with self._engine.begin() as connection:
                    yield connection
            except IntegrityError:
                raise
            except SQLAlchemyError:
                self._refuses = True
                raise


class _Row:
    """An INSERT for the driver itself. Every delivery waits for one, and SQLAlchemy's own takes three times as long.

    It is written as SQLite and PostgreSQL have it.

    Args:
        table: where the row goes.
        dialect: whose words and types it is in.
    """

    def __init__(self, table: type[Base], dialect: Dialect) -> None:
        made = insert(table).compile(dialect=dialect)
        self._statement, self._order = f"{made} ON CONFLICT DO NOTHING", made.positiontup
        types = {name: bound.type.dialect_impl(dialect) for name, bound in made.binds.items()}
        self._to_driver = {name: each.bind_processor(dialect) for name, each in types.items()}

    def put(self, cursor: Any, **values: Any) -> bool:
        """Insert it; false if there is one of its name."""
        given = {name: to(values[name]) if to else values[name] for name, to in self._to_driver.items()}
        cursor.execute(self._statement, tuple(given[name] for name in self._order) if self._order else given)
        return bool(cursor.rowcount)


class BlobCache:
    """Objects of one repository by their git names."""

    def __init__(
        self, engine: Engine, write: Callable[[], AbstractContextManager[Connection]], repository: str
    ) -> None:
        self._engine, self._write, self._repository = engine, write, repository

    def get(self, sha: str) -> bytes | None:
        """The object, if it is cached."""
        with self._engine.connect() as connection:
            found = select(Blob.data).where(Blob.repository == self._repository, Blob.sha == sha)
            return connection.execute(found).scalar()

    def put(self, sha: str, data: bytes) -> None:
        """Cache an object; a large one is not."""
        if len(data) > MAX_BLOB:
            return
        with suppress(IntegrityError), self._write() as connection:  # somebody was faster
            connection.execute(insert(Blob).values(repository=self._repository, sha=sha, data=data))


def _migrate_sqlite(address: str) -> None:
    """Under SQLite's write lock from the first statement on, so that of two processes that start at once one waits."""

    def connected(connection: object, _record: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]  # or the driver would begin when it likes
        connection.execute("PRAGMA busy_timeout=10000")  # type: ignore[attr-defined]

    engine = create_engine(address)
    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            migrate(connection)
    finally:
        engine.dispose()


def _tune_sqlite(connection: object, _record: object) -> None:
    cursor: Callable[..., object] = connection.execute  # type: ignore[attr-defined]
    cursor("PRAGMA journal_mode=WAL")
    cursor("PRAGMA synchronous=NORMAL")
    cursor("PRAGMA busy_timeout=10000")
    # With every connection: the file may have been deleted since the last one, and is an empty one then.
    for table in Base.metadata.sorted_tables:
        cursor(str(CreateTable(table, if_not_exists=True).compile(dialect=sqlite.dialect())))
        for index in table.indexes:
            cursor(str(CreateIndex(index, if_not_exists=True).compile(dialect=sqlite.dialect())))
    cursor("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    cursor("INSERT INTO alembic_version SELECT ? WHERE NOT EXISTS (SELECT 1 FROM alembic_version)", (HEAD,))
