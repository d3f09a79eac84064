"""Lines that are about to be appended to the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pawl.core.chain import head_of
from pawl.core.config import Loop
from pawl.core.digest import canonical_json
from pawl.core.ledger import AnyLine, RulesLine
from pawl.core.snapshot import Snapshot

CHANGES, VALUE = 20, 60
"""Changed rules that a line tells, and characters of each value."""


@dataclass
class Draft:
    """Lines to append, numbered and chained behind those that are there."""

    snapshot: Snapshot
    at: str
    lines: list[AnyLine] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    def add(self, kind: type[Any], key: str, **values: Any) -> Any:
        """Append one line of a kind. None is written under rules that the ledger does not know: they come first."""
        if not self.lines:
            known = last_rules(self.snapshot.ledger)
            if known is None or known.policy != self.policy:
                self._append(
                    RulesLine,
                    f"rules:{known.seq if known else 0}:{self.policy[:12]}",
                    rules=self.snapshot.rules,
                    changed=differences(known.rules, self.snapshot.rules) if known else (),
                    commit=self.snapshot.base.sha,
                )
        return self._append(kind, key, **values)

    def add_once(self, kind: type[Any], key: str, **values: Any) -> bool:
        """Append one line, unless the ledger has it already; whether it is news."""
        news = all(line.key != key for line in self.snapshot.ledger)
        if news:
            self.add(kind, key, **values)
        return news

    @cached_property
    def policy(self) -> str:
        """Digest of the rules that hold now."""
        return self.snapshot.rules.policy_digest

    def _append(self, kind: type[Any], key: str, **values: Any) -> Any:
        seq, prev = head_of([*self.snapshot.ledger, *self.lines])
        line = kind(
            seq=seq + 1,
            prev=prev,
            loop=self.snapshot.loop,
            key=key,
            at=self.at,
            policy=self.policy,
            **values,
        )
        self.lines.append(line)
        return line


def last_rules(lines: Sequence[AnyLine]) -> RulesLine | None:
    """The rules that a ledger was last written under; none where nothing has been written."""
    return next((line for line in reversed(lines) if isinstance(line, RulesLine)), None)


def differences(before: Loop, after: Loop) -> tuple[str, ...]:
    """What is new in a loop's rules, each as ``merge: "review", now "auto"``."""
    old, new = (dict(_flat(rules.model_dump(mode="json"))) for rules in (before, after))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return tuple(f"{name}: {_shown(old.get(name))}, now {_shown(new.get(name))}" for name in names[:CHANGES])


def _flat(value: dict[str, Any], under: str = "") -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, dict) and item:
            yield from _flat(item, f"{under}{name}.")
        else:
            yield f"{under}{name}", item


def _shown(value: Any) -> str:
    return canonical_json(value)[:VALUE] if value not in (None, {}, []) else "nothing"
