"""Turns of a loop without a server: workflow runs in which an edit is proposed and then opened."""

from __future__ import annotations

from pawl.github.client import Repository
from pawl.github.facet_jobs import WORKFLOW
from pawl.github.view import RepositoryView

TURN = "pawl propose"
"""The title of a workflow run that measures nothing."""


def turn_waits(client: Repository, own: int) -> bool:
    """Whether a workflow run that will propose is queued or goes on, besides one's own."""
    path = f"actions/workflows/{WORKFLOW}/runs"
    for status in ("queued", "in_progress"):
        listed = client.get(path, status=status, per_page=100)["workflow_runs"]
        if any(item["display_title"] == TURN and item["id"] != own for item in listed):
            return True
    return False


def start_turn(client: Repository, own: int) -> bool:
    """Dispatch a turn, unless one waits; whether it was.

    A token of the job's own may do this: workflow_dispatch is one of the two events that it can cause.

    Raises:
        NotFound: the workflow is gone from the default branch, or has no such trigger.
        GitHubError: GitHub did not do it.
    """
    if turn_waits(client, own):
        return False
    view = RepositoryView(client)
    client.post(f"actions/workflows/{WORKFLOW}/dispatches", {"ref": view.default_branch(), "inputs": {}})
    return True
