"""Forty experiments through a real `pawl serve` that is killed again and again, while webhooks and answers get lost."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from faults_kit import LOOP, NAME, SOURCE, WRITES, World, config, faulty_world

from pawl.core.chain import LEDGER_BRANCH
from pawl.core.ledger import Measured
from pawl.core.measurement import Record, Request
from pawl.localhub.faults import Faults

pytestmark = [
    pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning"),  # see faults_kit
    pytest.mark.timeout(900),  # two minutes and a half on a quiet machine; it starts thirteen processes
]

EXPERIMENTS, KILLS = 40, 12
WRITES_BETWEEN = (15, 45)
"""How many writes the App makes between two kills, from and to."""
LOST = 0.05
"""Share of the writes that take effect and are answered 502."""
DIALS = "RATE = 0.1\nDECAY = 0.5\nWARMUP = 0.3\nSCALE = 2.5\n"
"""What `search` may turn when it has turned `AIM` beyond a thousand million, from where on it takes a number for none of
its dials. Without these it once had nothing left to propose after 34 experiments, which looked like a loop that hangs."""
WAIT = 120.0
"""Seconds without any change after which the test gives up; on a quiet machine nothing takes five."""


class Serving:
    """`pawl serve` in a process of its own, which is killed in the middle of its writes."""

    def __init__(self, world: World, home: Path, chance: random.Random) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        known = world.hub.app
        self._environment = {
            **os.environ,
            "PAWL_APP_ID": str(known.id),
            "PAWL_PRIVATE_KEY": known.private_key_pem,
            "PAWL_WEBHOOK_SECRET": known.webhook_secret,
            "PAWL_API": world.server.api_url,
            "PAWL_DATABASE": f"sqlite:///{home / 'serve.db'}",
            "PAWL_PORT": str(self.port),
            "PAWL_TIMER": "1",
            "PAWL_SECONDS_BETWEEN_WRITES": "0",
        }
        self._log, self._chance = home / "serve.log", chance
        self._changed = world.hub.store.changed
        self.kills = 0
        self._writes_left = 0
        self.start()

    def start(self) -> None:
        """Start it, to be killed some writes from now."""
        self._writes_left = self._chance.randint(*WRITES_BETWEEN)
        command = [sys.executable, "-m", "pawl", "serve"]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        threading.Thread(target=self._mourn, args=(self.process,), daemon=True).start()

    def _mourn(self, process: subprocess.Popen[bytes]) -> None:
        """Its end is a change that the test waits for, too: a killed process writes nothing that would wake it."""
        process.wait()
        with self._changed:
            self._changed.notify_all()

    def wrote(self) -> None:
        """It has made a write, of which it gets no answer if this was its last one."""
        self._writes_left -= 1
        if self._writes_left == 0 and self.kills < KILLS:
            self.kills += 1
            self.process.kill()

    def stop(self) -> None:
        """End it for good."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log(self) -> str:
        """The end of what it said."""
        return self._log.read_text()[-4000:]


class Crashing(Faults):
    """Some writes take effect and are answered 502; every write may be the process's last."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance
        self.serving: Serving | None = None
        self.lost = 0

    def take(self, kind: str, method: str, path: str) -> int:
        if kind != "after" or method not in WRITES or "access_tokens" in path:
            return 0
        if self.serving is not None:
            self.serving.wrote()
        if self._chance.random() >= LOST:
            return 0
        self.lost += 1
        return 502


@contextmanager
def serving(world: World, home: Path, chance: random.Random) -> Iterator[Serving]:
    """The App in its own process, on a GitHub that answers badly."""
    faults = Crashing(chance)
    world.hub.faults = faults
    made = faults.serving = Serving(world, home, chance)
    try:
        yield made
    finally:
        faults.serving = None
        made.stop()


def deliver(world: World, port: int, chance: random.Random) -> None:
    """Half of the webhooks that wait get lost, the others come twice, in any order."""
    waiting = [item for item in world.hub.deliveries if item["key"] == "pending"]
    for item in waiting:
        world.hub.store.save({**item, "key": "done", "delivered_at": "2020-01-01T00:00:00Z"})
    kept = 2 * [item for item in waiting if chance.random() < 0.5]
    for item in chance.sample(kept, len(kept)):
        data = json.dumps(item["payload"]).encode()
        headers = world.hub.events.headers(item, data)
        try:
            requests.post(f"http://127.0.0.1:{port}/webhooks", data=data, headers=headers, timeout=10)
        except requests.RequestException:
            continue  # nobody listens: this one is lost, too


def started(world: World) -> list[Any]:
    """Every run that the runner has begun is noted here from now on."""
    runs: list[Any] = []

    def noted(request: Request, record: Record) -> Record:
        runs.extend(record.runs)
        return record

    world.forge = noted
    return runs


def test_forty_experiments_survive_kills_lost_webhooks_and_lost_answers(tmp_path: Path) -> None:
    """Every experiment ends exactly once, nothing is said or merged twice, and every started run is counted."""
    chance = random.Random(11)
    text = config(EXPERIMENTS).replace(
        f"{{experiments: {EXPERIMENTS}}}", f"{{experiments: {EXPERIMENTS}, merges_per_day: {EXPERIMENTS}}}"
    )
    with faulty_world(tmp_path, {}, text) as world:
        world.processes.pop().app.database.close()
        # A timer that wakes every second asks for more than GitHub gives in an hour.
        world.hub.rate_limit = 10**6
        world.push({f"{LOOP}/train.py": SOURCE + DIALS})
        runs, seen = started(world), ""
        ended: dict[int, str] = {}
        with serving(world, tmp_path, chance) as app:
            changed = world.hub.store.changed

            def something() -> bool:
                waits = any(item["key"] == "pending" for item in world.hub.deliveries)
                queued = any(job["status"] == "queued" for job in world.jobs())
                return waits or queued or app.process.poll() is not None or world.tip(LEDGER_BRANCH) != seen

            while len(ended) < EXPERIMENTS:
                with changed:
                    assert changed.wait_for(something, WAIT), (ended, world.writes()[-20:], app.log())
                if app.process.poll() is not None:
                    app.start()
                deliver(world, app.port, chance)
                world.measure()
                if world.tip(LEDGER_BRANCH) != seen:
                    seen = world.tip(LEDGER_BRANCH) or ""
                    ended = world.outcomes()
            faults = world.hub.faults
            assert isinstance(faults, Crashing)
            assert (app.kills, faults.lost > 10) == (KILLS, True), faults.lost
        world.start()
        world.settle().once()
        assert sorted(world.outcomes()) == list(range(1, EXPERIMENTS + 1))
        assert {"merged", "closed"} <= set(world.outcomes().values())
        counted = Counter(
            (run.stage, run.arm, run.place, run.seed)
            for line in world.lines()
            if isinstance(line, Measured)
            for run in line.runs
        )
        begun = Counter((run.stage, run.arm, run.place, run.seed) for run in runs)
        assert begun == {run: count for run, count in counted.items() if run in begun}
        assert NAME in world.app._repositories
