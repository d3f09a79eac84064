"""What a failed run failed of, by rule, from its status and the end of its own output."""

from __future__ import annotations

import re

from pawl.core.measurement import RunStatus
from pawl.meta.proposer import Failure

_FRAME = re.compile(r'^\s*File "([^"\n]{1,300})", line (\d{1,9})', re.MULTILINE)
_RAISED = re.compile(
    r"((?:[A-Za-z_]\w{0,80}\.){0,8}_{0,2}[A-Z]\w{0,80}|(?:[A-Za-z_]\w{0,80}\.){1,8}(?:error|timeout))(?:: (.*))?"
)
_OUT_OF_MEMORY = re.compile(
    r"(?i)MemoryError\b|\bout of memory\b|ALLOC_FAILED\b|\bRESOURCE_EXHAUSTED\b|can(?:no|')t allocate memory\b"
)
SAID = 300
TAIL = 8000
"""Characters from the end in which a failure is looked for."""


def failure_of(
    status: RunStatus, reason: str, log: str, edit: str, peak_memory_mb: float | None = None
) -> Failure | None:
    """Why a run failed; none if it did not.

    Args:
        status: how it ended.
        reason: why, in the runner's words.
        log: the end of its own output, which a candidate wrote.
        edit: path of the editable file: the innermost line of it is where the failure is.
        peak_memory_mb: peak of the run's memory, in units of 10^6 bytes.
    """
    if status in (RunStatus.OK, RunStatus.INTERRUPTED, RunStatus.STARTED):
        return None
    tail = log[-TAIL:]
    exception, said = _raised(tail)
    where = _where(tail, edit) if exception else ""
    if status is RunStatus.MEMORY or (
        status is RunStatus.CRASH and _OUT_OF_MEMORY.search(f"{exception} {said}")
    ):
        kind = "oom"
    else:
        kind = {
            RunStatus.TIMEOUT: "timeout",
            RunStatus.INVALID: "invalid",
            RunStatus.VIOLATION: "violation",
        }.get(status, "crash")
    # What the runner says of a crash repeats the log, and what it says of the rest is all there is.
    told = said if exception else reason
    return Failure(kind, exception, where, told[:SAID], peak_memory_mb)


def _raised(log: str) -> tuple[str, str]:
    """The exception that the last traceback ends with, and its words."""
    start = log.rfind("Traceback (most recent call last)")
    lines = (log[start:] if start >= 0 else log).splitlines()
    if start < 0:  # a syntax error has frames, but no such heading
        lines = lines[next((n for n, line in enumerate(lines) if _FRAME.match(line)), len(lines)) :]
    for line in lines[1:]:
        if line[:1].isspace():
            continue
        found = _RAISED.fullmatch(line.strip()[:600])
        if found:
            return found[1].rsplit(".", 1)[-1], (found[2] or "").strip()
    return "", ""


def _where(log: str, edit: str) -> str:
    """The innermost frame in the editable file, else the innermost at all."""
    name = edit.rsplit("/", 1)[-1]
    frames = [(path.rsplit("/", 1)[-1], line) for path, line in _FRAME.findall(log)]
    own = [frame for frame in frames if frame[0] == name] or frames
    return f"{own[-1][0]}:{own[-1][1]}" if own else ""
