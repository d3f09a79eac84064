"""Tells people, where they look, that an installation does not grant what Pawl needs: once, and by what it does grant."""

from __future__ import annotations

from typing import Literal

import structlog

from pawl.core.config_file import ConfigError
from pawl.github.act import Actor
from pawl.github.comments import Comments
from pawl.github.errors import NotFound
from pawl.github.facet_people import TRACKING_LABEL
from pawl.github.facts import CheckRun, Issue
from pawl.github.grants import Grant
from pawl.github.view import RepositoryView
from pawl.messages.permissions import MARKER, TITLE, granted_page, waiting_page, waiting_words

log = structlog.get_logger(__name__)

CHECK = "pawl/permissions"
Told = Literal["", "issue", "check", "comment", "log"]


class Permissions:
    """What a repository's people are told of permissions.

    Args:
        view: the repository.
        actor: what writes to it.
        chosen: whether somebody picked it for the App: nobody waits for Pawl in a repository that merely came along.
    """

    def __init__(self, view: RepositoryView, actor: Actor, chosen: bool) -> None:
        self._view, self._actor, self._chosen = view, actor, chosen
        self._comments = Comments(view)
        self._known: Grant | None = None
        """What was granted when people were last told that it is not enough."""
        self._commented: set[int] = set()
        self._checked: int | None = None

    def wait(self, grant: Grant) -> Told:
        """Say what is lacking, where that can be said; gives where. Empty if that was said before.

        Raises:
            GitHubError: a request did not succeed.
        """
        if self._known == grant:
            return ""
        told = self._issue(grant) or self._check(grant) or self._comment(grant) or "log"
        why = waiting_words(grant.lacking, grant.page)
        log.warning("permissions are missing", repository=self._view.name, why=why)
        self._known = grant
        return told

    def settle(self) -> None:
        """Everything is granted: take back what was said. The loops' own tracking issues are written by their next look.

        Raises:
            GitHubError: a request did not succeed.
        """
        self._known = None
        issue = self._own_issue()
        if issue is not None and issue.open:
            self._view.client.patch(
                f"issues/{issue.number}",
                {"body": granted_page(), "state": "closed", "state_reason": "completed"},
            )
            self._view.forget("tracking")
        if self._checked is not None:
            output = {"title": "Granted", "summary": granted_page()}
            body = {"status": "completed", "conclusion": "success", "output": output}
            self._view.client.patch(f"check-runs/{self._checked}", body)
            self._checked = None
        for pull in sorted(self._commented):
            self._comments.write(pull, MARKER, granted_page(), fresh=False)
        self._commented.clear()

    def _issue(self, grant: Grant) -> Told:
        if not grant.allows("issues", "write"):
            return ""
        if any(issue.open and issue.title != TITLE for issue in self._view.people.tracking()):
            self._actor.tell_every_loop(waiting_words(grant.lacking, grant.page))
            return "issue"
        if not self._awaited(grant):
            return ""
        issue, body = self._own_issue(), waiting_page(grant.lacking, grant.page)
        if issue is None:
            fields = {"title": TITLE, "body": body, "labels": [TRACKING_LABEL]}
            self._view.people.put_tracking(Issue.read(self._view.client.post("issues", fields)))
        elif (
            issue.body.strip() != body.strip()
        ):  # else it says so, or somebody closed it and does not want to hear it
            self._view.client.patch(f"issues/{issue.number}", {"body": body, "state": "open"})
            self._view.forget("tracking")
        return "issue"

    def _own_issue(self) -> Issue | None:
        return next((issue for issue in self._view.people.tracking() if issue.title == TITLE), None)

    def _check(self, grant: Grant) -> Told:
        if not (
            grant.allows("checks", "write") and grant.allows("contents", "read") and self._awaited(grant)
        ):
            return ""
        try:
            tip = self._view.refs.branch(self._view.default_branch()).sha
        except NotFound:
            return ""  # an empty repository
        output = {"title": TITLE, "summary": waiting_page(grant.lacking, grant.page)}
        body = {"name": CHECK, "status": "completed", "conclusion": "action_required", "output": output}
        own = [check for check in self._view.checks.on(tip) if check.own and check.name == CHECK]
        if own:
            self._checked = own[-1].id
            self._view.client.patch(f"check-runs/{self._checked}", body)
        else:
            made = self._view.client.post("check-runs", {**body, "head_sha": tip})
            self._checked = CheckRun.read(made, self._view.client.identity.owns).id
        return "check"

    def _comment(self, grant: Grant) -> Told:
        if not grant.allows("pull_requests", "write"):
            return ""
        body = waiting_page(grant.lacking, grant.page)
        pulls = [pull.number for pull in self._view.pulls.known().values() if pull.open]
        for number in pulls:
            self._comments.write(number, MARKER, body, fresh=False)
            self._commented.add(number)
        return "comment" if pulls else ""

    def _awaited(self, grant: Grant) -> bool:
        """Whether anybody waits for Pawl here, as far as that can be seen."""
        if self._chosen or not grant.allows("contents", "read"):
            return self._chosen
        try:
            config = self._view.config()
        except ConfigError:
            return True
        return config is not None
