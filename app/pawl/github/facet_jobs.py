"""Jobs of the measuring workflow, as far as they were looked at: who is to take them, and what they handed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from pawl.core.config import WORKFLOW_PATH
from pawl.core.waiting import Runner
from pawl.github.artifacts import Handed, fetch_handed
from pawl.github.client import Repository
from pawl.github.errors import Forbidden, NotFound, Unobservable
from pawl.github.facets import Facets
from pawl.github.facts import Dispatched
from pawl.github.runners import listed

WORKFLOW = WORKFLOW_PATH.rsplit("/", 1)[-1]
RECENT_JOBS = 100
"""Jobs that are looked through: a lane has two at a time, so older ones have ended long ago."""


class Jobs:
    """The measuring jobs of one repository.

    Args:
        facets: where it is kept what was read.
        client: the repository.
        default_branch: asks for the branch whose workflow counts.
        ended: conclusions of jobs by their workflow run, where only that run's other jobs still go on.
    """

    def __init__(
        self, facets: Facets, client: Repository, default_branch: Callable[[], str], ended: Mapping[int, str]
    ) -> None:
        self._facets, self._client = facets, client
        self._default_branch, self._ended = default_branch, ended

    def recent(self) -> tuple[Dispatched, ...]:
        """Jobs of the measuring workflow that Pawl started lately, oldest first."""

        def read() -> tuple[Dispatched, ...]:
            path = f"actions/workflows/{WORKFLOW}/runs"
            try:
                listed = self._client.get(path, event="workflow_dispatch", per_page=RECENT_JOBS)[
                    "workflow_runs"
                ]
            except NotFound:
                raise Unobservable(
                    f"{self._client.name} has no workflow {WORKFLOW_PATH} on {self._default_branch()}, so nothing can be "
                    "measured; `pawl init` writes it"
                ) from None
            jobs = (Dispatched.read(item, self._default_branch()) for item in listed)
            return tuple(
                sorted((self._as_ended(job) for job in jobs if job is not None), key=lambda job: job.id)
            )

        return self._facets.once("jobs", "list", read)

    def seen_to_run(self, job: int) -> bool:
        """Whether a job was going on when jobs were last read. Asks GitHub for nothing."""
        known: tuple[Dispatched, ...] = self._facets.known("jobs", "list") or ()
        return any(each.id == job and each.status == "in_progress" for each in known)

    def labels_of(self, job: int) -> tuple[str, ...]:
        """What the runner of a job that waits must be labelled with; nothing where it does not wait any more."""

        def read() -> tuple[str, ...]:
            for item in self._client.pages(f"actions/runs/{job}/jobs", "jobs"):
                if item["status"] == "queued":
                    return tuple(str(label) for label in item["labels"])
            return ()

        return self._facets.once("jobs", ("labels", job), read)

    def runners(self) -> tuple[Runner, ...] | None:
        """The repository's runners; none where Pawl may not list them."""
        if not self._client.grant.allows("administration", "read"):
            return None

        def read() -> tuple[Runner, ...] | None:
            try:
                return tuple(listed(self._client))
            except (Forbidden, NotFound):
                return None  # a token that may not: GitHub does not tell beforehand

        return self._facets.once("jobs", "runners", read)

    def handed(self, job: int) -> Handed:
        """What an ended job handed in."""
        return self._facets.once("jobs", ("handed", job), lambda: fetch_handed(self._client, job))

    def put(self, job: Dispatched) -> None:
        """A job was just started."""
        self._facets.update("jobs", "list", lambda jobs: (*jobs, job))

    def _as_ended(self, job: Dispatched) -> Dispatched:
        conclusion = self._ended.get(job.id)
        return job if conclusion is None else replace(job, status="completed", conclusion=conclusion)
