"""What the next look at a repository has to read again, by what webhooks and the timer have said."""

from __future__ import annotations

import threading

from pawl.control.events import ALL, Event
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
        self._merged: set[int] = set()
        self._checked: set[str] = set()
        self._round = self._heard = False

    def hear(self, facets: frozenset[Facet], event: Event) -> None:
        """A webhook came.

        Args:
            facets: what may have changed.
            event: what it says. That a job has begun is no news if it was seen to go on by then, nor are checks of a commit
                whose checks nobody has looked at. That a pull request is merged is news where it was still seen open: of
                a branch that Pawl has moved itself, GitHub takes a moment to see what that merges.
        """
        with self._guard:
            self._heard = True
            if event.merged is not None:
                self._merged.add(event.merged)
            if event.began is not None:
                self._began.add(event.began)
            elif event.checked and facets:
                self._checked.add(event.checked)
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
            stale, began, merged, checked = self._stale, self._began, self._merged, self._checked
            self._stale, self._began, self._merged, self._checked = set(), set(), set(), set()
            timer, self._round = self._round, False
        if not all(view.jobs.seen_to_run(job) for job in began):
            stale.add("jobs")
        if any(view.pulls.seen_open(number) for number in merged):
            stale.add("pulls")
        if any(view.checks.looked_at(commit) for commit in checked):
            stale.add("checks")
        for facet in stale:
            view.forget(facet)
        if timer:  # GitHub announces refs of branches and tags only
            view.refs.forget_stop()
            view.pulls.forget_unnoticed()
        return bool(stale)
