"""The App behind a scheduler of another kind: what takes its looks is a port, and nothing else of it knows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from faults_kit import BETTER, Later, Process, config, faulty_world

from pawl.control.app import PawlApp
from pawl.control.queue import Known, Look
from pawl.github.errors import GitHubError

pytestmark = [
    pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning"),
    pytest.mark.usefixtures("quiet"),
]


class Table:
    """Looks as rows of a database, as a queue for several processes has them: one row a key, for whoever takes it first."""

    def __init__(self, look: Look, known: Known, clock: Callable[[], float]) -> None:
        self._look, self._known, self._clock = look, known, clock
        self._rows = sqlite3.connect(":memory:", isolation_level=None)
        self._rows.execute("CREATE TABLE looks (key TEXT PRIMARY KEY, due REAL)")
        self.taken = 0

    def wake(self, key: str, delay: float = 0.0) -> None:
        upsert = (
            "INSERT INTO looks VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET due = min(due, excluded.due)"
        )
        self._rows.execute(upsert, (key, self._clock() + delay))

    def start(self) -> None:
        self.wake_all()

    def stop(self) -> None:
        self._rows.close()

    def due(self) -> int:
        counted = self._rows.execute("SELECT count(*) FROM looks WHERE due <= ?", (self._clock(),))
        return int(counted.fetchone()[0])

    def at_rest(self) -> bool:
        return self.due() == 0

    def wake_all(self) -> None:
        for key in self._known():
            self.wake(key)

    def run_next(self) -> bool:
        take = "DELETE FROM looks WHERE key = (SELECT key FROM looks WHERE due <= ? ORDER BY due LIMIT 1) RETURNING key"
        row = self._rows.execute(take, (self._clock(),)).fetchone()
        if row is None:
            return False
        self.taken += 1
        try:
            again = self._look(row[0])
        except GitHubError:
            again = 1.0
        if again is not None:
            self.wake(row[0], again)
        return True


def test_the_app_works_behind_another_scheduler(tmp_path: Path) -> None:
    """The port once was a class that nobody used: the App made threads and a queue of its own, whatever it was given."""
    with faulty_world(tmp_path, {1: BETTER}, config(1)) as world:
        settings = world.app.settings
        world.processes.pop().app.database.close()
        made: list[Table] = []

        def schedule(look: Look, known: Known) -> Table:
            made.append(Table(look, known, lambda: world.now))
            return made[0]

        later = Later()
        app = PawlApp(
            settings, seconds=lambda: world.now, proposals=later, reactions=later, schedule=schedule
        )
        world.processes.append(Process(app, later))
        made[0].start()
        world.settle().once()
        assert world.outcomes() == {1: "merged"}
        assert app.at_rest()
        assert b"pawl_looks_waiting 0.0" in app.metrics()
        assert made[0].taken, "it was this one that looked"
        app.stop()
