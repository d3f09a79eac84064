"""What the next look at a repository has to read again, by what webhooks and the timer have said."""

from __future__ import annotations

import threading

from pawl.control.events import ALL
from pawl.github.facets import Facet
from pawl.github.view import RepositoryView

IN_EACH_ROUND: frozenset[Facet] = frozenset({"jobs"})
"""GitHub's lists can lag behind its webhooks, and a lane waits for a job's end."""


class News:
    """The news of one repository. Any thread may bring some."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._stale: set[Facet] = set()
        self._began: set[int] = set()
        self._checked: set[str] = set()
        self._round = self._heard = False

    def hear(self, facets: frozenset[Facet], began: int | None = None, checked: str = "") -> None:
        """A webhook came.

        Args:
            facets: what may have changed.
            began: the job that has begun, where that is all that has changed: no news if it was seen to go on by then.
            checked: the commit that was checked, where that is all: no news if nobody has looked at its checks.
        """
        with self._guard:
            self._heard = True
            if began is not None:
                self._began.add(began)
            elif facets and checked:
                self._checked.add(checked)
            else:
                self._stale |= facets

    def everything(self) -> None:
        """Anything may have changed."""
        with self._guard:
            self._stale |= ALL

    def round(self) -> None:
        """The timer came by. Where webhooks arrive, only what they do not tell of is read again; else, everything."""
        with self._guard:
            self._stale |= IN_EACH_ROUND if self._heard else ALL
            self._round, self._heard = True, False

    def take(self, view: RepositoryView) -> bool:
        """Let a view forget what is to be read again; whether that is anything."""
        with self._guard:
            stale, began, checked, timer = self._stale, self._began, self._checked, self._round
            self._stale, self._began, self._checked, self._round = set(), set(), set(), False
        if not all(view.jobs.seen_to_run(job) for job in began):
            stale.add("jobs")
        if any(view.checks.looked_at(commit) for commit in checked):
            stale.add("checks")
        for facet in stale:
            view.forget(facet)
        if timer:  # GitHub announces refs of branches and tags only
            view.refs.forget_stop()
            view.pulls.forget_unnoticed()
        return bool(stale)
