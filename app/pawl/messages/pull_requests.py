"""The title and the body of an experiment's pull request."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from pawl.core.config import Loop
from pawl.messages.commits import SUBJECT
from pawl.messages.figures import duration, effect_words, number
from pawl.messages.quoting import Safe, code, fence, hidden, message_line
from pawl.messages.rendering import render
from pawl.messages.report import GUARDS

SHOWN_PARAMETERS = 20


@dataclass(frozen=True)
class Proposal:
    """An experiment as it is opened."""

    loop: str
    number: int
    rules: Loop
    hypothesis: str
    proposer: str
    predicted: float | None = None
    """The effect that is expected, in the metric's unit, positive where better."""
    parameters: Mapping[str, float] = field(default_factory=dict)
    tracking: int | None = None
    """The loop's tracking issue."""


def pull_request_title(loop: str, number: int, hypothesis: str) -> str:
    """``nanogpt 12: warm up for longer``."""
    short = message_line(hypothesis, SUBJECT) or "an edit without a hypothesis"
    return f"{loop} {number}: {short}"


def pull_request_body(proposal: Proposal) -> str:
    """What is proposed, why, what happens next and how to stop it."""
    rules = proposal.rules
    known = proposal.predicted is not None and math.isfinite(proposal.predicted)
    predicted = proposal.predicted if known else None
    header = {"loop": proposal.loop, "experiment": proposal.number, "predicted": predicted}
    return render(
        "pull_request",
        header=hidden("pawl", header),
        proposal=proposal,
        proposer=code(proposal.proposer or "unknown", 100),
        hypothesis=fence(proposal.hypothesis) if proposal.hypothesis.strip() else "",
        predicted=effect_words(rules.metric, predicted) if predicted is not None else None,
        parameters=[
            (code(name, 60), number(value))
            for name, value in list(proposal.parameters.items())[:SHOWN_PARAMETERS]
        ],
        rules=rules,
        guards=[(code(name, 64), code(bound.text, 40)) for name, bound in rules.guards.items()][:GUARDS],
        budget=duration(rules.budget),
        grace=duration(rules.grace),
        check=code(f"pawl/{proposal.loop}"),
        direction=Safe("down" if rules.metric.sign < 0 else "up"),
    )
