"""Answers to commands: one comment each."""

from __future__ import annotations

from dataclasses import dataclass

from pawl.core.actions import Answer
from pawl.core.asks import Verb
from pawl.core.ledger import AnyLine, Measured, VerdictLine
from pawl.core.policy import hold
from pawl.core.snapshot import Experiment, Snapshot
from pawl.core.states import State, state_of
from pawl.messages.checks import concluded
from pawl.messages.costs import cap_words, cost_rows
from pawl.messages.figures import duration, number
from pawl.messages.holds import hold_text
from pawl.messages.progress import last_outcomes, last_verdicts, progress_of
from pawl.messages.quoting import Safe, code, prose
from pawl.messages.rendering import render
from pawl.messages.report import Report
from pawl.messages.tracking import counts, loop_state


def answer_marker(ask: str) -> Safe:
    """The first line of an answer, by which Pawl finds it again."""
    return Safe(f"<!-- pawl-answer:{ask} -->")


@dataclass(frozen=True)
class _Flying:
    number: int
    pull: Safe
    now: Safe


def answer(action: Answer, snapshot: Snapshot) -> str:
    """The comment.

    Args:
        action: the command, and what became of it.
        snapshot: the loop as it is.
    """
    ask, lines, rules, notices = action.ask, snapshot.ledger, snapshot.rules, action.notices
    found = next((each for each in snapshot.experiments if each.number == ask.experiment), None)
    line = last_verdicts(lines).get(ask.experiment) if ask.experiment is not None else None
    progress = progress_of(lines, rules.metric)
    measured = sum(run.seconds for each in lines if isinstance(each, Measured) for run in each.runs)
    limit = rules.limits.experiments
    return render(
        "answer",
        marker=answer_marker(ask.id),
        refusal=prose(action.refusal) if action.refusal else "",
        unknown=action.verb is None,
        verb=action.verb.value if action.verb else "",
        by=code(ask.by),
        experiment=ask.experiment or 0,
        now=_now(snapshot, ask.experiment, found),
        held=_held(snapshot, found),
        name=code(snapshot.loop),
        state=Safe(loop_state(snapshot, notices).value),
        counts=counts(snapshot),
        metric=code(rules.metric.name),
        baseline=number(progress.baseline) if progress.baseline is not None else "",
        best=number(progress.best) if progress.best is not None else "",
        flying=[
            _Flying(each.number, Safe(f"#{each.pull}"), Safe(state_of(snapshot, each).value))
            for each in snapshot.experiments[:20]
        ],
        notices=[prose(notice, 400) for notice in notices[:10]],
        explained=_explained(line, lines) if line is not None and action.verb is Verb.EXPLAIN else "",
        experiments=Safe(f"{snapshot.last_number} of {limit} experiments are used.") if limit else "",
        measured=duration(measured),
        costs=cost_rows(lines),
        caps=cap_words(rules.agent.money, lines),
        merged=found is not None and found.merged,
    )


def _explained(line: VerdictLine, lines: tuple[AnyLine, ...]) -> Safe:
    """What the check run says of a verdict: rounded as everything is here. The raw figures are for `pawl explain`."""
    told = concluded(Report(line, ledger=lines))
    return Safe(f"### {told.title}\n\n{told.summary}\n{told.text}")


def _now(snapshot: Snapshot, experiment: int | None, found: Experiment | None) -> Safe:
    if found is not None:
        return Safe(state_of(snapshot, found).value)
    outcome = last_outcomes(snapshot.ledger).get(experiment) if experiment is not None else None
    return Safe(outcome.outcome.value if outcome else "unknown")


def _held(snapshot: Snapshot, found: Experiment | None) -> Safe | str:
    if found is None or state_of(snapshot, found) is not State.HELD:
        return ""
    reason = hold(snapshot, found)
    return hold_text(reason) if reason is not None else ""
