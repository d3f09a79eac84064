"""The loop's tracking issue: where it stands, what was tried, how to steer it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pawl.core.calibration import calibration_of, latest_fleet
from pawl.core.cheats import CHEATS
from pawl.core.decision import Verdict
from pawl.core.duty import duty_of
from pawl.core.incidents import open_canary, open_incident
from pawl.core.ledger import Outcome, OutcomeLine, VerdictLine
from pawl.core.levels import ACCEPTED, standing
from pawl.core.policy import HoldReason, failing_base, paused
from pawl.core.snapshot import Experiment, Snapshot
from pawl.core.states import State, state_of
from pawl.messages.canaries import canary_words
from pawl.messages.costs import cap_words, cost_rows, unpriced_words
from pawl.messages.figures import DETECTABLE, count, effect_shown, number
from pawl.messages.progress import chart, last_outcomes, last_verdicts, progress_of, step_rows
from pawl.messages.quoting import Safe, code, prose
from pawl.messages.rendering import render
from pawl.messages.scoring import score_words
from pawl.messages.screening import screen_words

ROWS = 25
"""Experiments that the table shows, the newest."""
NOTICES = 10


class LoopState(StrEnum):
    """Where a loop is, for people."""

    STOPPED = "stopped"
    PUBLIC = "held, because the repository is public"
    PAUSED = "paused"
    HALTED = "halted by an incident"
    FINISHED = "finished"
    WAITING = "waiting"
    RUNNING = "running"


_TOLD = {
    LoopState.STOPPED: ("stopped",),
    LoopState.PUBLIC: ("public repository",),
    LoopState.PAUSED: ("paused",),
    LoopState.HALTED: ("incident: ",),
    LoopState.FINISHED: ("the limit of ",),
    LoopState.WAITING: (),
    LoopState.RUNNING: (),
}
"""Beginnings of the notices that say what a state's own paragraph says already."""


_HALTED = {HoldReason.STOPPED: LoopState.STOPPED, HoldReason.PUBLIC: LoopState.PUBLIC}


def tracking_title(loop: str) -> str:
    """The issue's title."""
    return f"Pawl: {loop}"


def tracking_marker(loop: str) -> Safe:
    """The first line of the issue's body, by which Pawl finds it again."""
    return Safe(f"<!-- pawl-tracking:{loop} -->")


_TROUBLE = re.compile(r"<!-- pawl-trouble -->\n.*?<!-- pawl-trouble-end -->\n\n", re.DOTALL)


def with_trouble(body: str, why: str) -> str:
    """The issue's body with a paragraph on top that says why the loop cannot be looked at, in the place of an older one."""
    marker, _, rest = _TROUBLE.sub("", body.replace("\r\n", "\n")).partition("\n")
    told = render(
        "trouble", why=prose(why.replace("`", "'"), 1000)
    )  # names in a sentence, not somebody's Markdown
    return f"{marker}\n{told}\n{rest}"


def loop_state(snapshot: Snapshot, notices: Sequence[str] = ()) -> LoopState:
    """Where the loop is. What a person must act on comes first."""
    halted = paused(snapshot)
    if halted is not None and halted.reason is not HoldReason.INCIDENT:
        return _HALTED.get(halted.reason, LoopState.PAUSED)
    if open_incident(snapshot.ledger) is not None:
        return LoopState.HALTED
    if failing_base(snapshot):
        return LoopState.WAITING
    limit = snapshot.rules.limits.experiments
    if limit is not None and snapshot.last_number >= limit and not snapshot.experiments:
        return LoopState.FINISHED
    return LoopState.WAITING if notices and not _at_work(snapshot) else LoopState.RUNNING


def _at_work(snapshot: Snapshot) -> bool:
    """Whether anything moves by itself: a job, a proposal, an experiment that waits for neither people nor their checks."""
    moving = (state_of(snapshot, experiment) is not State.HELD for experiment in snapshot.experiments)
    return bool(snapshot.proposing or snapshot.calibrating) or any(moving)


