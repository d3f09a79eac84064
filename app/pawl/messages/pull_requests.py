"""The title and the body of an experiment's pull request."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pawl.core.config import Loop
from pawl.messages.commits import SUBJECT
from pawl.messages.costs import models_words, money_words, tokens_words
from pawl.messages.figures import count, duration, effect_words, number
from pawl.messages.quoting import Safe, code, fence, hidden, message_line, prose
from pawl.messages.rendering import render
from pawl.messages.report import GUARDS

_REF = re.compile(r"refs/[a-z0-9/-]+")
SHOWN_PARAMETERS = 20
SHOWN_NOTES = 8
TRACE = 8000
"""Characters of a trace that a pull request shows."""


@dataclass(frozen=True)
class Made:
    """How an edit came about."""

    models: tuple[str, ...] = ()
    """Exact ids by which the models that proposed it named themselves."""
    requests: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    money: float | None = None
    """US dollars; none where no price is known."""
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    """What a person should know of it; shown as data."""
    trace: str = field(default="", repr=False)
    """What was said and done, retold; shown as data. Empty where it says no more than the hypothesis."""
    stored: str = ""
    """The ref that the whole trace is kept at; empty where there is none."""

    @property
    def asked(self) -> bool:
        """Whether anything was asked that could cost."""
        return bool(self.requests or self.tokens_in or self.tokens_out or self.money)


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
    made: Made = Made()


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
        tasks=rules.task_agent,
        made=_made_values(proposal.made),
    )


def _made_values(made: Made) -> dict[str, object]:
    tokens = tokens_words(made.tokens_in, made.tokens_cached, made.tokens_out)
    price = "at an unknown price" if made.money is None else f"for {money_words(made.money)}"
    asked = f"{count(made.requests, 'request')}, " if made.requests else ""
    return {
        "notes": [prose(note, 400) for note in made.notes[:SHOWN_NOTES]],
        "cost": Safe(f"{asked}{tokens}, {price}, in {duration(made.seconds)}") if made.asked else "",
        "models": models_words(made.models) if made.models else "",
        "trace": fence(made.trace, TRACE) if made.trace.strip() else "",
        "stored": Safe(made.stored) if _REF.fullmatch(made.stored) else "",
    }
