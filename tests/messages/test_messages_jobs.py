"""What a job's summary says, as files in golden/ that can be read."""

from __future__ import annotations

import pytest
from messages_samples import (
    HOSTILE,
    calibration,
    drive,
    golden,
    measured,
    passing_record,
    request,
    verdict,
    with_gain,
)

from pawl.core.actions import Action, Append, Close, Merge, Publish, StartCalibration, TellUntaken
from pawl.core.comparing import compare
from pawl.core.decision import advance
from pawl.core.ledger import Outcome
from pawl.core.measurement import Purpose, Request, Step
from pawl.messages import steps
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
        step_summary(
            [
                "nanogpt: merge experiment 12",
                f"nanogpt: {HOSTILE}",
                *["nanogpt: update the tracking issue"] * 60,
            ]
        ),
    )


def test_an_action_names_the_experiment_and_never_a_pull_request() -> None:
    """A step's summary said `close #2`, and #2 was the pull request of experiment 1, which had just been merged."""
    line = verdict(request(), with_gain(-1.0))[0]
    asked, base = request(), calibration(Purpose.POOL)
    told: list[tuple[Action, str]] = [
        (Append((line,)), "write into the ledger: experiment 12 is judged discard"),
        (Publish(12, line, None, 1, fresh=True), "tell the verdict of experiment 12, discard, in its comment and check run"),
        (Close(2, Outcome.CLOSED, "pawl:discard", ""), "close the pull request of experiment 2"),
        (Merge(2, "a", "b"), "merge experiment 2"),
        (StartCalibration(base), f"start a job that measures the base's own noise (attempt {base.key})"),
        (TellUntaken(1, asked, "all are offline", ""), f"say why no runner takes attempt {asked.key}: all are offline"),
    ]  # fmt: skip
    assert [steps.action_words(action) for action, _ in told] == [words for _, words in told]


def test_every_action_has_words() -> None:
    known = {name for name, value in vars(steps).items() if isinstance(value, type)}
    assert {kind.__name__ for kind in Action.__subclasses__()} - known == set()


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