def tracking_body(snapshot: Snapshot, notices: Sequence[str] = ()) -> str:
    """The issue's body.

    Args:
        snapshot: the loop.
        notices: sentences that say why nothing happens, or what a person should do; shown as data.
    """
    rules, lines = snapshot.rules, snapshot.ledger
    progress = progress_of(lines, rules.metric)
    known = calibration_of(lines, snapshot.base.inputs, latest_fleet(lines))
    incident, canary = open_incident(lines), open_canary(lines)
    state = loop_state(snapshot, notices)
    told = [notice for notice in notices if not notice.startswith(_TOLD[state])]
    return render(
        "tracking",
        marker=tracking_marker(snapshot.loop),
        loop=code(snapshot.loop),
        state=Safe(state.value),
        incident=prose(incident.reason) if incident else "",
        unless=Safe(CHEATS[canary.cheat].unless) if canary else "",
        incident_stops=incident is not None and incident.stops == "loop",
        incident_experiment=incident.experiment or 0 if incident else 0,
        notices=[prose(notice, 400) for notice in told[:NOTICES]],
        file=code(rules.edit),
        program=code(rules.program_path),
        branch=code(rules.branch),
        merge=code(rules.merge),
        limit=rules.limits.experiments or 0,
        metric=code(rules.metric.name),
        direction=Safe("lower" if rules.metric.sign < 0 else "higher"),
        baseline=number(progress.baseline) if progress.baseline is not None else "",
        best=number(progress.best) if progress.best is not None else "",
        audited=progress.audited,
        known=known.dof > 0,
        dof=count(known.dof, "degree of freedom", "degrees of freedom"),
        sigma=number(known.sigma) if known.sigma else "",
        detectable=number(DETECTABLE * known.sigma) if known.sigma else "",
        counts=counts(snapshot),
        duty=_duty(snapshot),
        rows=_rows(snapshot),
        chart=chart(progress),
        steps=step_rows(progress),
        tasks=rules.task_agent,
        score=score_words(lines),
        costs=cost_rows(lines),
        unpriced=unpriced_words(lines),
        caps=cap_words(rules.agent.money, lines),
        canaries=canary_words(lines),
        screen=screen_words(lines),
        standing=_standing(snapshot),
        reads=rules.agent.reads,
    )


@dataclass(frozen=True)
class _Row:
    """One experiment in the table."""

    number: int
    pull: Safe
    hypothesis: Safe
    verdict: Safe
    effect: Safe
    runs: Safe
    now: Safe


def _rows(snapshot: Snapshot) -> list[_Row]:
    verdicts, outcomes = last_verdicts(snapshot.ledger), last_outcomes(snapshot.ledger)
    flying = {experiment.number: experiment for experiment in snapshot.experiments}
    numbers = sorted({*verdicts, *outcomes, *flying}, reverse=True)[:ROWS]
    return [
        _row(snapshot, number, verdicts.get(number), outcomes.get(number), flying.get(number))
        for number in numbers
    ]


def _row(
    snapshot: Snapshot,
    number: int,
    line: VerdictLine | None,
    outcome: OutcomeLine | None,
    flying: Experiment | None,
) -> _Row:
    pull = line.pull if line else flying.pull if flying else 0
    hypothesis = line.hypothesis if line else flying.hypothesis if flying else ""
    if outcome is not None:
        commit = f" as {outcome.commit[:10]}" if outcome.commit else ""
        now = f"{outcome.outcome.value}{commit}"
    else:
        now = state_of(snapshot, flying).value if flying else ""
    return _Row(
        number=number,
        pull=Safe(f"#{pull}" if pull else ""),
        hypothesis=prose(hypothesis, 80) if hypothesis.strip() else Safe(""),
        verdict=Safe(line.verdict.value if line else ""),
        effect=effect_shown(line.rules.metric, line) if line else Safe(""),
        runs=Safe(str(len(line.runs)) if line else ""),
        now=Safe(now),
    )


def _duty(snapshot: Snapshot) -> Safe | str:
    """``97 %``; nothing before there are two measurements."""
    found = duty_of(snapshot.ledger, sum(snapshot.rules.lanes_by_fleet.values()))
    return Safe(f"{found.share:.0%}".replace("%", " %")) if found is not None else ""


def _standing(snapshot: Snapshot) -> Safe:
    """What `merge: auto` still takes, or that it is earned; nothing where it is not asked for."""
    rules = snapshot.rules
    if rules.merge == "shadow" or ACCEPTED in rules.accept:
        return Safe("")
    shown = standing(rules, snapshot.ledger, snapshot.base.surroundings)
    return Safe(f" `auto` is {'earned' if shown.earned else 'not earned yet'}: {shown}.")


def counts(snapshot: Snapshot) -> Safe:
    """``14 experiments: 2 keep, 11 discard, 1 crash; 2 merged``."""
    verdicts, outcomes = last_verdicts(snapshot.ledger), last_outcomes(snapshot.ledger)
    by_verdict = Counter(line.verdict for line in verdicts.values())
    merged = sum(line.outcome is Outcome.MERGED for line in outcomes.values())
    told = ", ".join(f"{by_verdict[verdict]} {verdict.value}" for verdict in Verdict if by_verdict[verdict])
    return Safe(f"{count(len(verdicts), 'experiment')} concluded: {told}; {merged} merged" if told else "")
