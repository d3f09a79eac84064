"""What people say and do beside the code: tracking issues, comments, labels, and what their authors may do here."""

from __future__ import annotations

from itertools import islice

from pawl.core.asks import Labelled, Level
from pawl.core.policy import PAUSED_LABEL
from pawl.github.client import Repository
from pawl.github.errors import NotFound
from pawl.github.facets import Facets
from pawl.github.facts import Comment, Issue
from pawl.github.requester import PAGE

TRACKING_LABEL = "pawl:tracking"
RECENT_COMMENTS = 500
"""Comments that are looked through after a long absence."""
SAID = 100
"""Comments of one issue that are looked through."""


class People:
    """The tracking issues and comments of one repository, and the people behind them."""

    def __init__(self, facets: Facets, client: Repository) -> None:
        self._facets, self._client = facets, client
        self._heard: frozenset[int] = frozenset()
        """Comments that the last look at them has found."""

    def tracking(self) -> tuple[Issue, ...]:
        """Issues with the tracking label that Pawl opened, oldest first."""

        def read() -> tuple[Issue, ...]:
            listed = self._client.pages(
                "issues", labels=TRACKING_LABEL, state="all", sort="created", direction="asc"
            )
            issues = [Issue.read(item) for item in listed if "pull_request" not in item]
            return tuple(issue for issue in issues if issue.author == self._client.identity.login)

        return self._facets.once("tracking", "list", read)

    def comments(self) -> tuple[Comment, ...]:
        """The newest comments on issues and pull requests, oldest first: one request for a hundred of them.

        More are read only where none of these was seen before, so that what was said while Pawl was down is heard.
        """

        def read() -> tuple[Comment, ...]:
            listed = self._client.pages("issues/comments", sort="created", direction="desc")
            newest = [Comment.read(item) for item in islice(listed, PAGE)]
            if self._heard.isdisjoint(comment.id for comment in newest):
                newest += [Comment.read(item) for item in islice(listed, RECENT_COMMENTS - PAGE)]
            self._heard = frozenset(comment.id for comment in newest)
            return tuple(sorted(newest, key=lambda comment: comment.id))

        return self._facets.once("comments", "list", read)

    def said(self, issue: int) -> tuple[Comment, ...]:
        """The newest comments on one issue by people who may write to the repository, oldest first."""

        def read() -> tuple[Comment, ...]:
            listed = list(self._client.pages(f"issues/{issue}/comments"))[-SAID:]
            comments = (Comment.read(item) for item in listed)
            return tuple(
                comment
                for comment in comments
                if comment.person and self.level(comment.author).reaches(Level.WRITE)
            )

        return self._facets.once("comments", ("said", issue), read)

    def forget_heard(self) -> None:
        """Read comments behind the newest ones too: some may have no answer yet."""
        self._heard = frozenset()

    def level(self, login: str) -> Level:
        """What a person may do here: GitHub's own word, for an association like MEMBER says nothing of this repository."""

        def read() -> Level:
            try:
                told = self._client.get(f"collaborators/{login}/permission")
            except NotFound:
                return Level.NONE
            # `permission` knows neither triage nor maintain; `role_name` may be a role that an organisation made up.
            role = Level.of(str(told.get("role_name")))
            return role if role is not Level.NONE else Level.of(str(told.get("permission")))

        return self._facets.once("comments", ("level", login), read)

    def forget_level(self, login: str) -> None:
        """Ask again what a person may do, now that they have done something: GitHub announces no change of it."""
        self._facets.drop("comments", ("level", login))

    def labelled_by(self, issue: int, label: str) -> Labelled | None:
        """Who last put a label on an issue, and what they may do here; none where GitHub does not say."""

        def read() -> Labelled | None:
            by = ""
            for event in self._client.pages(f"issues/{issue}/events"):
                if event["event"] == "labeled" and event["label"]["name"] == label:
                    by = str((event.get("actor") or {}).get("login", ""))
            self.forget_level(by)
            return Labelled(by, self.level(by)) if by else None

        return self._facets.once("tracking", ("labelled", issue, label), read)

    def braked_by(self, issue: int) -> str:
        """Who last paused a loop by its tracking issue, or let it go on; empty where GitHub does not say."""

        def read() -> str:
            by = ""
            for event in self._client.pages(f"issues/{issue}/events"):
                named = (event.get("label") or {}).get("name")
                if event["event"] in ("closed", "reopened") or (
                    event["event"] in ("labeled", "unlabeled") and named == PAUSED_LABEL
                ):
                    by = str((event.get("actor") or {}).get("login", ""))
            return by

        return self._facets.once("tracking", ("braked", issue), read)

    def put_comment(self, comment: Comment) -> None:
        """A comment was just written."""
        self._facets.update("comments", "list", lambda comments: (*comments, comment))

    def put_tracking(self, issue: Issue) -> None:
        """A tracking issue is now so."""
        self._facets.update(
            "tracking",
            "list",
            lambda issues: (*(other for other in issues if other.number != issue.number), issue),
        )
