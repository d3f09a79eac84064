"""What the Action starts on a runner before Pawl is there: standard library only, and no process in between."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "action" / "run.py"


def start(environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT)], env={"PATH": os.environ["PATH"], **environment}, text=True, stdout=subprocess.PIPE
    )  # fmt: skip


def test_pawl_takes_the_place_of_the_script(tmp_path: Path) -> None:
    """A cancelled job's signal goes to the process that was started: it has to be the one that writes the record."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho $$ "$@"\n')
    python.chmod(0o755)
    process = start({"PAWL_PYTHON": str(python), "PAWL_INPUT_COMMAND": "measure"})
    said, _ = process.communicate(timeout=30)
    assert said.split() == [str(process.pid), "-P", "-m", "pawl", "action"]


def test_an_interpreter_that_is_not_there_is_named() -> None:
    process = start({"PAWL_PYTHON": "/nowhere/python%0A::error::x"})
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert said == (
        "::error::PAWL_PYTHON is '/nowhere/python%250A::error::x', and there is no such interpreter on this runner\n"
    )


def test_no_module_of_the_checkout_is_ever_pawls(tmp_path: Path) -> None:
    """A repository with a folder `pawl`, or a `typing.py`, must not run in the job that may write."""
    (tmp_path / "pawl").mkdir()
    for name in ("pawl/__init__.py", "pawl/__main__.py", "typing.py", "json.py"):
        (tmp_path / name).write_text("print('taken over')\n")
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "PAWL_PYTHON": sys.executable, "PAWL_INPUT_COMMAND": "nothing"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "taken over" not in done.stdout
    assert "::error::the input command is 'nothing'" in done.stdout
