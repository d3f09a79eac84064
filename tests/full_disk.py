"""A disk that has no room left for a database, without a disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count

from sqlalchemy import Engine, event

from pawl.control.database import Arrival, Database
from pawl.control.errors import DatabaseUnusable


@contextmanager
def full_disk(database: Database) -> Iterator[None]:
    """No file of SQLite's can grow, and what room this one has inside is used up."""
    event.listen(Engine, "connect", _no_page_more)
    database.close()  # it is a limit of each connection
    try:
        numbers = count()
        for size in (64, 1):  # first by much, then until not even the least fits
            try:
                while True:
                    arrival = Arrival(f"{next(numbers)}", "x" * size, "", "")
                    database.receive([arrival], datetime.now(UTC))
            except DatabaseUnusable:
                continue
        yield
    finally:
        event.remove(Engine, "connect", _no_page_more)
        database.close()


def _no_page_more(connection: object, _record: object) -> None:
    connection.execute("PRAGMA max_page_count=1")  # type: ignore[attr-defined]  # SQLite's own: no less than there are
