"""Time that a measuring job spends outside the candidate's own process."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure
from pawl.core.config_file import parse_config
from pawl.core.measurement import Calibration, Purpose, Record, Request
from pawl.lab import Options
from pawl.lab import measure as measure_request

RUNS = 12
CONFIG = """\
loops:
  nothing:
    edit: nothing.py
    metric: {name: value, goal: maximize}
    budget: 1s
    grace: 20s
    artifact: {path: value.json, format: json}
    evaluate: {command: 'printf "{\\"value\\": 1}\\n"'}
"""
SCRIPT = "import json\njson.dump(1, open('value.json', 'w'))\n"


def measure() -> list[Figure]:
    """Median per run of one job on a warm machine: trees, sandbox, artifact, evaluator and record."""
    with tempfile.TemporaryDirectory(prefix="pawl-bench-") as folder:
        repo = Path(folder) / "repo"
        commit = make_repository(repo, CONFIG)
        request = pool_request(CONFIG, commit, RUNS)
        _job(request, repo, Path(folder) / "warm-up")
        start = time.perf_counter()
        record = _job(request, repo, Path(folder) / "out")
        total = time.perf_counter() - start
    outside = [run.seconds_outside for run in record.runs]
    inside = sum(run.seconds for run in record.runs)
    return [
        Figure(
            "outside the budget, per run",
            median(outside),
            "s",
            0.5,
            "process sandbox, evaluator included; autoresearch spends 25.8 s of 326 s outside",
        ),
        Figure(
            "outside the budget, whole job / runs",
            (total - inside) / RUNS,
            "s",
            0.5,
            f"{RUNS} runs in {total:.2f} s",
        ),
    ]


def _job(request: Request, repo: Path, out: Path) -> Record:
    return measure_request(request, Options(out=out, repo=repo, cache=out.parent / "cache")).record


def pool_request(config: str, commit: str, runs: int) -> Request:
    """A request for so many runs of unchanged code."""
    return Request(
        repository="bench/bench",
        loop="nothing",
        rules=parse_config(config).loops["nothing"],
        purpose=Purpose.POOL,
        number=1,
        base=commit,
        inputs="0" * 64,
        baseline=commit,
        seeds=tuple(range(runs)),
        calibration=Calibration(sigma=0, dof=0, pool=()),
        runs_wanted=runs,
    )


def make_repository(folder: Path, config: str) -> str:
    """A repository with one loop; returns its one commit."""
    (folder / ".github").mkdir(parents=True)
    (folder / ".github" / "pawl.yml").write_text(config)
    (folder / "nothing.py").write_text(SCRIPT)
    (folder / "program.md").write_text("# Nothing\n")
    _git(folder, "init", "--quiet")
    _git(folder, "add", "--all")
    who = ("-c", "user.name=b", "-c", "user.email=b@example.com")
    _git(folder, *who, "commit", "--quiet", "--message", "Start")
    return _git(folder, "rev-parse", "HEAD")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
