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
from pawl.demo.plan import Terms
from pawl.demo.results import results
from pawl.demo.run import run_try
from pawl.demo.screen import header, tell_end
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
    """Pawl's own `python` came first, so that a script failed in `pawl try` which `pawl check` had just found usable."""
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


def test_the_last_words_name_commands_only_where_there_is_a_ledger_to_check() -> None:
    nothing = results([], Metric(name="m", goal="minimize"), "http://here", {})
    assert "being measured" in header(nothing)
    said = io.StringIO()
    console = Console(file=said, width=40)
    tell_end(console, nothing, "http://here", "")
    assert "check it" not in said.getvalue()
    long = "git clone '/a b/c.git' copy && pawl verify copy && pawl ledger copy"
    tell_end(console, nothing, "http://here", long)
    assert long in said.getvalue()  # in one line: it is there to be pasted
