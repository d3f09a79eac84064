"""kill -9 at any moment, then the same command again."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from world_kit import CONFIG, LOOP, World, git, run_pawl, write_repository

from pawl.core.ledger import Measured, Outcome, OutcomeLine, VerdictLine
from pawl.core.measurement import Record
from pawl.demo.town import Town

KILLS = 6
EXPERIMENTS = 4


def test_nothing_is_lost_or_doubled_by_kill_9(tmp_path: Path) -> None:
    """No verdict twice, no started run uncounted, nothing merged or said twice, however often the process dies."""
    source = write_repository(
        tmp_path / LOOP,
        CONFIG.replace("budget: 1s", "budget: 1s\n    grace: 5s", 1).replace("    grace: 2s\n", ""),
    )
    git(source, "init", "--quiet")
    git(source, "add", "--all")
    git(source, "commit", "--quiet", "--message", "Start")
    home, results = tmp_path / "home", tmp_path / "results.json"
    command = [
        "try",
        str(source),
        "--home",
        str(home),
        "--experiments",
        str(EXPERIMENTS),
        "--json",
        str(results),
    ]
    chance = random.Random(7)
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-m", "pawl", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(chance.uniform(3, 9))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    done = run_pawl(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(results.read_text())
    numbers = [row["number"] for row in found["experiments"]]
    assert numbers == sorted(set(numbers))

    with Town(home).open() as town:
        here = World(town)
        lines = here.lines()
        clone = tmp_path / "clone"
        git(tmp_path, "clone", "--quiet", here.address(), str(clone))
        verified = run_pawl("verify", str(clone))
        assert verified.returncode == 0, verified.stderr
        verdicts = Counter(
            (line.experiment, line.head, line.attempt) for line in lines if isinstance(line, VerdictLine)
        )
        assert set(verdicts.values()) == {1}
        outcomes = [line for line in lines if isinstance(line, OutcomeLine)]
        assert sorted(line.experiment for line in outcomes) == list(range(1, EXPERIMENTS + 1))
        for line in outcomes:
            pull = here.pull_of(line.experiment)
            assert (pull["merged_at"] is not None) == (line.outcome is Outcome.MERGED)
            assert len(here.comments(pull["number"])) == 1
        # Every run that any job ever started is in the ledger: by its seed, which no other run has.
        started = Counter(
            (run.stage, run.arm, run.place, run.seed)
            for path in (home / "runner" / "records").glob("*/record.json")
            for run in Record.model_validate_json(path.read_text()).runs
        )
        counted = Counter(
            (run.stage, run.arm, run.place, run.seed)
            for line in lines
            if isinstance(line, Measured)
            for run in line.runs
        )
        assert started == counted
        merges = git(clone, "log", "--format=%H", "--grep=^Pawl-Experiment: ").split()
        assert len(merges) == sum(line.outcome is Outcome.MERGED for line in outcomes)
