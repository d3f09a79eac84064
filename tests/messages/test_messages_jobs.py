"""What a job's summary says, as files in golden/ that can be read."""

from __future__ import annotations

import pytest
from messages_samples import (
    HOSTILE,
    drive,
    golden,
    measured,
    passing_record,
    request,
    with_gain,
)

from pawl.core.comparing import compare
from pawl.core.decision import advance
from pawl.core.measurement import Purpose, Request, Step
from pawl.messages.comparison import comparison_comment
from pawl.messages.jobs import measured_summary, step_summary


@pytest.mark.parametrize(("name", "changes"), [
    ("job_measured", {}),
    ("job_measured_cut_off", {"complete": False}),
    ("job_measured_refused", {"runs": (), "complete": False, "refused": f"job 7 has taken this attempt {HOSTILE}"}),
])  # fmt: skip
def test_of_a_measurement(name: str, changes: dict[str, object]) -> None:
    asked = request()
    record = passing_record(asked, drive(asked, with_gain(0.01))[0])
    golden(f"{name}.md", measured_summary(asked, record.model_copy(update=changes)))


def test_of_a_step() -> None:
    golden(
        "job_step.md",
        step_summary(["nanogpt: start attempt #12", f"nanogpt: {HOSTILE}", *["nanogpt: close"] * 60]),
    )


@pytest.mark.parametrize(("name", "effect", "reason"), [
    ("better", 8.0, ""), ("worse", -8.0, ""), ("no_difference", 0.0, ""), ("failed", 0.0, f"a run ended {HOSTILE}"),
])  # fmt: skip
def test_of_a_comparison(name: str, effect: float, reason: str) -> None:
    asked = request(purpose=Purpose.AUDIT, runs_wanted=3)
    record = passing_record(asked, tuple(measured(step, effect) for step in steps_of(asked)))
    if reason:
        runs = (*record.runs[:-1], record.runs[-1].model_copy(update={"log": HOSTILE}))
        record = record.model_copy(update={"runs": runs})
    compared = compare(asked.rules.metric, record.facts, reason)
    golden(f"comparison_{name}.md", comparison_comment(asked, record, compared))


def steps_of(asked: Request) -> list[Step]:
    """The steps of a comparison."""
    steps: list[Step] = []
    while isinstance(step := advance(asked, [measured(made, 0.0) for made in steps]), Step):
        steps.append(step)
    return steps
