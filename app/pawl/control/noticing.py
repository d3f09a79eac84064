"""Shows that a command was noticed, at once: a look may be busy with other things, and nobody should wonder meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any

import structlog

from pawl.control.events import Event
from pawl.core.asks import command_line
from pawl.github.client import Repository
from pawl.github.errors import GitHubError
from pawl.github.facet_people import TRACKING_LABEL
from pawl.messages.labels import EXPERIMENT

log = structlog.get_logger(__name__)

NOTICED = "eyes"
PLACES = frozenset({TRACKING_LABEL, EXPERIMENT.name})
"""Labels of the issues and pull requests in which commands are read."""


def command_comment(event: Event, payload: Mapping[str, Any]) -> int | None:
    """The comment of a delivery that may tell of a new command; none if it does not.

    Labels are display, and so is what follows from this: whether it is a command, and obeyed, is for the look to say.
    """
    comment, issue = payload.get("comment"), payload.get("issue")
    if (event.name, event.action) != ("issue_comment", "created"):
        return None
    if not isinstance(comment, Mapping) or not isinstance(issue, Mapping):
        return None
    labels = {item.get("name") for item in issue.get("labels") or () if isinstance(item, Mapping)}
    number, body = comment.get("id"), comment.get("body")
    said = isinstance(body, str) and command_line(body)
    return number if said and labels & PLACES and isinstance(number, int) else None


class Noticing:
    """Reactions to commands that have just arrived, apart from looks and their pace.

    Args:
        executor: where they are made.
        client_of: a client of a repository by its name, of its own: a look's client waits between its writes.
    """

    def __init__(self, executor: Executor, client_of: Callable[[str], Repository | None]) -> None:
        self._executor, self._client_of = executor, client_of

    def notice(self, repository: str, comment: int) -> None:
        """React, soon; returns at once."""
        self._executor.submit(self._react, repository, comment)

    def _react(self, repository: str, comment: int) -> None:
        """It is display alone, so a reaction that fails is let go: the look's own one follows."""
        try:
            client = self._client_of(repository)
            if client is not None:
                client.post(f"issues/comments/{comment}/reactions", {"content": NOTICED})
        except GitHubError as error:
            log.info("not shown as noticed", repository=repository, comment=comment, why=str(error))
        except Exception:
            log.exception("not shown as noticed", repository=repository, comment=comment)

    def close(self) -> None:
        """React no more."""
        self._executor.shutdown(wait=False, cancel_futures=True)
