"""A local run's folder, the copy of a user's repository in it, and what its last words say."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from pawl.core.config import CONFIG_PATH
from pawl.core.config_file import parse_config
from pawl.core.config_parts import Metric
from pawl.demo.agent import AgentChoice
from pawl.demo.plan import Terms
from pawl.demo.results import Results, Row, results
from pawl.demo.run import run_demo, run_try
from pawl.demo.screen import header, tell, tell_end
from pawl.demo.town import DemoError, Town, limited

TWO = """\
loops:
  a:  # the first
    edit: a.py
    metric: {name: m, goal: minimize}
    limits: {changed_lines: 10}
  b:
    edit: b.py
    metric: {name: m, goal: minimize}
"""


def test_a_copy_runs_the_loop_that_was_asked_for_and_no_other() -> None:
    """`pawl try --loop b` once left loop a running beside it, without an end."""
    loops = parse_config(limited(TWO, "b", 3)).loops
    assert list(loops) == ["b"]
    assert loops["b"].limits.experiments == 3


def test_other_limits_and_comments_stay() -> None:
    text = limited(TWO, "a", 3)
    assert "# the first" in text
    assert parse_config(text).loops["a"].limits.changed_lines == 10
    assert limited(text, "a", 3) == text


def test_a_copy_of_another_loop_says_so() -> None:
    with pytest.raises(DemoError, match=r"loop a.*--home"):
        limited(limited(TWO, "a", 3), "b", 3)


def test_a_folder_is_used_by_one_town_at_a_time(tmp_path: Path) -> None:
    """Two demos in one folder ran each other's experiments, and the second lowered the limit of the first."""
    home = tmp_path / "home"
    with Town(home).open():
        with pytest.raises(DemoError, match="another pawl works in"):
            Town(home)
        assert (home / ".gitignore").read_text() == "*\n"
    with Town(home).open():
        pass


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(DemoError, match="holds other files"):
        Town(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_and_a_port_in_use_are_said_in_a_sentence(tmp_path: Path) -> None:
    """Both were tracebacks."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DemoError, match="--home"):
        Town(tmp_path / "file" / "home")
    with Town(tmp_path / "one").open() as town:
        port = int(town.server.url.rpartition(":")[2])
        with pytest.raises(DemoError, match=f"port {port} .*--port"):
            Town(tmp_path / "two", port)


def test_runs_have_the_packages_of_the_users_own_python(tmp_path: Path) -> None:
    """Pawl's own `python` came first, so that a script failed in `pawl try` which `pawl check` had just found usable.

    A keep that waits for review comes with the command that takes it: it took a server, a token and curl.
    """
    environment, repository = tmp_path / "environment", tmp_path / "repository"
    (environment / "bin").mkdir(parents=True)
    (environment / "only_here.py").write_text("BASE = 2.0\n")
    python = environment / "bin" / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{environment}" exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (repository / ".github").mkdir(parents=True)
    (repository / CONFIG_PATH).write_text("loops: {a: {edit: a.py, metric: {name: m, goal: minimize}}}\n")
    (repository / "program.md").write_text("Lower it.\n")
    (repository / "a.py").write_text("import only_here\nSTEP = 0.5\nprint('m:', only_here.BASE + STEP)\n")
    identity = ["-c", "user.name=r", "-c", "user.email=r@example.org"]
    for words in (["init", "-qb", "main"], ["add", "--all"], [*identity, "commit", "-qm", "Begin"]):
        subprocess.run(["git", "-C", str(repository), *words], check=True)
    command = [sys.executable, "-m", "pawl", "try", str(repository), "--experiments", "1"]
    for again in (False, True):
        done = subprocess.run(
            [*command, "--home", str(tmp_path / "home")],
            env={**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("nothing was left to do; --experiments with more" in done.stdout) == again
    keep = next(line for line in done.stdout.splitlines() if line.startswith("take keep 1"))
    subprocess.run(
        ["sh", "-c", keep.removeprefix("take keep 1").replace("cherry-pick", "cherry-pick --no-commit")],
        check=True,
        capture_output=True,
    )
    assert "STEP = 0.5\n" not in (repository / "a.py").read_text()


def test_results_that_cannot_be_written_are_said_before_the_run(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    commit = [
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "commit",
        "--quiet",
        "--allow-empty",
        "--message",
        "x",
    ]
    subprocess.run(["git", "-C", str(tmp_path), *commit], check=True)
    (tmp_path / CONFIG_PATH).parent.mkdir()
    (tmp_path / CONFIG_PATH).write_text(TWO)
    with pytest.raises(DemoError, match="--json"):
        run_try(tmp_path, None, tmp_path / "home", Terms(1, json_file=tmp_path / "no" / "folder.json"))


def test_the_last_words_leave_out_what_there_is_not_and_break_no_command() -> None:
    assert "being measured" in header(results([], Metric(name="m", goal="minimize"), "http://here", {}))
    said = io.StringIO()
    long = "git clone '/a b/c.git' copy && pawl verify copy && pawl ledger copy"
    tell(Console(file=said, width=40), {"check it": long, "take it home": ""})
    assert said.getvalue() == f"check it       {long}\n"  # in one line: it is there to be pasted


def test_a_long_hypothesis_takes_no_room_from_the_other_columns() -> None:
    """Number, stage, runs and sigma were gone from the table, and `-0.0008912` lost its last digit to an ellipsis."""
    row = Row(
        5, "http://here", "discard", "closed", "screen", 1, -0.0008912, -0.0, 1.0, 1.0, 20, "word " * 40
    )
    said = io.StringIO()
    tell_end(
        Console(file=said, width=140),
        Results("m", "minimize", baseline=2.0, best=2.0, gain=0.0, sigma=0.03, experiments=(row,)),
    )
    line = said.getvalue().splitlines()[1]
    assert line.split()[:7] == ["5", "discard", "closed", "screen", "1", "-0.0008912", "+0.0"]
    assert line.endswith("…")
    assert len(line) <= 140


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (AgentChoice("llm", "anthropic:m"), r"ANTHROPIC_API_KEY.*--base-url"),
        (
            AgentChoice("llm", "openai:m", "http://127.0.0.1:9/v1"),
            r"no model answers at .*:9/v1 .*start its server",
        ),
        (AgentChoice("command", command="no-such-agent -p"), r"no-such-agent.* on your PATH"),
        (AgentChoice("gpt"), r"--proposer: must be 'search', 'llm' or 'command', not 'gpt'"),
    ],
)
def test_an_agent_that_cannot_work_is_told_before_the_calibration(
    choice: AgentChoice, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run with a model that did not answer said nothing but "no job", for as long as anybody waited."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(DemoError, match=told):
        run_demo("packing", tmp_path / "home", Terms(1, agent=choice))
    assert not (tmp_path / "home").exists()
