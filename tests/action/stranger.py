"""A stranger's repository: a loop that is none of the examples, in a layout of its own, run by the Action alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from action.act_kit import USES
from pawl.core.chain import LEDGER_BRANCH, parse_lines
from pawl.core.ledger import AnyLine, OutcomeLine, VerdictLine
from pawl.localhub import HubServer
from pawl.messages.scaffold import loop_workflow

NAME = "stranger/solver"
LOOP = "tune"
SECRETS = {"PAWL_SEED_KEY": "a long random secret of the repository's"}
CONFIG = """\
version: 1
loops:
  tune:
    edit: solver/tune.py
    metric: {name: score, goal: maximize}
    budget: 1s
    grace: 2s
    artifact: {path: answer.json, format: json, max_bytes: 10kB}
    evaluate: {command: python evaluate.py}
    agent: {proposer: command, command: sh improve.sh}
    merge: auto
    accept: [unearned-auto, process-sandbox]
    limits: {experiments: 1}
"""
TUNE = """\
import json, os, random

STEP = 1.0
WIDTH = 0.05

random.seed(int(os.environ["PAWL_SEED"]))
with open("answer.json", "w") as file:
    json.dump({"answer": STEP + random.gauss(0, WIDTH)}, file)
"""
EVALUATE = """\
import json, os

with open(os.environ["PAWL_ARTIFACT"]) as file:
    print(json.dumps({"score": json.load(file)["answer"]}))
"""
IMPROVE = """\
sed -i 's/STEP = 1.0/STEP = 2.0/' solver/tune.py
echo '{"hypothesis": "Longer steps reach further"}' > PAWL_PROPOSAL.json
"""


@dataclass
class Stranger:
    """The repository on a hub."""

    server: HubServer
    config: str = CONFIG

    def __post_init__(self) -> None:
        hub = self.server.hub
        hub.create_repository(NAME)
        hub.let_actions_open_pulls(NAME)
        self.push(
            {
                ".github/pawl.yml": self.config,
                ".github/workflows/pawl.yml": loop_workflow(USES),
                "solver/tune.py": TUNE,
                "solver/evaluate.py": EVALUATE,
                "solver/program.md": "# Higher scores\n",
                "improve.sh": IMPROVE,
            }
        )

    def push(self, files: dict[str, str | None], branch: str | None = None) -> str:
        """Push files as the owner; returns the commit."""
        return self.server.hub.push_files(NAME, files, "Push", branch=branch)

    def dispatch(self, **inputs: str) -> Any:
        """Start the workflow by hand, as people do once."""
        actions, repository = self.server.hub.actions, self.server.hub.repository(NAME)
        return actions.dispatch(
            repository, actions.workflow(repository, "pawl.yml"), "stranger", "main", inputs
        )

    def tip(self, branch: str = "main") -> str | None:
        """Where a branch is."""
        hub = self.server.hub
        return hub.store.ref(hub.repository(NAME)["id"], f"refs/heads/{branch}")

    def file(self, path: str, branch: str = "main") -> str:
        """A file at a branch's tip."""
        hub, tip = self.server.hub, self.tip(branch)
        assert tip is not None
        git = hub.git(hub.repository(NAME))
        entry = git.entry(tip, path)
        assert entry is not None
        return git.blob(entry.sha).decode()

    def ledger(self) -> list[AnyLine]:
        """The loop's ledger."""
        if self.tip(LEDGER_BRANCH) is None:
            return []
        return list(parse_lines(self.file(f"{LOOP}/ledger-0001.jsonl", LEDGER_BRANCH), LEDGER_BRANCH))

    def verdicts(self) -> list[VerdictLine]:
        """Its verdicts."""
        return [line for line in self.ledger() if isinstance(line, VerdictLine)]

    def outcomes(self) -> list[OutcomeLine]:
        """What became of its experiments."""
        return [line for line in self.ledger() if isinstance(line, OutcomeLine)]


def job_environment(job: Any, server: HubServer, folder: Path, **inputs: str) -> dict[str, str]:
    """What one of a job's steps that use the Action finds in its environment."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": server.api_url,
        "GITHUB_REPOSITORY": job["repository"],
        "GITHUB_RUN_ID": str(job["run_id"]),
        "GITHUB_RUN_ATTEMPT": str(job["run_attempt"]),
        "GITHUB_TOKEN": job["token"],
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "RUNNER_TEMP": str(folder),
        "PAWL_SECONDS_BETWEEN_WRITES": "0",
        **{f"PAWL_INPUT_{name.upper()}": value for name, value in inputs.items()},
    }
