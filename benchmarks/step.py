"""A first look, with nothing cached, at a loop that has concluded 5,000 experiments: over HTTP, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.history import history
from pawl.core.chain import LEDGER_BRANCH, SEGMENT, segment_path
from pawl.core.ledger import AnyLine
from pawl.localhub import Hub, HubServer
from pawl.messages.scaffold import workflow

EXPERIMENTS = 5_000
NAME = "us/lab"
ROUNDS = 3
CONFIG = """\
loops:
  lab:
    edit: lab/train.py
    metric: {name: score, goal: maximize}
    budget: 5m
"""
FILES: dict[str, str | None] = {
    ".github/pawl.yml": CONFIG,
    ".github/workflows/pawl.yml": workflow(),
    "lab/train.py": "RATE = 1\n",
    "lab/program.md": "# Try things\n",
}
LOOK = """
import json, sys, time
from pathlib import Path
from datetime import UTC, datetime
from pawl.core.decide import Circumstances, decide
from pawl.github.app import App
from pawl.github.requester import Pace
from pawl.github.observe import observe
from pawl.github.view import RepositoryView

told = json.load(sys.stdin)
app = App(told["app"], told["key"], told["api"], Pace(between_requests=0, between_writes=0))
view = RepositoryView(app.repository(told["name"]))
view.config()
start = time.perf_counter()
(rules,) = view.config().loops.values()
snapshot = observe(view, "lab", rules)
actions = decide(snapshot, Circumstances(datetime.now(UTC), b"key"))
took = time.perf_counter() - start
assert len(snapshot.ledger) > 10000 and actions
# What getrusage tells of a process begins with the size of the one that started it, which other benchmarks have filled.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps({"seconds": took, "peak": int(peak.split()[1]) * 1024}))
"""


def measure() -> list[Figure]:
    """The best of three processes: the others shared the machine."""
    with tempfile.TemporaryDirectory(prefix="pawl-bench-") as folder:
        hub = Hub.open(Path(folder) / "hub")
        hub.create_repository(NAME)
        hub.push_files(NAME, FILES, "Begin")
        hub.push_files(NAME, dict(_segments()), "History", branch=LEDGER_BRANCH)
        hub.installations.install(NAME)
        with HubServer(hub) as server:
            told = {
                "app": hub.app.id, "key": hub.app.private_key_pem, "api": server.api_url, "name": NAME,
            }  # fmt: skip
            rounds = [_look(told) for _ in range(ROUNDS)]
    return [
        Figure(
            f"first look at a loop with {EXPERIMENTS:,} experiments",
            min(each["seconds"] for each in rounds),
            "s",
            1.0,
            f"slowest {max(each['seconds'] for each in rounds):.2f} s; reading, checking and deciding, over HTTP",
        ),
        Figure("its process at most", max(each["peak"] for each in rounds) / 1e6, "MB", 300, ""),
    ]


def _segments() -> list[tuple[str, str | None]]:
    lines, parts = iter(history(EXPERIMENTS)), list[tuple[str, str | None]]()
    while part := list[AnyLine](islice(lines, SEGMENT)):
        parts.append((segment_path("lab", part[0].seq), "".join(f"{line.text}\n" for line in part)))
    return parts


def _look(told: dict[str, object]) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", LOOK], input=json.dumps(told), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, float] = json.loads(done.stdout)
    return found
