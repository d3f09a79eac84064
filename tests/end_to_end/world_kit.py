"""A small loop on a whole local world: GitHub, App and runner, driven through HTTP, git and webhooks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pawl.core.chain import LEDGER_BRANCH, parse_lines
from pawl.core.ledger import AnyLine, OutcomeLine, VerdictLine
from pawl.demo.town import OWNER, Town

LOOP = "aim"
NAME = f"{OWNER}/{LOOP}"

AIM = """\
import json, os, random

AIM = 1.0
SPREAD = 0.05

random.seed(int(os.environ["PAWL_SEED"]))
answer = AIM + random.gauss(0, SPREAD)
with open("answer.json", "w") as file:
    json.dump({"answer": answer}, file)
"""

EVALUATE = """\
import json, os

with open(os.environ["PAWL_ARTIFACT"]) as file:
    answer = json.load(file)["answer"]
if not isinstance(answer, float):
    print(json.dumps({"invalid": "the answer is no number"}))
else:
    print(json.dumps({"score": answer}))
"""

CONFIG = """\
version: 1
loops:
  aim:
    edit: aim.py
    metric: {name: score, goal: maximize}
    budget: 1s
    grace: 2s
    artifact: {path: answer.json, format: json, max_bytes: 10kB}
    evaluate: {command: python evaluate.py}
    merge: auto
    accept: [unearned-auto, process-sandbox]
"""


def write_repository(folder: Path, config: str = CONFIG, aim: str = AIM) -> Path:
    """The loop's files in a folder."""
    (folder / ".github").mkdir(parents=True)
    (folder / ".github" / "pawl.yml").write_text(config)
    (folder / "aim.py").write_text(aim)
    (folder / "evaluate.py").write_text(EVALUATE)
    (folder / "program.md").write_text("# Raise the score\n")
    return folder


def git(folder: Path, *arguments: str) -> str:
    """Run git, and give what it prints."""
    author = [
        "-c",
        "user.name=tester",
        "-c",
        "user.email=tester@example.com",
        "-c",
        "init.defaultBranch=main",
    ]
    done = subprocess.run(
        ["git", "-C", str(folder), *author, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class World:
    """A town whose experiments people push, so that a test says what each candidate does."""

    def __init__(self, town: Town) -> None:
        self.town, self.hub = town, town.hub
        self.repository: dict[str, Any] = self.hub.repository(NAME)

    def lines(self) -> list[AnyLine]:
        """The ledger so far."""
        commit = self.town.ledger_commit(NAME)
        folder = self.town.git_folder(NAME)
        if not commit:
            return []
        text = subprocess.run(
            ["git", "-C", str(folder), "cat-file", "blob", f"{commit}:{LOOP}/ledger-0001.jsonl"],
            capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip
        return list(parse_lines(text, LEDGER_BRANCH))

    def verdicts(self) -> dict[int, VerdictLine]:
        """The last verdict of each experiment."""
        return {line.experiment: line for line in self.lines() if isinstance(line, VerdictLine)}

    def outcomes(self) -> dict[int, OutcomeLine]:
        """The outcome of each experiment."""
        return {line.experiment: line for line in self.lines() if isinstance(line, OutcomeLine)}

    def propose(self, number: int, files: dict[str, str], folder: Path) -> None:
        """Push a branch with these files on top of main, and open its pull request, as a person with write access would."""
        work = folder / f"proposal-{number}"
        git(folder, "clone", "--quiet", self.address(), str(work))
        for path, text in files.items():
            (work / path).write_text(text)
        git(work, "add", "--all")
        git(work, "commit", "--quiet", "--message", f"Proposal {number}\n\n[skip ci]")
        git(work, "push", "--quiet", "origin", f"HEAD:refs/heads/pawl/{LOOP}/{number}")
        body = {"title": f"Proposal {number}", "head": f"pawl/{LOOP}/{number}", "base": "main"}
        self.api("POST", f"/repos/{NAME}/pulls", body)

    def address(self) -> str:
        """Where git finds the repository, as its owner."""
        return self.town.server.url.replace("://", f"://{OWNER}:{self.town.token}@") + f"/{NAME}.git"

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """A request as the repository's owner."""
        import urllib.request

        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(
            self.town.server.api_url + path,
            data=data,
            method=method,
            headers={"Authorization": f"Bearer {self.town.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def wait(self, what: Callable[[], Any], seconds: float = 60.0) -> Any:
        """Until something holds, looked at whenever the local GitHub has changed; fails after a time in seconds."""
        with self.hub.store.changed:
            found = self.hub.store.changed.wait_for(what, seconds)
        if not found:
            log = self.town.home / "app.log"
            raise AssertionError(
                f"not within {seconds} s: {what}\n{log.read_text()[-4000:] if log.exists() else ''}"
            )
        return found

    def pull_of(self, number: int) -> Any:
        """The pull request of an experiment, as the API tells it."""
        found = self.api("GET", f"/repos/{NAME}/pulls?state=all&head={OWNER}:pawl/{LOOP}/{number}")
        assert len(found) == 1
        return found[0]

    def comments(self, pull: int) -> list[str]:
        """The comments of a pull request or issue."""
        return [item["body"] for item in self.api("GET", f"/repos/{NAME}/issues/{pull}/comments")]


@contextmanager
def world(home: Path, experiments: int, config: str = CONFIG, aim: str = AIM) -> Iterator[World]:
    """A world with the App installed on the loop's repository; it proposes nothing once `experiments` numbers are in use."""
    with Town(home / "town").open() as town:
        town.publish(NAME, write_repository(home / "files", config, aim), "Start")
        town.configure(NAME, LOOP, experiments, "main")
        built = World(town)
        yield built


def run_pawl(*arguments: str, timeout: float = 170, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pawl", *arguments],
        capture_output=True, text=True, timeout=timeout, check=False, env={**os.environ, **environment},
    )  # fmt: skip
