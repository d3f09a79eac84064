"""What people see of their commands: a reaction at once, an answer where there is one, and the label that holds."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from pawl.core.actions import Answer, HoldBack, React
from pawl.core.policy import HOLD_LABEL
from pawl.core.snapshot import Snapshot
from pawl.github.errors import NotFound
from pawl.github.experiments import pull_of
from pawl.github.facts import Comment
from pawl.github.view import RepositoryView
from pawl.messages.answers import answer as text_of
from pawl.messages.answers import answer_marker

OBEYED, REFUSED = "+1", "confused"


def react(view: RepositoryView, action: React) -> None:
    """Show under the comment whether it is obeyed. To say it again changes nothing on GitHub."""
    with suppress(NotFound):  # somebody deleted it in the meantime
        content = OBEYED if action.obeyed else REFUSED
        view.client.post(f"issues/comments/{action.comment}/reactions", {"content": content})


def answer(view: RepositoryView, action: Answer, snapshot: Snapshot) -> bool:
    """Write the answer, unless it is there; whether it was not."""
    marker = answer_marker(action.ask.id)
    mine = (comment for comment in view.people.comments() if comment.author == view.client.identity.login)
    if any(comment.body.startswith(marker) for comment in mine):
        return False
    body = text_of(action, snapshot)
    made = view.client.post(f"issues/{action.ask.number}/comments", {"body": body})
    view.people.put_comment(Comment.read(made))
    return True


def hold_back(view: RepositoryView, action: HoldBack, loop: str) -> bool:
    """Put the label on the pull request; whether it was not there."""
    pull = pull_of(view, loop, action.experiment)
    if pull is None or HOLD_LABEL in pull.labels:
        return False
    view.client.post(f"issues/{pull.number}/labels", {"labels": [HOLD_LABEL]})
    view.pulls.put(replace(pull, labels=pull.labels | {HOLD_LABEL}))
    return True
