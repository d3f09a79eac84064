"""Everything of the hub that is not a git object: facts in one SQLite file, one transaction per request.

Branches and tags live here too and not in git's files, so that a ref, the pull requests that follow it and the webhooks that
announce it change in one transaction, whenever the process is killed.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Fact = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS fact (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, repo INTEGER, key TEXT, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS fact_by_key ON fact (kind, key);
CREATE INDEX IF NOT EXISTS fact_by_repo ON fact (kind, repo, key);
CREATE TABLE IF NOT EXISTS ref (
    repo INTEGER NOT NULL, name TEXT NOT NULL, sha TEXT NOT NULL, PRIMARY KEY (repo, name)) WITHOUT ROWID;
"""
# GitHub's ids passed 32 bits long ago; starting above finds a client that thinks otherwise.
_FIRST_ID = 3_000_000_000


class Store:
    """Facts by kind, repository and key, and refs. A fact is a dict with `id`, `repo` and `key` among its values."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        if not self._db.execute("SELECT 1 FROM sqlite_sequence WHERE name='fact'").fetchone():
            self._db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('fact', ?)", (_FIRST_ID,))
        self._lock = threading.RLock()
        self._depth = 0
        self.changed = threading.Condition(self._lock)
        """Notified after every commit; wait on it (holding it) for something to become true."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction; a nested one joins the outer one. An exception undoes all of it."""
        with self._lock:
            if self._depth:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            else:
                self._db.execute("COMMIT")
                self.changed.notify_all()
            finally:
                self._depth = 0

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def add(self, kind: str, body: Fact, repo: int | None = None, key: str | int | None = None) -> Fact:
        """Store a new fact and return it with its id."""
        fact = {**body, "repo": repo, "key": None if key is None else str(key)}
        with self.transaction():
            cursor = self._db.execute(
                "INSERT INTO fact (kind, repo, key, body) VALUES (?, ?, ?, ?)",
                (kind, repo, fact["key"], json.dumps(fact)),
            )
        return {**fact, "id": cursor.lastrowid}

    def save(self, fact: Fact) -> None:
        """Store what changed in a fact."""
        body = {name: value for name, value in fact.items() if name != "id"}
        with self.transaction():
            self._db.execute(
                "UPDATE fact SET repo = ?, key = ?, body = ? WHERE id = ?",
                (fact["repo"], fact["key"], json.dumps(body), fact["id"]),
            )

    def remove(self, fact: Fact) -> None:
        """Forget a fact."""
        with self.transaction():
            self._db.execute("DELETE FROM fact WHERE id = ?", (fact["id"],))

    def get(self, kind: str, fact_id: int | None) -> Fact | None:
        """The fact of that kind and id."""
        return next(self._rows("kind = ? AND id = ?", (kind, fact_id)), None)

    def find(self, kind: str, key: str | int, repo: int | None = None) -> Fact | None:
        """The newest fact with that key."""
        found = self.all(kind, repo=repo, key=key)
        return found[-1] if found else None

    def all(self, kind: str, repo: int | None = None, key: str | int | None = None) -> list[Fact]:
        """Facts of a kind in the order they were added, of one repository or key where given."""
        where, values = "kind = ?", [kind]
        if repo is not None:
            where, values = where + " AND repo = ?", [*values, str(repo)]
        if key is not None:
            where, values = where + " AND key = ?", [*values, str(key)]
        return list(self._rows(where, tuple(values)))

    def _rows(self, where: str, values: tuple[Any, ...]) -> Iterator[Fact]:
        with self._lock:
            rows = self._db.execute(
                f"SELECT id, body FROM fact WHERE {where} ORDER BY id",  # noqa: S608 (no value is in the text)
                values,
            ).fetchall()
        for fact_id, body in rows:
            yield {**json.loads(body), "id": fact_id}

    def refs(self, repo: int, prefix: str = "refs/") -> dict[str, str]:
        """Full ref names below a prefix, with the SHA each points at, sorted by name."""
        with self._lock:
            rows = self._db.execute(
                "SELECT name, sha FROM ref WHERE repo = ? AND substr(name, 1, ?) = ? ORDER BY name",
                (repo, len(prefix), prefix),
            ).fetchall()
        return dict(rows)

    def ref(self, repo: int, name: str) -> str | None:
        """The SHA a full ref name points at."""
        with self._lock:
            row = self._db.execute("SELECT sha FROM ref WHERE repo = ? AND name = ?", (repo, name)).fetchone()
        return row[0] if row else None

    def set_ref(self, repo: int, name: str, sha: str | None) -> None:
        """Point a ref at a SHA; None deletes it."""
        with self.transaction():
            if sha is None:
                self._db.execute("DELETE FROM ref WHERE repo = ? AND name = ?", (repo, name))
            else:
                self._db.execute("INSERT OR REPLACE INTO ref VALUES (?, ?, ?)", (repo, name, sha))
