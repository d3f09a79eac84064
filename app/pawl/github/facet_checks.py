"""Check runs and commit statuses, as far as they were looked at."""

from __future__ import annotations

from pawl.github.client import Repository
from pawl.github.facets import Facets
from pawl.github.facts import CheckRun, Status


class Checks:
    """The check runs and commit statuses of one repository."""

    def __init__(self, facets: Facets, client: Repository) -> None:
        self._facets, self._client = facets, client

    def on(self, commit: str) -> tuple[CheckRun, ...]:
        """All check runs on a commit, superseded ones included, oldest first."""

        def read() -> tuple[CheckRun, ...]:
            found = self._client.pages(f"commits/{commit}/check-runs", "check_runs", filter="all")
            checks = [CheckRun.read(item, self._client.identity.owns) for item in found]
            for check in checks:
                self._facets.put("checks", ("run", check.id), check)
            return tuple(sorted(checks, key=lambda check: check.id))

        return self._facets.once("checks", ("commit", commit), read)

    def run(self, check_run: int) -> CheckRun:
        """One check run.

        Raises:
            NotFound: there is none.
        """

        def read() -> CheckRun:
            return CheckRun.read(self._client.get(f"check-runs/{check_run}"), self._client.identity.owns)

        return self._facets.once("checks", ("run", check_run), read)

    def looked_at(self, commit: str) -> bool:
        """Whether the checks or statuses on a commit are known. Asks GitHub for nothing."""
        known = (self._facets.known("checks", (kind, commit)) for kind in ("commit", "statuses"))
        return any(value is not None for value in known)

    def statuses(self, commit: str) -> tuple[Status, ...]:
        """The last commit status of each context; none where the installation does not let them be read."""
        if not self._client.grant.allows("statuses", "read"):
            return ()

        def read() -> tuple[Status, ...]:
            found = self._client.pages(f"commits/{commit}/status", "statuses")
            return tuple(Status(item["context"], item["state"]) for item in found)

        return self._facets.once("checks", ("statuses", commit), read)

    def put(self, check: CheckRun) -> None:
        """A check run is now so."""
        self._facets.put("checks", ("run", check.id), check)
        self._facets.update(
            "checks",
            ("commit", check.head),
            lambda checks: (*(other for other in checks if other.id != check.id), check),
        )

    def put_none(self, commit: str) -> None:
        """A commit was just made, so that nothing has checked it."""
        self._facets.put("checks", ("commit", commit), ())
