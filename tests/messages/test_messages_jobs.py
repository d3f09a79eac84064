"""What a job's summary says, as files in golden/ that can be read."""

from __future__ import annotations

import pytest
from messages_samples import HOSTILE, drive, golden, passing_record, request, with_gain

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
