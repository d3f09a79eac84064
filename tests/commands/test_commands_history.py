"""`pawl verify` and `pawl ledger` over a clone, of a loop that was played in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from core_world import EDIT, World, rules_of
from typer.testing import CliRunner

from lab_kit import git
from pawl.cli import app
from pawl.core.chain import LEDGER_BRANCH, segment_path
from pawl.core.ledger import CalibrationLine
from pawl.core.measurement import Purpose


def useless(made: World, number: int) -> bytes:
    """An edit without effect."""
    return made.commits[made.tip].files[EDIT] + f"# {number}\n".encode()


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with the ledger of a loop that was tried with many edits without effect."""
    made = World(rules=rules_of(limits={"experiments": 40}), seed=3, edits=useless)
    made.settle(5000)
    assert any(line.purpose is Purpose.SENTINEL for line in made.of_kind(CalibrationLine))
    folder = tmp_path_factory.mktemp("clone")
    git(folder, "init", "-q", "-b", LEDGER_BRANCH)
    ledger = {segment_path("loop", 1): "".join(f"{line.text}\n" for line in made.ledger)}
    for path, text in (made.files | ledger).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "ledger")
    return folder


def test_verify_and_ledger_tell_how_much_unchanged_code_passes_the_screen(clone: Path) -> None:
    done = CliRunner().invoke(app, ["verify", str(clone)])
    assert done.exit_code == 0, done.output
    first, second = done.stdout.splitlines()
    assert first.endswith("runs agree")
    assert second.startswith("loop: the screen: ")
    assert second.endswith("where 5 % should")
    told = CliRunner().invoke(app, ["ledger", str(clone)])
    assert f"screen       {second.removeprefix('loop: the screen: ')}" in told.stdout.splitlines()
