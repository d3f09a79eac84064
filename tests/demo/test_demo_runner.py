"""What the local runner does about a predecessor that was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pawl.demo.runner import PID, end_orphan

WRITES_AT_ITS_END = """
import signal, sys
from pathlib import Path
def end(*_):
    Path(sys.argv[1], "record.json").write_text("whole")
    sys.exit()
signal.signal(signal.SIGTERM, end)
Path(sys.argv[1], "begun").touch()
print("begun", flush=True)
while True:
    signal.pause()
"""


def started(code: str, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def test_a_measurement_that_outlived_its_runner_writes_its_record_before_it_is_handed_in(
    tmp_path: Path,
) -> None:
    """It used to go on beside the next job: what it ran was in no record that anybody had, and was run again."""
    process = started(WRITES_AT_ITS_END, str(tmp_path))
    (tmp_path / PID).write_text(str(process.pid))
    end_orphan(tmp_path)
    assert (tmp_path / "record.json").read_text() == "whole"
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_somebody_else_s_process_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    process = started(WRITES_AT_ITS_END, str(other))
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / PID).write_text(str(process.pid))
    end_orphan(mine)
    assert process.poll() is None
    process.terminate()
    process.communicate(timeout=30)


def test_nothing_to_end_is_no_trouble(tmp_path: Path) -> None:
    end_orphan(tmp_path)
    (tmp_path / PID).write_text("no number")
    end_orphan(tmp_path)
    (tmp_path / PID).write_text(str(os.getpid()))
    end_orphan(tmp_path)
