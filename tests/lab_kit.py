"""Tiny repositories to measure, and the shortest way to a request and its record."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pawl.core.config import Loop
from pawl.core.digest import sha256
from pawl.core.measurement import Calibration, Procedure, Purpose, Request, RunRecord
from pawl.lab import Measured, Options, measure

PYTHON = str(Path(sys.executable).resolve())
"""The interpreter itself: a version manager's shim would cost half a second a run."""

GIT_ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}  # fmt: skip


def git(repo: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(repo), *words], env=GIT_ENV, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def code(text: str) -> str:
    """A script as tests write it: indented like the test."""
    return textwrap.dedent(text).lstrip("\n")


def commit(repo: Path, files: Mapping[str, str], message: str = "change") -> str:
    """Write files and commit everything."""
    if not (repo / ".git").exists():
        repo.mkdir(parents=True, exist_ok=True)
        git(repo, "init", "-q", "-b", "main")
    for name, text in files.items():
        path = repo / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", message, "--allow-empty")
    return git(repo, "rev-parse", "HEAD")


PRINTS = "import os\nprint('score:', 1 + int(os.environ['PAWL_SEED']) % 10 / 1000)\n"
"""A run that reports its own metric, a little different for each seed."""

READS = code(
    """
    import json, os
    found = json.load(open(os.environ["PAWL_ARTIFACT"]))
    print(json.dumps({"score": found["score"], "size": len(open(os.environ["PAWL_SOURCE"]).read())}))
    """
)
"""An evaluator that believes a number in the artifact: for tests of what surrounds it."""


@dataclass
class Bench:
    """A repository with a base, and what to measure in it."""

    top: Path
    base: str
    rules: dict[str, Any]

    @property
    def repo(self) -> Path:
        return self.top / "repo"

    @property
    def out(self) -> Path:
        return self.top / "out"

    def request(self, candidate: str | None = None, **changes: Any) -> Request:
        """A calibration of one run, or with a candidate's text an experiment that starts at the screen."""
        rules = Loop.model_validate(self.rules)
        fields: dict[str, Any] = {
            "repository": "ada/loop", "loop": "loop", "rules": rules, "purpose": Purpose.POOL, "number": 1,
            "base": self.base, "inputs": sha256("inputs"), "baseline": self.base, "seeds": tuple(range(7, 37)),
            "calibration": Calibration(sigma=0.001, dof=40, pool=(1.0, 1.0)), "runs_wanted": 1,
            "procedure": Procedure(max_baseline_failures=1, seal_candidates=2, seal_baselines=1),
        }  # fmt: skip
        if candidate is not None:
            head = commit(self.repo, {rules.edit: candidate}, "candidate")
            fields |= {
                "purpose": Purpose.EXPERIMENT, "candidate": head, "candidate_digest": sha256(candidate),
            }  # fmt: skip
            git(self.repo, "checkout", "-q", self.base)
        return Request(**(fields | changes))

    def options(self, **changes: Any) -> Options:
        return Options(**({"out": self.out, "repo": self.repo, "cache": self.top / "cache"} | changes))

    def measure(self, candidate: str | None = None, **changes: Any) -> Measured:
        return measure(self.request(candidate, **changes), self.options())

    def only_run(self, candidate: str | None = None, **changes: Any) -> RunRecord:
        """The one run of a calibration, or the screening run of an experiment."""
        measured = self.measure(candidate, **changes)
        assert not measured.record.refused, measured.record.refused
        return measured.record.runs[0]


def bench(top: Path, train: str = PRINTS, files: Mapping[str, str] | None = None, **rules: Any) -> Bench:
    """A loop in a folder ``lab`` whose editable file is ``train.py``, on a fresh repository."""
    base = commit(top / "repo", {"lab/train.py": train, "lab/program.md": "Go.\n", **(files or {})}, "base")
    given = {
        "edit": "lab/train.py",
        "metric": {"name": "score", "goal": "maximize"},
        "budget": "10s",
        "grace": "10s",
        "run": {"command": f"{PYTHON} train.py"},
    }
    return Bench(top, base, given | rules)


def evaluated(top: Path, train: str, judge: str = READS, **rules: Any) -> Bench:
    """A loop with an evaluator, a JSON artifact and a private folder."""
    extra = rules.pop("files", {})
    files = {"lab/evaluate.py": judge, "lab/holdout/answers.txt": "42\n", **extra}
    given = {
        "artifact": {"path": "out.json", "format": "json"},
        "evaluate": {"command": f"{PYTHON} evaluate.py", "private": ["lab/holdout/"]},
    }
    return bench(top, train, files, **(given | rules))
