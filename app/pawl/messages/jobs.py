"""What a job's summary says: of a measurement, and of a step."""

from __future__ import annotations

from collections.abc import Sequence

from pawl.core.measurement import Record, Request
from pawl.messages.figures import duration, run_rows
from pawl.messages.quoting import Safe, code, prose
from pawl.messages.rendering import render

LINES = 50
"""Lines of a step that a summary shows."""


def measured_summary(request: Request, record: Record) -> str:
    """How a measuring job went: its runs by stage, and no figure, for what they mean is not its to say."""
    runs = (*request.runs, *record.facts)
    return render(
        "job_measured",
        loop=code(request.loop),
        key=code(request.key),
        runs=run_rows(runs),
        seconds=duration(record.seconds_total),
        device=code(record.environment.device, 80) if record.environment.device else "",
        complete=record.complete,
        refused=prose(record.refused) if record.refused else "",
    )


def step_summary(lines: Sequence[str]) -> str:
    """What a step has done, line by line."""
    shown: list[Safe] = [code(line, 300) for line in lines[:LINES]]
    return render("job_step", lines=shown, more=max(0, len(lines) - LINES))
