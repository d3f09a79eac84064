"""From a keep to the base: the final commit on the branch's tip, and the branch moved to it."""

from __future__ import annotations

import base64
from dataclasses import replace

from pawl.core.actions import Merge, MergeAsked, Promote, Rebase
from pawl.core.digest import sha256
from pawl.core.edit import Edit
from pawl.core.policy import HOLD_LABEL, paused
from pawl.core.snapshot import Experiment, Snapshot, Tracking
from pawl.github import checks
from pawl.github.errors import Conflict, Forbidden, GitHubError, Moved, Refused, Unprocessable
from pawl.github.experiments import delete_branch, pull_of, relabel
from pawl.github.facts import Issue, Pull
from pawl.github.names import experiment_branch
from pawl.github.objects import Commit
from pawl.github.tracking import tracking_issue
from pawl.github.view import RepositoryView
from pawl.messages.commits import asked_commit, edit_commit, final_commit
from pawl.messages.labels import KEEP
from pawl.messages.report import Report

METHODS = ("merge", "squash", "rebase")
"""Ways in which GitHub merges a pull request. The last one keeps the head's own message, whatever that says to workflows."""


def promote(view: RepositoryView, action: Promote, snapshot: Snapshot) -> bool:
    """Make the final commit the experiment's head, with its concluded check run; whether any of it was missing.

    Its tree is the parent's with the editable file replaced by exactly the bytes that were measured.

    Raises:
        Moved: the content is not what the verdict is about, or the branch is gone.
    """
    line, path = action.line, snapshot.rules.edit
    if sha256(action.content) != line.content:
        raise Moved(f"experiment {action.experiment} is no longer what was measured")
    pull = _pull(view, snapshot, action.experiment)
    message = final_commit(snapshot.loop, line, snapshot.rules.metric)
    head = view.objects.commit(pull.head)
    changed = False
    if (head.parents, head.message.strip()) != ((action.parent,), message.strip()):
        blob = view.objects.put_blob(action.content)  # GitHub has it, as part of the head that was measured
        pull = _replace_head(view, pull, _commit(view, action.parent, path, blob, message))
        changed = True
    changed |= checks.vouch(view, pull.head, Report(line, ledger=snapshot.ledger, page=view.home().page))
    return relabel(view, pull, KEEP.name) or changed


def rebase(view: RepositoryView, action: Rebase, snapshot: Snapshot) -> bool:
    """Make the edit on a new base the experiment's head; whether it was not.

    Raises:
        Moved: the branch is gone.
    """
    experiment = _experiment(snapshot, action.experiment)
    pull = _pull(view, snapshot, action.experiment)
    if experiment.parent == action.parent and experiment.content == action.content:
        return False
    # The message carries what the edit is about; its content is in the tree.
    edit = Edit(
        content="",
        hypothesis=experiment.hypothesis,
        proposer=experiment.proposer,
        predicted=experiment.predicted,
        parameters=experiment.parameters,
    )
    encoded = {"content": base64.b64encode(action.content).decode(), "encoding": "base64"}
    view.client.post("git/blobs", encoded)
    blob = view.objects.put_blob(action.content)
    message = edit_commit(snapshot.loop, action.experiment, edit, experiment.models)
    _replace_head(view, pull, _commit(view, action.parent, snapshot.rules.edit, blob, message))
    return True


def merge(view: RepositoryView, action: Merge, snapshot: Snapshot) -> bool:
    """Move the loop's branch to the final commit: fast-forward, unforced, so that nothing else can be merged with it.

    Where a rule wants a pull request to be merged, GitHub merges it: only while the tip is still the commit's parent, so
    that the tree is the same.

    Raises:
        Moved: the branch is no longer where it was seen.
        Refused: GitHub's rules let neither through.
    """
    name = snapshot.rules.branch
    branch, pull = view.refs.branch(name), _pull(view, snapshot, action.experiment)
    tip = branch.sha
    if tip != action.commit:
        if tip != action.parent or pull.head != action.commit:
            raise Moved(f"{name} or experiment {action.experiment} has moved")
        line = snapshot.verdict_of(_experiment(snapshot, action.experiment))
        if line is not None:  # missing only where Pawl was stopped between the commit and its check run
            checks.vouch(view, action.commit, Report(line, ledger=snapshot.ledger, page=view.home().page))
        _require_going(view, snapshot, pull)
        try:
            view.client.patch(f"git/refs/heads/{name}", {"sha": action.commit, "force": False})
            tip = action.commit
        except (Unprocessable, Forbidden, Conflict) as error:
            tip = _merge_pull(view, action, pull, name, error)
    relabel(view, pull, KEEP.name)
    view.refs.put_branch(replace(branch, sha=tip))
    seen = Pull.read(view.client.get(f"pulls/{pull.number}"))
    login = view.client.identity.login
    if seen.merged or tip != action.commit:  # GitHub itself has merged it
        view.pulls.put(replace(seen, open=False, merged=True, merge_commit=tip, ended_by=login))
        delete_branch(view, snapshot.loop, action.experiment)
    else:
        # GitHub has not noticed yet, nor perhaps which head it has, and a deleted branch would close it unmerged.
        view.pulls.put(replace(seen, head=action.commit, ended_by=login))
    return True


