"""The Action's jobs that speak to GitHub: the one that proposes and can write nothing, and the one that concludes."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any, NoReturn

import structlog

from pawl.commands.action import PROPOSAL, ActionStep, Trouble
from pawl.commands.job_log import JobLog
from pawl.commands.propose import propose, said, write
from pawl.commands.step import Job, Round, StepError, Stepped, signed_in_for, step_in_job, told
from pawl.control.loops import Looked
from pawl.control.signing_in import SignedIn
from pawl.core.actions import Append, Publish
from pawl.core.config import CONFIG_PATH
from pawl.core.config_file import ConfigError
from pawl.core.ledger import OutcomeLine, VerdictLine
from pawl.github.artifacts import BadRecord, fetch_proposals
from pawl.github.errors import Forbidden, GitHubError
from pawl.github.grants import needed_for
from pawl.github.turns import start_turn
from pawl.messages.comments import experiment_comment
from pawl.messages.figures import effect_shown, sealed_means
from pawl.messages.jobs import step_summary
from pawl.messages.report import Report

MAY_NOT_OPEN = "not permitted to create or approve pull requests"
"""What GitHub says to a job's own token where the repository does not let it open pull requests, which is the default."""
ENDS = frozenset({"success", "failure", "cancelled"})
"""Results of a job, as the context `needs` tells them, that ran; the fourth one is `skipped`."""


def propose_edits(step: ActionStep) -> int:
    """Write down what the loops' proposers have to offer."""
    _log_to(step.log)
    round_ = _round(step)
    try:
        with step.log.group("Proposing"):
            thoughts, notes = propose(signed_in_for(step.environment, round_, seeded=False), round_)
        write(step.out / PROPOSAL, round_.repository, thoughts)
    except StepError as error:
        raise explained(error) from None
    for sentence in (*notes, *map(said, thoughts)):
        step.log.line(sentence)
    for loop, thought in thoughts:
        if thought.edit is None:
            step.log.annotate("notice", f"{loop}: no edit for experiment {thought.number}: {thought.reason}")
    first = next((thought.number for _, thought in thoughts if thought.edit is not None), "")
    step.log.output(experiment=first)
    return 0


def conclude(step: ActionStep) -> int:
    """Look, decide and act, with what the run's other job measured or proposed; then ask for the next proposal."""
    _log_to(step.log)
    round_ = _round(step)
    try:
        signed_in = signed_in_for(step.environment, round_)
        stepped = step_in_job(signed_in, round_, _job(step, signed_in))
        _tell(step, stepped)
        if stepped.wanted and start_turn(signed_in.client, step.run):
            step.log.line("asked for the next proposal")
    except (StepError, GitHubError) as error:
        raise explained(error) from None
    problems = [looked for looked in stepped.looked if looked.problem]
    for looked in problems:
        step.log.annotate("error", f"{looked.loop}: {looked.problem}")
    return 1 if problems else 0


def _log_to(log: JobLog) -> None:
    """Structured logs become lines in which the runner finds no command, whatever was logged."""

    def say(_: Any, level: str, event: MutableMapping[str, Any]) -> NoReturn:
        words = [f"{key}={value}" for key, value in event.items() if key != "event"]
        log.line(" ".join([f"{level}: {event.get('event', '')}", *words]))
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.processors.format_exc_info, say],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )


def _round(step: ActionStep) -> Round:
    return Round(step.repository, step.given("loop") or None)


def _job(step: ActionStep, signed_in: SignedIn) -> Job:
    """What the run's other job left. Nothing that measures can hand in a proposal, and nothing that proposes a record."""
    measured = step.given("measured")
    if measured in ENDS:
        return Job(ended={step.run: measured})
    if step.given("proposed") != "success":
        return Job()
    try:
        return Job(proposals=fetch_proposals(signed_in.client, step.run))
    except BadRecord as bad:
        step.log.annotate("warning", f"no proposal was opened: {bad}")
        return Job()


def _tell(step: ActionStep, stepped: Stepped) -> None:
    sentences = [*stepped.notes, *(words for looked in stepped.looked for words in told(looked))]
    for sentence in sentences:
        step.log.line(sentence)
    for note in stepped.notes:
        step.log.annotate("notice", note)
    verdicts = [
        (line, looked)
        for looked in stepped.looked
        for action in looked.actions
        if isinstance(action, Append)
        for line in action.lines
        if isinstance(line, VerdictLine)
    ]
    step.log.summary(step_summary(sentences))
    for line, looked in verdicts:
        page = f"{step.environment.get('GITHUB_SERVER_URL', 'https://github.com')}/{step.repository}"
        step.log.summary(experiment_comment(_as_published(line, looked, page)))
    if verdicts:
        line = verdicts[-1][0]
        means = sealed_means(line)
        step.log.output(
            experiment=line.experiment,
            verdict=line.verdict.value,
            baseline=means[0] if means else "",
            metric=means[1] if means else "",
            effect=effect_shown(line.rules.metric, line),
            pull_request=line.pull,
        )


def _as_published(line: VerdictLine, looked: Looked, page: str) -> Report:
    """What the pull request's comment was last written from, so that the summary has its words."""
    publishes = [
        act for act in looked.actions if isinstance(act, Publish) and act.experiment == line.experiment
    ]
    ledger = looked.snapshot.ledger if looked.snapshot else ()
    if not publishes:
        return Report(line, ledger=ledger, page=page)
    last = publishes[-1]
    before = [
        each for each in ledger if not isinstance(each, OutcomeLine) or each.experiment != line.experiment
    ]
    known = before if last.outcome is None else [*before, last.outcome]
    return Report(line, last.finding, known, last.held, last.log, page)


def explained(error: Exception) -> Trouble:
    """What a person must know of why a step failed: for the configuration its line, for a token its permission."""
    cause = error.__cause__ or error
    if isinstance(cause, ConfigError):
        problem = cause.problems[0]
        words = f"{problem.key}: {problem.message}" if problem.key else problem.message
        return Trouble(words, problem.file or CONFIG_PATH, problem.line)
    if isinstance(cause, Forbidden) and MAY_NOT_OPEN in cause.message:
        return Trouble(
            "the job's own token may not open pull requests here. Allow it under Settings, Actions, General, Workflow "
            "permissions ('Allow GitHub Actions to create and approve pull requests'), or give an App's token as `token`. "
            "The edit is still there, in this run's artifact pawl-proposal"
        )
    if isinstance(cause, Forbidden):
        answered = f"{cause.doing}: GitHub answered {cause.status} ({cause.message})"
        if cause.status == HTTPStatus.UNAUTHORIZED:
            return Trouble(
                f"{answered}. The input `token` is none that GitHub knows, or has ended: an App's lasts an hour"
            )
        needed = needed_for(cause.doing)
        lacks = f" `{needed[0].replace('_', '-')}: {needed[1]}` is what this takes;" if needed else ""
        return Trouble(
            f"{answered}. The job's `permissions` do not reach that far:{lacks} compare them with the workflow that "
            "`pawl init --mode action` writes, or with docs/action.md for a comparison's"
        )
    return Trouble(error)
