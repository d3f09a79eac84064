"""Loops over a harness, end to end: who reads the trajectories finds what a search over numbers cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from world_kit import git, run_pawl

from pawl.core.chain import LEDGER_BRANCH, parse_lines
from pawl.core.decision import Verdict
from pawl.core.ledger import AnyLine, VerdictLine
from pawl.core.measurement import Stage

READER = Path(__file__).parents[1] / "examples" / "harness_fixes.py"


def demo(home: Path, experiments: int, *options: str) -> tuple[Path, list[VerdictLine], list[AnyLine]]:
    """Run the example; gives its repository and what its ledger says."""
    done = run_pawl(
        "demo", "--loop", "harness", "--experiments", str(experiments), "--home", str(home), *options, timeout=280
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    (repository,) = (home / "harness" / "github" / "git").iterdir()
    text = git(repository, "cat-file", "blob", f"{LEDGER_BRANCH}:harness/ledger-0001.jsonl")
    lines = list(parse_lines(text + "\n", LEDGER_BRANCH))
    return repository, [line for line in lines if isinstance(line, VerdictLine)], lines


@pytest.mark.timeout(300)
def test_who_reads_trajectories_improves_the_agent(tmp_path: Path) -> None:
    command = f"{sys.executable} {READER}"
    repository, verdicts, _ = demo(tmp_path, 3, "--proposer", "command", "--command", command)
    first, *others = {line.experiment: line for line in verdicts}.values()  # the last one of each
    assert first.verdict is Verdict.DISCARD, "there is nothing to read before the first experiment"
    assert [line.verdict for line in others] == [Verdict.KEEP, Verdict.KEEP]
    for line in others:
        assert line.effect is not None
        assert line.effect >= 2 / 24
        assert "failures show it" in line.hypothesis
        assert {run.models for run in line.runs} == {("scripted-reader-1",)}
        screened = [name for run in line.runs if run.stage is Stage.SCREEN for name in run.tasks]
        counted = [name for run in line.runs if run.stage is not Stage.SCREEN for name in run.tasks]
        assert all(name.startswith("practice-") for name in screened)
        assert not any(name.startswith("practice-") for name in counted)

    kept = git(repository, "ls-tree", "-r", "--name-only", "refs/pawl/traces/harness/2").splitlines()
    assert "proposal.json" in kept
    assert len([name for name in kept if name.startswith("trajectories/candidate/practice-")]) == 24
    trajectory = json.loads(git(repository, "cat-file", "blob", f"refs/pawl/traces/harness/2:{kept[-1]}"))
    assert trajectory["schema_version"] == "ATIF-v1.8"

    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(repository), str(clone)], check=True)
    done = run_pawl("verify", str(clone))
    assert done.returncode == 0, done.stdout + done.stderr
    told = run_pawl("explain", "2", "--repo", str(clone))
    assert told.returncode == 0, told.stderr


@pytest.mark.timeout(300)
def test_a_search_over_numbers_finds_nothing(tmp_path: Path) -> None:
    _, verdicts, _ = demo(tmp_path, 3, "--proposer", "search")
    assert len(verdicts) == 3
    assert {line.verdict for line in verdicts} == {Verdict.DISCARD}
    assert {line.stage for line in verdicts} == {Stage.SCREEN}, (
        "a block of practice tasks was enough to see it"
    )
