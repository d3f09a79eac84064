"""Reads GitHub into a snapshot of one loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pawl.core.asks import Ask, command_line
from pawl.core.config import Loop
from pawl.core.ledger import AskLine, Brake
from pawl.core.policy import RESUME_LABEL, brakes, brakes_told
from pawl.core.snapshot import Base, Snapshot, Tracking
from pawl.github.errors import NotFound, Unobservable
from pawl.github.facts import Issue
from pawl.github.look import Look
from pawl.github.observe_experiments import experiments_of, leftovers
from pawl.github.observe_jobs import calibrating, late, orphans
from pawl.github.observe_numbers import last_number, unopened
from pawl.github.tracking import tracking_issue
from pawl.github.view import RepositoryView


def observe(view: RepositoryView, loop: str, rules: Loop) -> Snapshot:
    """A loop as GitHub shows it now, as far as the view has not seen it already. What its proposer does is not known here.

    Args:
        view: the loop's repository.
        loop: the loop's name.
        rules: its rules, from the default branch.

    Raises:
        Unobservable: a person has to change something first.
        LedgerError: the ledger is not what Pawl wrote.
        GitHubError: GitHub did not answer.
    """
    with view.lock:
        return _snapshot(Look(view, loop, rules, view.ledger.lines(loop)))


def _snapshot(look: Look) -> Snapshot:
    view = look.view
    base = _base(look)  # first, since it says what to do where the branch is gone
    issue = tracking_issue(view, look.loop)
    experiments, last = tuple(experiments_of(look)), last_number(look)
    seen = Snapshot(
        repository=view.name,
        loop=look.loop,
        rules=look.rules,
        base=base,
        ledger=look.lines,
        experiments=experiments,
        calibrating=tuple(calibrating(look)),
        orphans=tuple(orphans(look, experiments)),
        late=tuple(late(look, experiments)),
        tracking=Tracking(issue.number, issue.open, issue.labels) if issue else None,
        stop=view.refs.stop(),
        asks=tuple(_asks(look, issue)),
        resumer=view.people.labelled_by(issue.number, RESUME_LABEL)
        if issue is not None and RESUME_LABEL in issue.labels
        else None,
        public=view.home().public,
        last_number=last,
        unopened=tuple(unopened(look, last)),
        leftovers=tuple(leftovers(look)),
    )
    if issue is None or brakes(seen)[Brake.PAUSED] == brakes_told(look.lines)[Brake.PAUSED]:
        return seen
    return replace(seen, braked_by=view.people.braked_by(issue.number))


def _base(look: Look) -> Base:
    rules = look.rules
    try:
        branch = look.tip()
    except NotFound:
        raise Unobservable(
            f"{look.view.name} has no branch {rules.branch}; create it, or name another one as `branch` of the "
            f"loop {look.loop} in .github/pawl.yml"
        ) from None
    entries = look.entries(branch.sha)
    paths = {entry.path: entry for entry in entries}
    for path, key in ((rules.edit, "edit"), (rules.program_path, "program")):
        if path not in paths:
            raise Unobservable(
                f"{path} is not on {rules.branch}; add it, or correct `{key}` of the loop {look.loop} in "
                ".github/pawl.yml"
            )
    inputs = [entry for entry in entries if look.is_input(entry.path)]
    return Base(
        sha=branch.sha,
        inputs=look.inputs(inputs),
        content=look.view.objects.blob(paths[rules.edit].sha),
        entries_digest={entry.path: entry.sha for entry in inputs},
        required_checks=branch.required_checks,
        protected=branch.protected,
        surroundings=look.inputs(entry for entry in inputs if entry.path != rules.edit),
    )


def _asks(look: Look, issue: Issue | None) -> Iterator[Ask]:
    """Commands in the tracking issue and in experiments' pull requests that have no line in the ledger."""
    if issue is None:
        return
    people = look.view.people
    known = {line.key for line in look.lines if isinstance(line, AskLine)}
    places: dict[int, int | None] = {issue.number: None}
    for pull in look.view.pulls.known().values():
        number = look.number_of(pull.branch)
        if number is not None:
            places[pull.number] = number
    for comment in people.comments():
        text = command_line(comment.body)
        # An edited comment may have become a command by somebody else's hand: whoever may write can edit it.
        if not text or not comment.person or comment.edited or comment.number not in places:
            continue
        if f"ask:{comment.id}" not in known:
            yield Ask(
                id=str(comment.id),
                by=comment.author,
                level=people.level(comment.author),
                text=text,
                number=comment.number,
                experiment=places[comment.number],
                comment=comment.id,
            )
