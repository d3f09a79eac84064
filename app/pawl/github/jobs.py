"""Jobs: workflow runs on the default branch that measure what a request asks for."""

from __future__ import annotations

from collections.abc import Callable

from pawl.core.digest import canonical_json
from pawl.core.measurement import Request
from pawl.github.errors import Conflict, Unprocessable
from pawl.github.facet_jobs import WORKFLOW
from pawl.github.facts import Dispatched
from pawl.github.names import job_title
from pawl.github.view import RepositoryView

GRACE = 120.0
"""Seconds in which a job must show up, on servers that do not say which job a dispatch started."""


class Jobs:
    """Starts and cancels jobs, each at most once.

    Args:
        view: the repository.
        clock: seconds that only go forward.
    """

    def __init__(self, view: RepositoryView, clock: Callable[[], float]) -> None:
        self._view, self._clock = view, clock
        self._awaited: dict[str, float] = {}
        """Titles of jobs that were started and not seen yet, with the time until which they are waited for."""
        self._cancelled: set[tuple[int, bool]] = set()

    def start(self, request: Request) -> None:
        """Dispatch a job for an attempt that was made just now, so that none can be there yet."""
        view = self._view
        title = job_title(request.loop, request)
        inputs = {"title": title, "request": canonical_json(request.model_dump(mode="json"))}
        labels = request.rules.runner_labels(request.fleet)
        if labels:
            inputs["labels"] = canonical_json(list(labels))
        body = {"ref": view.default_branch(), "inputs": inputs, "return_run_details": True}
        told = view.client.post(f"actions/workflows/{WORKFLOW}/dispatches", body)
        if not told or "workflow_run_id" not in told:
            # GitHub Enterprise Server answers 204: the job is found by its title when it shows up.
            self._awaited[title] = self._clock() + GRACE
            view.forget("jobs")
            return
        view.jobs.put(
            Dispatched(
                id=told["workflow_run_id"],
                loop=request.loop,
                key=request.key,
                check_run=request.check_run,
                status="queued",
                conclusion="",
                url=told.get("html_url") or "",
            )
        )

    def start_missing(self, request: Request) -> bool:
        """Dispatch a job for an attempt that seems to have none, after looking once more; whether anything changed."""
        self._view.forget("jobs")
        title = job_title(request.loop, request)
        if any(
            (job.loop, job.key, job.check_run) == (request.loop, request.key, request.check_run)
            for job in self._view.jobs.recent()
        ):
            self._awaited.pop(title, None)
            return True
        if self._clock() < self._awaited.get(title, 0.0):
            return False
        self.start(request)
        return True

    def cancel(self, job: int, force: bool = False) -> bool:
        """Ask once that a job be cancelled. It ends when its runner lets go, or at once by force: nothing changes yet."""
        if (job, force) not in self._cancelled:
            self._cancelled.add((job, force))
            try:
                self._view.client.post(f"actions/runs/{job}/{'force-cancel' if force else 'cancel'}")
            except (Conflict, Unprocessable):
                self._view.forget("jobs")  # it has ended already
        return False
