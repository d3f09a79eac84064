"""Pull requests of experiments: opened, put on a new base, and ended."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import dataclass, field, replace

from pawl.core.config import Loop
from pawl.core.digest import git_blob_sha
from pawl.core.edit import Edit
from pawl.github.errors import Conflict, Moved, NotFound, Unobservable, Unprocessable, in_the_way
from pawl.github.facts import Pull
from pawl.github.names import experiment_branch
from pawl.github.objects import Commit
from pawl.github.traces import trace_ref
from pawl.github.tracking import tracking_issue
from pawl.github.view import RepositoryView
from pawl.messages.commits import SKIP, EditNotes, edit_commit, read_edit_commit
from pawl.messages.labels import EXPERIMENT, HELD, SUPERSEDED, VERDICT_LABELS
from pawl.messages.pull_requests import Made, Proposal, pull_request_body, pull_request_title

STATE_LABELS = frozenset({HELD.name, SUPERSEDED.name, *(label.name for label in VERDICT_LABELS.values())})
"""Labels of which an experiment has one at a time."""


@dataclass(frozen=True)
class Opening:
    """An experiment that is to be opened."""

    loop: str
    rules: Loop
    number: int
    edit: Edit
    base: str
    """Commit that the edit was made on."""
    made: Made = field(default_factory=Made)
    """How it came about."""

    @property
    def branch(self) -> str:
        """The branch it comes from."""
        return experiment_branch(self.loop, self.number)

    @property
    def content(self) -> bytes:
        """The editable file, as it is to be."""
        return self.edit.content.encode()


def pull_of(view: RepositoryView, loop: str, number: int) -> Pull | None:
    """The pull request of an experiment: the newest, if people opened several."""
    branch = experiment_branch(loop, number)
    return max(
        (pull for pull in view.pulls.known().values() if pull.branch == branch),
        key=lambda pull: (pull.open, pull.number),
        default=None,
    )


def open_experiment(view: RepositoryView, opening: Opening) -> bool:
    """Open an experiment's pull request, or what is still missing of it; whether it was not open before.

    Raises:
        Moved: the editable file is no longer what the edit was made on.
    """
    pull = pull_of(view, opening.loop, opening.number)
    if pull is not None and (not pull.open or EXPERIMENT.name in pull.labels):
        return False
    if pull is None:
        head = _edited(view, opening)
        edit = opening.edit
        proposal = Proposal(
            loop=opening.loop,
            number=opening.number,
            rules=opening.rules,
            hypothesis=edit.hypothesis,
            proposer=edit.proposer,
            predicted=edit.predicted,
            parameters=edit.parameters,
            made=opening.made,
        )
        pull = _pull_request(view, proposal)
        view.checks.put_none(head)
    _mark(view, pull)
    return True


def left_edit(view: RepositoryView, loop: str, number: int, tip: str) -> EditNotes | None:
    """What a branch's tip says of its edit, if it is a candidate's commit that Pawl made for this experiment."""
    message = view.objects.commit(tip).message
    notes = read_edit_commit(message)
    return notes if notes.names == (loop, str(number)) and SKIP in message else None


def finish_opening(view: RepositoryView, loop: str, rules: Loop, number: int) -> bool:
    """Open the pull request of an edit whose branch was left without one; whether there was anything left to open.

    Its commit says what was proposed; what that has cost is in the ledger.
    """
    tip = view.refs.own().get(experiment_branch(loop, number))
    notes = left_edit(view, loop, number, tip) if tip is not None else None
    if notes is None or pull_of(view, loop, number) is not None:
        return False
    proposal = Proposal(
        loop=loop,
        number=number,
        rules=rules,
        hypothesis=notes.hypothesis,
        proposer=notes.proposer,
        predicted=notes.predicted,
        parameters=notes.parameters,
        made=Made(models=notes.models),
    )
    _mark(view, _pull_request(view, proposal))
    return True


def _mark(view: RepositoryView, pull: Pull) -> None:
    view.client.post(f"issues/{pull.number}/labels", {"labels": [EXPERIMENT.name]})
    view.pulls.put(replace(pull, labels=pull.labels | {EXPERIMENT.name}))


def _edited(view: RepositoryView, opening: Opening) -> str:
    """The experiment's branch with the edit on it; returns its tip."""
    client, objects, path = view.client, view.objects, opening.rules.edit
    branch, ref = opening.branch, f"git/refs/heads/{opening.branch}"
    tip = view.refs.own().get(branch)
    if tip is None:
        try:
            client.post("git/refs", {"ref": f"refs/heads/{branch}", "sha": opening.base})
        except Unprocessable as error:
            raise (Unobservable(in_the_way(branch)) if error.in_the_way else error) from error
        view.refs.put(branch, opening.base)
        view.refs.put_trace(trace_ref(opening.loop, opening.number), "")
    elif _is_edit(view, tip, opening):
        return tip
    elif tip != opening.base:
        # Left behind by an attempt to open it on an older base: Pawl's own branch, without a pull request.
        client.patch(ref, {"sha": opening.base, "force": True})
        view.refs.put(branch, opening.base)
    before = objects.commit(opening.base).tree
    old = next((entry.sha for entry in objects.entries(before) if entry.path == path), None)
    body = {
        "message": edit_commit(opening.loop, opening.number, opening.edit, opening.made.models),
        "content": base64.b64encode(opening.content).decode(),
        "sha": old,
        "branch": branch,
    }
    try:
        made = client.put(f"contents/{path}", body)["commit"]
    except (Conflict, NotFound) as error:
        raise Moved(f"the branch {branch} has moved while it was made: {error.message}") from error
    commit = Commit.read(made)
    objects.put_commit(commit)
    objects.put_tree_like(commit.tree, before, path, objects.put_blob(opening.content))
    view.refs.put(branch, commit.sha)
    return commit.sha


