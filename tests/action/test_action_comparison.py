"""The Action on pull requests of a repository that has no loop: compared by inputs alone, commented, never merged."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from action.act_kit import CHECKOUT, RUNNERS, USES, Act
from action.stranger import job_environment
from pawl.commands.action import run_action
from pawl.localhub import HubServer

NAME = "stranger/service"
WORKFLOW = f"""\
name: Compare
on: pull_request
permissions: {{}}
jobs:
  measure:
    runs-on: self-hosted
    permissions:
      contents: read
    steps:
      - uses: {CHECKOUT}
        with:
          persist-credentials: false
      - uses: {USES}
        with:
          command: compare
          metric: seconds
          goal: minimize
          run: python bench/measure.py
          budget: 5s
          protect: bench/**
          runs: 3
  report:
    needs: measure
    if: always()
    runs-on: ubuntu-latest
    permissions:
      actions: read
      pull-requests: write
    steps:
      - uses: {USES}
        with:
          command: report
"""
BENCH = """\
import os, random, sys

sys.path.insert(0, ".")
import service

random.seed(int(os.environ["PAWL_SEED"]))
print("seconds:", service.COST + random.gauss(0, 0.01))
"""
FILES = {".github/workflows/compare.yml": WORKFLOW, "bench/measure.py": BENCH, "service.py": "COST = 1.0\n"}


class Repository:
    """A stranger's repository on a hub, with pull requests that people open."""

    def __init__(self, server: HubServer) -> None:
        self.server, self.hub = server, server.hub
        self.hub.create_repository(NAME)
        self.hub.push_files(NAME, FILES, "Begin")

    def pull(self, branch: str, files: dict[str, str | None]) -> Any:
        """Open a pull request, and start the workflows that this starts; returns their first one."""
        self.hub.push_files(NAME, files, branch, branch=branch)
        repository = self.hub.repository(NAME)
        issue = self.hub.pulls.create(
            repository, "stranger", {"head": branch, "base": "main", "title": branch}
        )
        self.number = issue["number"]
        return self.hub.actions.pull_request(repository, issue)

    def comments(self) -> list[str]:
        """What was said on the last pull request."""
        return [
            item["body"]
            for item in self.hub.store.all("comment", self.hub.repository(NAME)["id"], self.number)
        ]

    def event(self, fork: bool = False) -> dict[str, Any]:
        """The payload of the last pull request's workflows."""
        repository = self.hub.repository(NAME)
        issue = self.hub.pulls.find(repository, self.number)
        pull = self.hub.shapes.pull(repository, issue)
        if fork:
            pull["head"]["repo"] = {"id": 1}
        return {"pull_request": pull, "number": self.number}


class PullRequestAct(Act):
    """Runners for jobs that a pull request started."""

    def __init__(self, repository: Repository, home: Path) -> None:
        super().__init__(repository.server, home, {})
        self._repository = repository

    def event(self, job: Any) -> dict[str, Any]:
        return self._repository.event()


@pytest.mark.timeout(300)
def test_a_slower_version_is_told_and_a_gamed_benchmark_changes_nothing(
    hub_server: HubServer, tmp_path: Path
) -> None:
    """It prints a better number from the benchmark itself, which both versions take from the base."""
    repository = Repository(hub_server)
    gamed = BENCH.replace("service.COST", "0.1")
    repository.pull("slower", {"service.py": "COST = 1.5\n", "bench/measure.py": gamed})
    act = PullRequestAct(repository, tmp_path / "act")
    measure, report = act.work_all()
    assert measure.conclusion == "success", measure.log[-3000:]
    assert measure.outputs["verdict"] == "worse"
    assert float(measure.outputs["baseline"]) == pytest.approx(1.0, abs=0.05)
    assert float(measure.outputs["metric"]) == pytest.approx(1.5, abs=0.05)
    assert measure.outputs["effect"].endswith("higher (worse)")
    assert report.conclusion == "failure"
    (comment,) = repository.comments()
    assert "## 🔻 Worse: `seconds`" in comment
    assert "higher (worse)" in comment
    assert repository.event()["pull_request"]["state"] == "open"


class Steps:
    """Both jobs, with the steps that use the Action run in this process."""

    def __init__(self, repository: Repository, folder: Path) -> None:
        self.repository, self.folder = repository, folder
        self.service, self.artifacts = repository.hub.service, repository.hub.artifacts
        for label in RUNNERS:
            self.service.register_runner(label, [label])

    def take(self) -> Any:
        """The next job, begun."""
        for label in RUNNERS:
            if job := self.service.acquire_job(label):
                self.service.start_job(job["job_id"])
                return job
        raise AssertionError("no job waits")

    def use(self, job: Any, event: dict[str, Any], **inputs: str) -> int:
        """One step; its exit code."""
        folder = self.folder / str(job["job_id"])
        work = folder / "work"
        environment = job_environment(job, self.repository.server, folder, **inputs)
        if inputs["command"] == "compare":
            address = job["clone_url"].replace("://", f"://x-access-token:{job['token']}@")
            subprocess.run(["git", "clone", "--quiet", address, str(work)], check=True)
        (folder / "event.json").write_text(json.dumps(event))
        return run_action(
            {**environment, "GITHUB_EVENT_PATH": str(folder / "event.json"), "GITHUB_WORKSPACE": str(work)}
        )

    def compare(self, **changed: str) -> tuple[Any, int]:
        """The measuring job."""
        job = self.take()
        given = {"metric": "seconds", "goal": "minimize", "run": "python bench/measure.py", "protect": "bench/**",
                 "runs": "3", "budget": "5s", **changed}  # fmt: skip
        return job, self.use(job, self.repository.event(), command="compare", **given)

    def hand_in(self, job: Any) -> dict[str, bytes]:
        """What the measuring job uploads."""
        folder = self.folder / str(job["job_id"]) / "pawl"
        return {name: (folder / name).read_bytes() for name in ("record.json", "request.json")}

    def report(self, job: Any, files: dict[str, bytes]) -> int:
        """Let the measuring job end with these files, and report."""
        self.artifacts.upload(job["job_id"], "pawl-comparison", files)
        self.service.complete_job(job["job_id"], "success")
        return self.use(self.take(), self.repository.event(), command="report")


@pytest.fixture
def steps(hub_server: HubServer, tmp_path: Path) -> Steps:
    return Steps(Repository(hub_server), tmp_path / "steps")


def test_the_comment_is_edited_in_place(steps: Steps) -> None:
    steps.repository.pull("faster", {"service.py": "COST = 0.5\n"})
    job, code = steps.compare()
    assert code == 0
    assert steps.report(job, steps.hand_in(job)) == 0
    (first,) = steps.repository.comments()
    assert "## ✅ Better: `seconds`" in first
    steps.repository.hub.actions.pull_request(
        steps.repository.hub.repository(NAME),
        steps.repository.hub.pulls.find(steps.repository.hub.repository(NAME), steps.repository.number),
    )
    job, _ = steps.compare()
    steps.report(job, steps.hand_in(job))
    assert len(steps.repository.comments()) == 1


def test_nothing_of_a_fork_is_run(steps: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    steps.repository.pull("fork", {"service.py": "COST = 0.5\n"})
    job = steps.take()
    assert steps.use(job, steps.repository.event(fork=True), command="compare", metric="seconds") == 1
    assert "comes from a fork, and nothing of it was run" in capsys.readouterr().out


def test_a_version_that_crashes_is_told_with_its_log(steps: Steps) -> None:
    steps.repository.pull("broken", {"service.py": "raise RuntimeError('@octocat broke it')\n"})
    job, code = steps.compare()
    assert code == 0
    assert steps.report(job, steps.hand_in(job)) == 1
    (comment,) = steps.repository.comments()
    assert "## 💥 Not measured: `seconds`" in comment
    assert "What went wrong: of this version, the run ended with exit code 1: " in comment
    assert "```text" in comment


def test_what_a_measuring_job_forged_or_lost_is_not_reported(
    steps: Steps, capsys: pytest.CaptureFixture[str]
) -> None:
    steps.repository.pull("faster", {"service.py": "COST = 0.5\n"})
    measuring, _ = steps.compare()
    files = steps.hand_in(measuring)
    record, request = files["record.json"], files["request.json"]
    steps.service.complete_job(measuring["job_id"], "success")
    job = steps.take()
    forged: list[tuple[dict[str, bytes], str]] = [
        ({}, "the job ended without the artifact pawl-comparison"),
        ({"record.json": record}, "holds 1 files; exactly record.json and request.json"),
        ({**files, "record.json": b"{}"}, "record.json is no record"),
        (
            {**files, "request.json": request.replace(b'"number":1', b'"number":2')},
            "what was measured is not this pull request's version",
        ),
        (
            {**files, "record.json": record.replace(b'"baseline"', b'"candidate"')},
            "the record's runs do not follow the plan",
        ),
        (
            {**files, "request.json": request.replace(b"minimize", b"maximize")},
            "the record answers another request",
        ),
    ]
    for handed, said in forged:
        if handed:
            steps.artifacts.upload(measuring["job_id"], "pawl-comparison", handed, overwrite=True)
        assert steps.use(job, steps.repository.event(), command="report") == 1
        assert said in capsys.readouterr().out
    assert steps.repository.comments() == []


@pytest.mark.parametrize("first", ["docs/program.md", "a\\b.txt", "a\tb.txt", "a b/ü.bin"])
def test_any_repository_can_be_compared_whatever_its_files_are_called(steps: Steps, first: str) -> None:
    """Rules name an editable file, and a comparison has none: one that both versions have stands for it. Where the first of
    them was a `program.md`, every pull request failed with `the input metric cannot be used`."""
    steps.repository.hub.push_files(NAME, {first: "hello\n"}, "Add a file")
    steps.repository.pull("faster", {"service.py": "COST = 0.5\n"})
    job, code = steps.compare()
    assert code == 0
    assert steps.report(job, steps.hand_in(job)) == 0
    assert "## ✅ Better: `seconds`" in steps.repository.comments()[0]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"metric": ""}, "say what is measured: the inputs metric, goal and run"),
        ({"goal": "sideways"}, "the input goal cannot be used"),
        ({"run": ""}, "the input run cannot be used"),
        ({"budget": "soon"}, "the input budget cannot be used"),
        ({"runs": "2"}, "it is a number from 3 to 32"),
        ({"protect": "**"}, "the two versions share no file that is not protected"),
    ],
)
def test_an_input_that_cannot_be_used_is_named(
    steps: Steps, changed: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    steps.repository.pull("faster", {"service.py": "COST = 0.5\n"})
    assert steps.compare(**changed)[1] == 1
    assert said in capsys.readouterr().out
