"""Webhooks that the App takes in a second, beside Probot doing the same; and how long they take while loops are stepped.

Both check the signature, parse the body and commit one row to SQLite (WAL, ``synchronous=NORMAL``) before they answer. Each
has the first core to itself, and they take turns.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks.figures import Figure
from benchmarks.knocker import Parcel, as_fast_as_may_be, steadily
from pawl.localhub import Hub, HubServer
from pawl.messages.scaffold import workflow

ROUNDS, SECONDS = 5, 4.0
LOOPS, PER_SECOND, STEADY_SECONDS = 50, 200, 15.0
SHARE_OF_PROBOT = {"waitress": 0.6, "granian": 1.0}
NAME = "us/lab"
ROOT = Path(__file__).parent.parent
PROBOT = ROOT / "build" / "probot"
SECRET = secrets.token_hex(20)
LINKS = ("archive", "assignees", "blobs", "branches", "collaborators", "comments", "commits", "compare", "contents",
         "contributors", "deployments", "downloads", "events", "forks", "hooks", "issues", "keys", "labels", "languages",
         "merges", "milestones", "notifications", "pulls", "releases", "stargazers", "statuses", "subscribers", "tags",
         "teams", "trees")  # fmt: skip


def payload(name: str) -> bytes:
    """A push as long as GitHub's own are."""
    links = {f"{link}_url": f"https://api.github.com/repos/{name}/{link}{{/sha}}" for link in LINKS}
    people = [
        {"login": f"person-{n}", "id": n, "type": "User", "url": f"https://api.github.com/u/{n}"}
        for n in range(3)
    ]
    commits = [
        {
            "id": secrets.token_hex(20),
            "message": "Try another rate",
            "author": who,
            "modified": ["lab/train.py"],
        }
        for who in people
    ]
    told = {
        "ref": "refs/heads/side",
        "before": "0" * 40,
        "after": commits[0]["id"],
        "commits": commits,
        "sender": people[0],
    }
    return json.dumps(
        {**told, "repository": {"id": 1, "full_name": name, **links}, "installation": {"id": 1}}
    ).encode()


def measure() -> list[Figure]:
    """Five rounds of each in turn, then the latency with loops being stepped."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    ).decode()  # fmt: skip
    figures = [_steady()]
    if trouble := _install_probot():
        print(f"without Probot: {trouble}", file=sys.stderr)
        return figures
    rates: dict[str, list[float]] = {"waitress": [], "granian": [], "Probot 14": []}
    with tempfile.TemporaryDirectory(prefix="pawl-bench-") as folder:
        for turn in range(ROUNDS):
            for server in ("waitress", "granian"):
                database = Path(folder) / f"{server}-{turn}.db"
                with _pawl(database, key, "1", "http://127.0.0.1:9", server) as port:
                    rates[server].append(_rate(port, "/webhooks"))
            with _probot(Path(folder) / f"probot-{turn}.db", key) as port:
                rates["Probot 14"].append(_rate(port, "/api/github/webhooks"))
    probot = rates.pop("Probot 14")
    for server, each in rates.items():
        name = f"Probot's webhooks for one of Pawl's on {server}"
        note = f"Pawl {_spread(each)}, Probot 14 {_spread(probot)}"
        figures.append(Figure(name, median(probot) / median(each), "x", 1 / SHARE_OF_PROBOT[server], note))
    return figures


def _spread(rates: list[float]) -> str:
    return f"{median(rates):.0f}/s ({min(rates):.0f} to {max(rates):.0f})"


def _rate(port: int, path: str) -> float:
    parcel = Parcel.of(path, "push", payload(NAME), SECRET)
    as_fast_as_may_be(port, parcel, 1.0)  # warm
    return as_fast_as_may_be(port, parcel, SECONDS).rate


def _steady() -> Figure:
    """While a timer steps every loop of a repository each second, over HTTP."""
    loops = "".join(
        f"  lab{n}:\n    edit: lab{n}/train.py\n    metric: {{name: score, goal: maximize}}\n    budget: 5m\n"
        for n in range(LOOPS)
    )
    files: dict[str, str | None] = {
        ".github/pawl.yml": f"loops:\n{loops}",
        ".github/workflows/pawl.yml": workflow(),
    }
    for n in range(LOOPS):
        files |= {f"lab{n}/train.py": "RATE = 1\n", f"lab{n}/program.md": "# Try things\n"}
    with tempfile.TemporaryDirectory(prefix="pawl-bench-") as folder:
        hub = Hub.open(Path(folder) / "hub")
        hub.rate_limit = 10**7
        hub.create_repository(NAME)
        hub.push_files(NAME, files, "Begin")
        hub.installations.install(NAME)
        with HubServer(hub) as server:
            known = hub.app
            with _pawl(
                Path(folder) / "pawl.db", known.private_key_pem, str(known.id), server.api_url
            ) as port:
                time.sleep(10)  # every loop has its tracking issue, and a first job
                parcel = Parcel.of("/webhooks", "push", payload(NAME), SECRET)
                # In a process of its own: in this one it would wait for the stand-in for GitHub, and count that.
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
                    answers = apart.submit(steadily, port, parcel, PER_SECOND, STEADY_SECONDS).result()
    middle, longest = median(answers.took) * 1e3, max(answers.took) * 1e3
    note = f"{len(answers.took)} deliveries, median {middle:.1f} ms, longest {longest:.0f} ms"
    return Figure(
        f"p99 at {PER_SECOND}/s while {LOOPS} loops are stepped", answers.p99 * 1e3, "ms", 100, note
    )


@contextmanager
def _pawl(database: Path, key: str, app: str, api: str, server: str = "waitress") -> Iterator[int]:
    port = _free_port()
    environment = {
        **os.environ, "PAWL_APP_ID": app, "PAWL_PRIVATE_KEY": key, "PAWL_WEBHOOK_SECRET": SECRET, "PAWL_API": api,
        "PAWL_DATABASE": f"sqlite:///{database}", "PAWL_TIMER": "1", "PAWL_SECONDS_BETWEEN_WRITES": "0",
        "PAWL_PORT": str(port), "PAWL_SERVER": server,
    }  # fmt: skip
    with _served([sys.executable, "-m", "pawl", "serve"], environment, port):
        yield port


@contextmanager
def _probot(database: Path, key: str) -> Iterator[int]:
    port = _free_port()
    environment = {
        **os.environ, "APP_ID": "1", "PRIVATE_KEY": key, "WEBHOOK_SECRET": SECRET, "DATABASE": str(database),
        "PORT": str(port), "LOG_LEVEL": "warn", "NODE_ENV": "production",
    }  # fmt: skip
    with _served(["node", str(PROBOT / "app.js")], environment, port):
        yield port


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def _served(command: list[str], environment: dict[str, str], port: int) -> Iterator[None]:
    """A server that has the first core to itself, and its log in nothing."""
    process = subprocess.Popen(
        ["taskset", "-c", "0", *command], env=environment, cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(200):
            with socket.socket() as line:
                if line.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(20)


def _install_probot() -> str:
    """Put the peer into build/; why that is impossible, empty if it is there."""
    if shutil.which("npm") is None or shutil.which("taskset") is None:
        return "npm or taskset is missing"
    shutil.copytree(Path(__file__).parent / "probot", PROBOT, dirs_exist_ok=True)
    done = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--silent"],
        cwd=PROBOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.strip()[-500:] if done.returncode else ""
