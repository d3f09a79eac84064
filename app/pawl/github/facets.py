"""The parts of what is known of a repository, each of which can be forgotten by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, Literal, TypeVar, cast

Facet = Literal["refs", "pulls", "tracking", "comments", "jobs", "checks"]
"""Branches, refs and rules; pull requests and who ended them; tracking issues; comments and what their authors may do; jobs
and what they handed in; check runs and commit statuses."""

T = TypeVar("T")


class Facets:
    """Values by facet and name: read at most once, until they are forgotten; true after Pawl's own writes.

    Hold `lock` from a look to the last write that follows from it; everything in this room does.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._known: dict[Facet, dict[Hashable, Any]] = {}

    def forget(self, facet: Facet) -> None:
        """Read a facet again when it is next asked for."""
        with self.lock:
            self._known.pop(facet, None)

    def forget_all(self) -> None:
        """Read everything again that can change."""
        with self.lock:
            self._known.clear()

    def _once(self, facet: Facet, name: Hashable, read: Callable[[], T]) -> T:
        with self.lock:
            known = self._known.setdefault(facet, {})
            if name not in known:
                known[name] = read()
            return cast(T, known[name])

    def _update(self, facet: Facet, name: Hashable, change: Callable[[Any], Any]) -> None:
        """Change what is known; what is not will be read anyway."""
        with self.lock:
            known = self._known.get(facet, {})
            if name in known:
                known[name] = change(known[name])

    def _put(self, facet: Facet, name: Hashable, value: Any) -> None:
        with self.lock:
            self._known.setdefault(facet, {})[name] = value
