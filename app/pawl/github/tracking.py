"""The tracking issue of a loop, and the labels that Pawl uses."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from pawl.core.ledger import SpendLine
from pawl.core.snapshot import Snapshot
from pawl.github.errors import NotFound, Unobservable, Unprocessable
from pawl.github.estranged import estranged, require_own
from pawl.github.facts import Issue
from pawl.github.view import RepositoryView
from pawl.messages.labels import LABELS, TRACKING
from pawl.messages.tracking import tracking_body, tracking_title, with_trouble

GONE = 410
NO_ISSUES = (
    "issues are turned off in this repository, and the loop's tracking issue is where people steer and stop it: turn them "
    "on under Settings, General, Features"
)


def tracking_issue(view: RepositoryView, loop: str) -> Issue | None:
    """The loop's tracking issue: the oldest open one, else the newest closed one."""
    found = [issue for issue in view.people.tracking() if issue.title == tracking_title(loop)]
    return next((issue for issue in found if issue.open), found[-1] if found else None)


def ensure(view: RepositoryView, snapshot: Snapshot) -> bool:
    """Open the tracking issue, if there is none; whether there was none as far as was known.

    Raises:
        Unobservable: it came back as somebody else's; it is closed again. Or the repository has no issues at all.
    """
    if tracking_issue(view, snapshot.loop) is not None:
        return False
    known = view.client.identity
    if view.client.signed.ask_identity() != known:
        view.forget("tracking")  # what it wrote has another author now: it may be there
        return tracking_issue(view, snapshot.loop) is not None or ensure(view, snapshot)
    require_own(view)
    _ensure_labels(view)
    body = {
        "title": tracking_title(snapshot.loop),
        "body": tracking_body(snapshot),
        "labels": [TRACKING.name],
    }
    try:
        made = Issue.read(view.client.post("issues", body))
    except NotFound as error:
        if error.status != GONE:
            raise
        raise Unobservable(NO_ISSUES) from error
    if made.author != view.client.identity.login:
        view.client.patch(f"issues/{made.number}", {"state": "closed", "state_reason": "not_planned"})
        raise estranged(view, f"The tracking issue #{made.number}", made.author)
    view.people.put_tracking(made)
    return True


class Standing:
    """Where the loops of a repository stand, as their tracking issues tell it."""

    def __init__(self, view: RepositoryView) -> None:
        self._view = view
        self._told: dict[str, tuple[int, tuple[str, ...]]] = {}

    def tell(self, snapshot: Snapshot, notices: tuple[str, ...]) -> bool:
        """Write where a loop stands into its tracking issue; whether that was news.

        Only a new line in the ledger or another notice is: that a job waits or runs is told by its check run, and what an
        edit has cost with the verdict on it.
        """
        issue = tracking_issue(self._view, snapshot.loop)
        told = sum(not (isinstance(line, SpendLine) and line.proposed) for line in snapshot.ledger)
        news = (told, notices)
        if issue is None or self._told.get(snapshot.loop) == news:
            return False
        body = tracking_body(snapshot, notices)
        changed = issue.body.strip() != body.strip()
        if changed:
            self._view.client.patch(f"issues/{issue.number}", {"body": body})
            self._view.people.put_tracking(replace(issue, body=body))
        self._told[snapshot.loop] = news
        return changed

    def trouble(self, loop: str, why: str) -> bool:
        """Say in the loop's tracking issue, if it has one, why it cannot be looked at; whether that was news."""
        issue = tracking_issue(self._view, loop)
        self._told.pop(loop, None)  # the next look that succeeds writes the issue anew
        return issue is not None and issue.open and tell_trouble(self._view, issue, why)

    def trouble_everywhere(self, why: str) -> bool:
        """Say in the tracking issue of every loop why none can be looked at; whether that was news to any."""
        self._told.clear()
        told = [tell_trouble(self._view, issue, why) for issue in self._view.people.tracking() if issue.open]
        return any(told)


def tell_trouble(view: RepositoryView, issue: Issue, why: str) -> bool:
    """Put on top of a tracking issue why its loop cannot be looked at; whether that was news."""
    body = with_trouble(issue.body, why)
    if issue.body.strip() == body.strip():
        return False
    view.client.patch(f"issues/{issue.number}", {"body": body})
    view.people.put_tracking(replace(issue, body=body))
    return True


def add_labels(view: RepositoryView, loop: str, labels: tuple[str, ...]) -> bool:
    """Put labels on the tracking issue; whether any was missing."""
    issue = tracking_issue(view, loop)
    if issue is None or issue.labels >= set(labels):
        return False
    view.client.post(f"issues/{issue.number}/labels", {"labels": list(labels)})
    view.people.put_tracking(replace(issue, labels=issue.labels | set(labels)))
    return True


def remove_labels(view: RepositoryView, loop: str, labels: tuple[str, ...]) -> bool:
    """Take labels off the tracking issue; whether any was there."""
    issue = tracking_issue(view, loop)
    there = [label for label in labels if issue is not None and label in issue.labels]
    if issue is None or not there:
        return False
    for label in there:
        try:
            view.client.delete(f"issues/{issue.number}/labels/{label}")
        except NotFound:
            continue  # somebody was faster
    view.people.put_tracking(replace(issue, labels=issue.labels - set(there)))
    return True


def _ensure_labels(view: RepositoryView) -> None:
    """Create the labels that are missing; one that people have changed stays as they want it."""
    there = {str(item["name"]).lower() for item in view.client.pages("labels")}
    for label in LABELS:
        if label.name.lower() not in there:
            body: dict[str, Any] = asdict(label)
            try:
                view.client.post("labels", body)
            except Unprocessable as error:
                if not error.already_exists:
                    raise
