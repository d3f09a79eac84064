"""The parts of what is known of a repository, each of which can be forgotten by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Literal, TypeVar, cast

Facet = Literal["refs", "pulls", "tracking", "comments", "jobs", "checks"]
"""Branches, refs and rules; pull requests and who ended them; tracking issues; comments and what their authors may do; jobs
and what they handed in; check runs and commit statuses."""

K = TypeVar("K")
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

    def drop(self, facet: Facet, name: Hashable) -> None:
        """Read one value of a facet again when it is next asked for."""
        with self.lock:
            self._known.get(facet, {}).pop(name, None)

    def known(self, facet: Facet, name: Hashable) -> Any:
        """A value, if it is known; none where it would have to be read."""
        with self.lock:
            return self._known.get(facet, {}).get(name)

    def once(self, facet: Facet, name: Hashable, read: Callable[[], T]) -> T:
        """A value, read by `read` where it is not known."""
        with self.lock:
            known = self._known.setdefault(facet, {})
            if name not in known:
                known[name] = read()
            return cast(T, known[name])

    def update(self, facet: Facet, name: Hashable, change: Callable[[Any], Any]) -> None:
        """Change what is known; what is not will be read anyway."""
        with self.lock:
            known = self._known.get(facet, {})
            if name in known:
                known[name] = change(known[name])

    def put(self, facet: Facet, name: Hashable, value: Any) -> None:
        """A value, known without reading it."""
        with self.lock:
            self._known.setdefault(facet, {})[name] = value


def with_item(items: Mapping[K, T], key: K, item: T | None) -> dict[K, T]:
    """A copy in which one item is now so; none takes it out."""
    if item is not None:
        return {**items, key: item}
    return {name: other for name, other in items.items() if name != key}
