"""What goes wrong on the way to GitHub and back, on request of a test."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class _Rule:
    method: str
    pattern: re.Pattern[str]
    times: int
    status: int = 0
    action: Callable[[], object] | None = None
    kind: str = "before"


@dataclass
class Faults:
    """One line arranges one fault. `pattern` is searched in the path below the API's base; `method` may be `*`."""

    _rules: list[_Rule] = field(default_factory=list)
    _dropped: dict[str, int] = field(default_factory=dict)
    _doubled: dict[str, int] = field(default_factory=dict)
    late_pulls: bool = False
    """Whether GitHub takes its time to notice what a moved branch means for pull requests; see `Pulls.notice`."""
    _reorder: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fail_before(self, method: str, pattern: str, status: int = 502, times: int = 1) -> None:
        """Answer with an error and do nothing."""
        self._rules.append(_Rule(method, re.compile(pattern), times, status, kind="fail_before"))

    def fail_after(self, method: str, pattern: str, status: int = 500, times: int = 1) -> None:
        """Do what was asked, then answer with an error all the same."""
        self._rules.append(_Rule(method, re.compile(pattern), times, status, kind="fail_after"))

    def on_request(
        self, method: str, pattern: str, action: Callable[[], object], *, after: bool = False, times: int = 1
    ) -> None:
        """Call `action` right before (or after) such a request takes effect."""
        kind = "call_after" if after else "call_before"
        self._rules.append(_Rule(method, re.compile(pattern), times, action=action, kind=kind))

    def delay(self, method: str, pattern: str, seconds: float, times: int = 1) -> None:
        """Make such a request slow."""
        self.on_request(method, pattern, lambda: time.sleep(seconds), times=times)

    def drop_webhook(self, event: str, times: int = 1) -> None:
        """Let the next deliveries of an event fail, as when the receiver is down. They are on record as failed."""
        self._dropped[event] = self._dropped.get(event, 0) + times

    def double_webhook(self, event: str, times: int = 1) -> None:
        """Send the next deliveries of an event twice, with the same GUID."""
        self._doubled[event] = self._doubled.get(event, 0) + times

    def reorder_webhooks(self, count: int) -> None:
        """Hold the next webhooks until `count` are waiting, then send those in reverse."""
        self._reorder = count

    def clear(self) -> None:
        """Forget what was arranged and has not happened."""
        with self._lock:
            self._rules.clear()
            self._dropped.clear()
            self._doubled.clear()
            self._reorder, self.late_pulls = 0, False

    def take(self, kind: str, method: str, path: str) -> int:
        """Run the actions of a moment (`before`, `after`); returns the status to answer with, or 0."""
        with self._lock:
            due = [
                rule
                for rule in self._rules
                if rule.kind.endswith(kind)
                and rule.times > 0
                and rule.method in ("*", method)
                and rule.pattern.search(path)
            ]
            for rule in due:
                rule.times -= 1
        for rule in due:
            if rule.action:
                rule.action()
        return next((rule.status for rule in due if rule.status), 0)

    def webhook(self, event: str) -> str:
        """What happens to the next delivery of an event: `send`, `drop` or `double`."""
        with self._lock:
            for table, what in ((self._dropped, "drop"), (self._doubled, "double")):
                if table.get(event, 0) > 0:
                    table[event] -= 1
                    return what
        return "send"

    def held(self, waiting: int) -> bool:
        """Whether deliveries still wait to be reordered."""
        return self._reorder > 0 and waiting < self._reorder

    def take_order(self) -> int:
        """How many of the waiting deliveries go out in reverse now."""
        with self._lock:
            count, self._reorder = self._reorder, 0
        return count
