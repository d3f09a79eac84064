"""The pull request that offers Pawl to a repository: made once, kept true, and not made again after a no."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Literal

from pawl.core.chain import LEDGER_BRANCH
from pawl.core.config import CONFIG_PATH, WORKFLOW_PATH
from pawl.core.layout import Layout, Wishes, find, with_examples
from pawl.core.onboarding import Ground, Offer, offer
from pawl.core.setup_check import check_setup
from pawl.github.comments import Comments
from pawl.github.committed import Committed
from pawl.github.errors import Moved, NotFound, Unobservable, Unprocessable, in_the_way
from pawl.github.facts import Branch, Invitation
from pawl.github.names import ONBOARDING_BRANCH
from pawl.github.objects import Commit
from pawl.github.view import RepositoryView
from pawl.messages.onboarding import (
    COMMIT,
    FAREWELL_MARKER,
    TITLE,
    Invited,
    farewell,
    onboarding_body,
)
from pawl.messages.scaffold import files


class Onboarding:
    """Offers Pawl to one repository.

    Args:
        view: the repository, which has no configuration.
        chosen: whether somebody picked it, and did not install the App on everything.
    """

    def __init__(self, view: RepositoryView, chosen: bool) -> None:
        self._view, self._chosen = view, chosen
        self._comments = Comments(view)

    def look(self) -> bool:
        """Do the next step, if there is one; whether anything was written.

        Raises:
            Moved: somebody did the same at this moment: look again.
            Unobservable: a branch is in the way of the offer's; the text says which.
            GitHubError: a request did not succeed.
        """
        tip, invitation = self._tip(), self._view.pulls.invitation()
        layout = self._layout(tip) if tip and not (invitation and not invitation.open) else None
        match offer(self._ground(tip, invitation, layout)):
            case Offer.BRANCH if tip and layout:
                self._branch(tip, layout)
                return self._open(tip, layout)
            case Offer.OPEN if tip and layout:
                return self._open(tip, layout)
            case Offer.REFRESH if invitation and layout:
                return self._refresh(invitation, layout)
            case Offer.FAREWELL if invitation:
                return self._comments.write(invitation.number, FAREWELL_MARKER, farewell(), fresh=False)
            case _:
                return False

    def tidy(self) -> bool:
        """Delete the offer's branch once it is merged; whether it was there."""
        if ONBOARDING_BRANCH not in self._view.refs.own():
            return False
        invitation = self._view.pulls.invitation()
        if invitation is None or not invitation.merged:
            return False
        with suppress(NotFound, Unprocessable):  # somebody was faster
            self._view.client.delete(f"git/refs/heads/{ONBOARDING_BRANCH}")
        self._view.refs.put(ONBOARDING_BRANCH, None)
        return True

    def _tip(self) -> Branch | None:
        try:
            return self._view.refs.branch(self._view.default_branch())
        except NotFound:
            return None  # an empty repository

    def _ground(self, tip: Branch | None, invitation: Invitation | None, layout: Layout | None) -> Ground:
        home = self._view.home()
        return Ground(
            archived=home.archived,
            fork=home.fork,
            empty=tip is None,
            chosen=self._chosen,
            recognised=layout is not None and bool(layout.kind),
            used=LEDGER_BRANCH in self._view.refs.own(),
            branch=ONBOARDING_BRANCH in self._view.refs.own(),
            pull=_state(invitation),
        )

    def _layout(self, tip: Branch) -> Layout:
        found = find(Committed(self._view, tip.sha), Wishes(), tip.name)
        return with_examples(found)

    def _branch(self, tip: Branch, layout: Layout) -> None:
        """The branch with one commit on the default branch's tip: it is there as a whole, or not at all."""
        client, objects = self._view.client, self._view.objects
        committed = Committed(self._view, tip.sha)
        written = files(layout, ("self-hosted",), committed.text(layout.program) is not None)
        entries = [
            {"path": path, "mode": "100644", "type": "blob", "content": text}
            for path, text in written.items()
            if path != WORKFLOW_PATH  # which the App may not write
        ]
        base = objects.commit(tip.sha).tree
        tree = client.post("git/trees", {"tree": entries, "base_tree": base})["sha"]
        made = client.post("git/commits", {"message": COMMIT, "tree": tree, "parents": [tip.sha]})
        try:
            client.post("git/refs", {"ref": f"refs/heads/{ONBOARDING_BRANCH}", "sha": made["sha"]})
        except Unprocessable as error:
            if error.in_the_way:
                raise Unobservable(in_the_way(ONBOARDING_BRANCH)) from error
            if error.already_exists:
                raise Moved(f"the branch {ONBOARDING_BRANCH} appeared meanwhile") from error
            raise
        objects.put_commit(Commit.read(made))
        self._view.refs.put(ONBOARDING_BRANCH, made["sha"])

    def _open(self, tip: Branch, layout: Layout) -> bool:
        head = self._view.refs.own()[ONBOARDING_BRANCH]
        body = {
            "title": TITLE,
            "body": self._body(head, layout),
            "head": ONBOARDING_BRANCH,
            "base": tip.name,
        }
        try:
            made = Invitation.read(self._view.client.post("pulls", body))
        except Unprocessable as error:
            if error.already_exists:
                raise Moved("the pull request that offers Pawl appeared meanwhile") from error
            if "no commits between" in error.message.lower():
                return False  # somebody emptied the branch: there is nothing to offer
            raise
        self._view.pulls.put_invitation(made)
        return True

    def _refresh(self, invitation: Invitation, layout: Layout) -> bool:
        """People may have edited the file, or added the workflow: the body tells what is there now."""
        body = self._body(invitation.head, layout)
        if invitation.body.replace("\r\n", "\n").strip() == body.strip():
            return False
        self._view.client.patch(f"pulls/{invitation.number}", {"body": body})
        self._view.pulls.put_invitation(replace(invitation, body=body))
        return True

    def _body(self, head: str, layout: Layout) -> str:
        home, committed = self._view.home(), Committed(self._view, head)
        workflows = committed.workflows()
        invited = Invited(
            page=home.page,
            branch=ONBOARDING_BRANCH,
            layout=layout,
            setup=check_setup(committed.text(CONFIG_PATH) or "", committed, workflows),
            has_workflow=WORKFLOW_PATH in workflows,
            public=home.public,
        )
        return onboarding_body(invited)


def _state(invitation: Invitation | None) -> Literal["", "open", "closed", "merged"]:
    if invitation is None:
        return ""
    if invitation.open:
        return "open"
    return "merged" if invitation.merged else "closed"