def _is_edit(view: RepositoryView, tip: str, opening: Opening) -> bool:
    commit = view.objects.commit(tip)
    blob = git_blob_sha(opening.content)
    return opening.base in commit.parents and any(
        entry.path == opening.rules.edit and entry.sha == blob for entry in view.objects.entries(commit.tree)
    )


def _pull_request(view: RepositoryView, proposal: Proposal) -> Pull:
    loop, number = proposal.loop, proposal.number
    issue = tracking_issue(view, loop)
    proposal = replace(proposal, tracking=issue.number if issue else None)
    body = {
        "title": pull_request_title(loop, number, proposal.hypothesis),
        "body": pull_request_body(proposal),
        "head": experiment_branch(loop, number),
        "base": proposal.rules.branch,
    }
    try:
        pull = Pull.read(view.client.post("pulls", body))
    except Unprocessable as error:
        view.forget("pulls")
        found = pull_of(view, loop, number)
        if not error.already_exists or found is None:
            raise
        return found
    view.pulls.put(pull)
    return pull


def relabel(view: RepositoryView, pull: Pull, label: str) -> bool:
    """Let a pull request have this one of the labels that show a state; whether it did not."""
    labels = _labels(pull, label)
    if labels == pull.labels:
        return False
    view.client.patch(f"issues/{pull.number}", {"labels": sorted(labels)})
    view.pulls.put(replace(pull, labels=labels))
    return True


def close(view: RepositoryView, loop: str, number: int, label: str) -> bool:
    """Close an experiment's pull request under its final label, and delete its branch; whether any of it was left to do."""
    pull = pull_of(view, loop, number)
    changed = False
    if pull is not None and pull.open:
        labels = _labels(pull, label)
        view.client.patch(f"issues/{pull.number}", {"state": "closed", "labels": sorted(labels)})
        login = view.client.identity.login
        view.pulls.put(replace(pull, open=False, labels=labels, ended_by=login))
        changed = True
    return delete_branch(view, loop, number) or changed


def delete_branch(view: RepositoryView, loop: str, number: int) -> bool:
    """Delete an experiment's branch; whether it was there."""
    branch = experiment_branch(loop, number)
    if branch not in view.refs.own():
        return False
    with suppress(
        NotFound, Unprocessable
    ):  # somebody was faster, or GitHub deletes merged branches by itself
        view.client.delete(f"git/refs/heads/{branch}")
    view.refs.put(branch, None)
    return True


def _labels(pull: Pull, label: str) -> frozenset[str]:
    return (pull.labels - STATE_LABELS) | {EXPERIMENT.name, label}
