"""The runner reads commands out of what a step prints: text that somebody else wrote is never one of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab_kit import bench
from pawl.commands.job_log import SUMMARY_LIMIT, JobLog
from pawl.commands.measure import run_measure

COMMAND = re.compile(r"^\s*::[a-z-]+.*?::|##\[[a-z-]+.*?\]")
"""The two forms in which GitHub's runner finds a command in a line."""
HOSTILE = [
    "::set-output name=verdict::keep",
    "  ::add-mask::the",
    "##[set-output name=verdict]keep",
    "loss 1.0 ##[error]no",
    "a\n::error::b",
    "a\r::error::b",
    "a\u2028::error::b",
    "::stop-commands::x",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_line_is_no_command(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    JobLog({}).line(text)
    assert [line for line in re.split(r"[\r\n]", capsys.readouterr().out) if COMMAND.search(line)] == []


@pytest.mark.parametrize("text", HOSTILE)
def test_an_annotation_is_one_command(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    JobLog({}).annotate("error", text, "a,b: c.py", 3)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "\r" not in out
    assert out.startswith("::error file=a%2Cb%3A c.py,line=3::")
    assert not COMMAND.search(out.split("line=3::", 1)[1])


def test_the_apps_own_workflow_shows_no_command_of_a_candidates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It calls `pawl measure` without the Action. A candidate's last words are part of how its run went, and were printed
    as they were: one could have the runner mask every `e` of the log, or show errors that nobody had made."""
    loop = bench(tmp_path, "raise SystemExit('##[add-mask]e')")
    request = tmp_path / "request.json"
    request.write_text(loop.request().model_dump_json())
    run_measure(str(request), loop.out, loop.repo, "process")
    out = capsys.readouterr().out
    assert "[add-mask]e" in out, "it is told"
    assert [line for line in out.splitlines() if COMMAND.search(line)] == []


def test_an_output_cannot_set_another_one(tmp_path: Path) -> None:
    log = JobLog({"GITHUB_OUTPUT": str(tmp_path / "output")})
    log.output(effect="x\nEOF\nverdict=keep\nverdict<<EOF\nkeep\nEOF", pull_request=None)
    lines = (tmp_path / "output").read_text().split("\n")
    mark = lines[0].removeprefix("effect<<")
    end = lines.index(mark, 1)
    assert lines[end + 1].startswith("pull-request<<")
    assert lines[end + 2] == ""


def test_a_summary_keeps_within_what_github_shows(tmp_path: Path) -> None:
    log = JobLog({"GITHUB_STEP_SUMMARY": str(tmp_path / "summary")})
    log.summary("first")
    log.summary("x" * SUMMARY_LIMIT)
    log.summary("last")
    assert (tmp_path / "summary").read_text() == "first\n\nlast\n\n"
