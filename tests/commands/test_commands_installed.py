"""A command that was not installed with what it needs says how to install it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT = "import sys; sys.modules[sys.argv.pop(1)] = None; from pawl.cli import main; main()"


@pytest.mark.parametrize(
    ("package", "words", "extra"),
    [
        ("structlog", ["serve"], "app"),
        ("github", ["step", "--repo", "octo/aim"], "app"),
        ("dulwich", ["hub"], "demo"),
        ("dulwich", ["try", "."], "demo"),
        ("github", ["runner", "check", "--repo", "octo/aim"], "runner"),
    ],
)
def test_a_package_that_is_missing_is_told_with_the_extra_that_brings_it(
    package: str, words: list[str], extra: str
) -> None:
    """It was a traceback: `pip install '.[app,search]'`, as for a server, and then `pawl demo`."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, package, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"pawl: `pawl {words[0]}` needs the package {package}, which is not installed here."
    )
    assert f"pip install '.[{extra}]'" in done.stderr


@pytest.mark.parametrize("words", [["init"], ["check"], ["try", "."], ["verify"], ["explain", "1"]])
def test_without_git_a_command_that_calls_it_says_so(words: list[str], tmp_path: Path) -> None:
    """Some ended in a traceback, and others found that a repository was none."""
    done = subprocess.run(
        [sys.executable, "-m", "pawl", *words],
        env={"PATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"pawl: git is not on PATH, and `pawl {words[0]}` calls it")