def merge_asked(view: RepositoryView, action: MergeAsked, snapshot: Snapshot) -> bool:
    """Let GitHub merge a pull request as it stands: only with the head that was there when it was asked for.

    Raises:
        Moved: it has another head, or a person has stopped the loop.
        Refused: GitHub's rules do not let it through.
    """
    pull = _pull(view, snapshot, action.experiment)
    if pull.merged:
        return False
    if pull.head != action.head:
        raise Moved(f"experiment {action.experiment} has another head")
    _require_going(view, snapshot, pull)
    try:
        commit = _merged_by_github(view, pull, asked_commit(snapshot.loop, action.experiment, pull.number))
    except (Unprocessable, Forbidden) as error:
        raise Refused(error.message) from error
    view.forget("refs")
    login = view.client.identity.login
    view.pulls.put(replace(pull, open=False, merged=True, merge_commit=commit, ended_by=login))
    return True


def _require_going(view: RepositoryView, snapshot: Snapshot, pull: Pull) -> None:
    """Nothing is merged that a person has stopped or holds in the meantime: asked afresh, just before."""
    view.forget_brakes()
    issue = tracking_issue(view, snapshot.loop)
    seen = replace(
        snapshot,
        stop=view.refs.stop(),
        tracking=Tracking(issue.number, issue.open, issue.labels) if issue else snapshot.tracking,
    )
    if paused(seen) is not None:
        raise Moved(f"a person has stopped the loop {snapshot.loop}")
    if HOLD_LABEL in Issue.read(view.client.get(f"issues/{pull.number}")).labels:
        raise Moved(f"a person holds the pull request {pull.number}")


def _merge_pull(view: RepositoryView, action: Merge, pull: Pull, name: str, refusal: GitHubError) -> str:
    """Let GitHub merge the pull request; returns the merge commit."""
    if isinstance(refusal, Unprocessable) and refusal.not_fast_forward:
        raise Moved(f"{name} has moved: {refusal.message}") from refusal
    view.forget("refs")
    if view.refs.branch(name).sha != action.parent:
        raise Moved(f"{name} has moved") from refusal
    try:
        return _merged_by_github(view, pull, view.objects.commit(action.commit).message)
    except (Unprocessable, Forbidden) as error:
        reasons = dict.fromkeys((refusal.message, error.message))
        raise Refused("; ".join(reasons)) from error


def _merged_by_github(view: RepositoryView, pull: Pull, message: str) -> str:
    """Let GitHub merge a pull request with its present head, by the first way that the repository allows.

    A way that is not allowed is refused without any effect, so that the next one may be tried. All of them give the branch
    the same tree.

    Args:
        view: the repository.
        pull: the pull request.
        message: of the commit, where GitHub makes one of all.

    Returns:
        The branch's new tip.

    Raises:
        Moved: the pull request or its base has moved.
        GitHubError: GitHub does not merge it.
    """
    title, _, text = message.strip().partition("\n\n")
    for method in METHODS:
        body = {"sha": pull.head, "merge_method": method}
        if method == "squash":
            body |= {"commit_title": title, "commit_message": text}
        try:
            return str(view.client.put(f"pulls/{pull.number}/merge", body)["sha"])
        except Conflict as error:
            raise Moved(f"the pull request {pull.number} or its base has moved: {error.message}") from error
        except Unprocessable as error:
            if not error.method_not_allowed or method == METHODS[-1]:
                raise
    raise AssertionError("one way of merging is the last")


def _commit(view: RepositoryView, parent: str, path: str, blob: str, message: str) -> Commit:
    """A commit on the parent that replaces one file's content and nothing else."""
    before = view.objects.commit(parent).tree
    mode = next((entry.mode for entry in view.objects.entries(before) if entry.path == path), "100644")
    entry = {"path": path, "mode": mode, "type": "blob", "sha": blob}
    tree = view.client.post("git/trees", {"base_tree": before, "tree": [entry]})["sha"]
    made = view.client.post("git/commits", {"message": message, "tree": tree, "parents": [parent]})
    commit = Commit.read(made)
    view.objects.put_commit(commit)
    view.objects.put_tree_like(tree, before, path, blob)
    return commit


def _replace_head(view: RepositoryView, pull: Pull, commit: Commit) -> Pull:
    """Force Pawl's own branch to a commit: the pull request follows."""
    try:
        view.client.patch(f"git/refs/heads/{pull.branch}", {"sha": commit.sha, "force": True})
    except Unprocessable as error:
        raise Moved(f"the branch {pull.branch} cannot be moved: {error.message}") from error
    view.refs.put(pull.branch, commit.sha)
    view.checks.put_none(commit.sha)
    moved = replace(pull, head=commit.sha)
    view.pulls.put(moved)
    return moved


def _experiment(snapshot: Snapshot, number: int) -> Experiment:
    return next(experiment for experiment in snapshot.experiments if experiment.number == number)


def _pull(view: RepositoryView, snapshot: Snapshot, number: int) -> Pull:
    pull = pull_of(view, snapshot.loop, number)
    if pull is None:
        raise Moved(f"the pull request from {experiment_branch(snapshot.loop, number)} is gone")
    return pull
