"""A loop's experiments, as a look sees them: every pull request without an outcome in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pawl.core.edit import objections, scope_objection
from pawl.core.ledger import VerdictLine
from pawl.core.snapshot import Attempt, Check, Experiment
from pawl.github.facts import Pull
from pawl.github.look import Look
from pawl.github.names import experiment_branch
from pawl.github.observe_jobs import job_of, request_in
from pawl.messages.commits import SKIP, EditNotes, read_edit_commit


def experiments_of(look: Look) -> Iterator[Experiment]:
    """Every experiment that is not over, by number."""
    by_number: dict[int, Pull] = {}
    for _, pull in sorted(look.view.pulls.known().items()):
        number = look.number_of(pull.branch)
        if number is None or number in look.over:
            continue
        if number not in by_number or pull.open or not by_number[number].open:
            by_number[number] = pull
    for number, pull in sorted(by_number.items()):
        yield _experiment(look, number, pull)


def leftovers(look: Look) -> Iterator[int]:
    """Merged experiments that are over, and whose branch is there still. Where somebody works on, it has moved."""
    own = look.view.refs.own()
    for pull in look.view.pulls.known().values():
        number = look.number_of(pull.branch)
        if number in look.over and pull.merged and own.get(pull.branch) == pull.head:
            yield number


def _experiment(look: Look, number: int, pull: Pull) -> Experiment:
    unnoticed = pull.open and pull.head == look.tip().sha
    if unnoticed:
        # The branch was moved to its head: GitHub takes a moment to notice that this merged it.
        pull = replace(pull, open=False, merged=True, merge_commit=pull.head)
    objects, path = look.view.objects, look.rules.edit
    commit = objects.commit(pull.head)
    parent = commit.parents[0] if commit.parents else pull.head
    before, after = look.entries(parent), look.entries(pull.head)
    old, new = look.content(before), look.content(after)
    scope = scope_objection(before, after, path)
    wrong = (scope,) if scope else objections(path, old, new, look.rules.limits.changed_lines)
    final = SKIP not in commit.message
    notes = _notes(look, number, commit.message)
    return Experiment(
        number=number,
        pull=pull.number,
        head=pull.head,
        parent=parent,
        parent_inputs=look.inputs(before),
        parent_content=old,
        content=new,
        inputs_after=look.inputs(before, new),
        open=pull.open,
        merged=pull.merged,
        ended_by="" if pull.open else look.view.pulls.ended_by(pull),
        merge_commit=pull.merge_commit,
        final=final,
        objections=wrong,
        labels=pull.labels,
        attempt=_attempt(look, number, pull.head),
        checks=tuple(_checks(look, pull.head)) if final and pull.open else (),
        branch_exists=experiment_branch(look.loop, number) in look.view.refs.own(),
        unnoticed=unnoticed,
        hypothesis=notes.hypothesis,
        proposer=notes.proposer,
        predicted=notes.predicted,
        parameters=notes.parameters,
        models=notes.models,
    )


def _notes(look: Look, number: int, message: str) -> EditNotes:
    """What the head's commit says of its edit; a final commit leaves that to the ledger."""
    notes = read_edit_commit(message)
    if notes.proposer:
        return notes
    for line in reversed(look.lines):
        if isinstance(line, VerdictLine) and line.experiment == number:
            parameters = dict(line.parameters)
            return EditNotes(line.hypothesis, line.proposer, line.predicted, parameters, line.models)
    return notes


def _attempt(look: Look, number: int, head: str) -> Attempt | None:
    """The newest of Pawl's own check runs that names this experiment; anybody else's are not looked at."""
    mine = [
        (check.attempt[1], check.id, check)
        for check in look.view.checks.on(head)
        if look.own(check) and check.attempt is not None and check.attempt[0] == str(number)
    ]
    if not mine:
        return None
    attempt, _, check = max(mine, key=lambda item: item[:2])
    concluded = any(
        isinstance(line, VerdictLine)
        and (line.experiment, line.head, line.attempt) == (number, head, attempt)
        for line in look.lines
    )
    job = job_of(look, f"{number}.{attempt}", check.id, wanted=not concluded)
    return Attempt(attempt, check.id, check.status, request_in(check), job, check.began)


def _checks(look: Look, head: str) -> Iterator[Check]:
    """What others say of a final commit: the newest check run of each name, and every status."""
    newest = {check.name: check for check in look.view.checks.on(head) if not check.own}
    for check in newest.values():
        yield Check(check.name, check.status, check.conclusion)
    for status in look.view.checks.statuses(head):
        pending = status.state == "pending"
        conclusion = "" if pending else "success" if status.state == "success" else "failure"
        yield Check(status.context, "queued" if pending else "completed", conclusion)
