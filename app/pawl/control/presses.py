"""Buttons of check runs. A press exists nowhere on GitHub but in its webhook: it stays in the inbox until it is answered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pawl.control.events import Event, named_text
from pawl.core.asks import Ask, Verb
from pawl.core.digest import sha256
from pawl.core.ledger import AskLine
from pawl.core.snapshot import Snapshot
from pawl.github.names import check_name, experiment_of
from pawl.github.view import RepositoryView

DIGITS = 32
"""Of the digest that names a press."""
_BRANCH = re.compile(r"(pawl/[^/]+)/([1-9][0-9]{0,8})")
_ATTEMPT = re.compile(r"([1-9][0-9]{0,8})\.[0-9]{1,9}")
_VERBS = frozenset({Verb.MERGE, Verb.RERUN, Verb.CLOSE, Verb.PAUSE})


@dataclass(frozen=True)
class Press:
    """A person has pressed a button of one of Pawl's check runs."""

    id: str
    """Digest of the delivery's body, which GitHub signs. It does not sign the delivery's id: under another one it could be
    replayed."""
    by: str
    verb: str
    check_run: str
    """Its name."""
    external_id: str
    head: str
    """The commit that the check run is on: what the person saw."""

    @property
    def key(self) -> str:
        """Names its one line in a loop's ledger."""
        return f"ask:press-{self.id}"

    def about(self, loop: str) -> bool:
        """Whether the check run is that loop's."""
        return self.check_run in (check_name(loop), check_name(loop, "c"))


def read_press(event: Event, payload: Mapping[str, Any]) -> Press | None:
    """The press that a delivery tells of; none if it tells of none. GitHub's own Re-run buttons are such, too."""
    if event.name == "check_suite" and event.action == "rerequested":
        return _read_suite(event, payload)
    check = payload.get("check_run")
    if event.name != "check_run" or not isinstance(check, Mapping):
        return None
    if event.action == "rerequested":
        verb = Verb.RERUN.value
    elif event.action == "requested_action":
        asked = payload.get("requested_action")
        verb = str(asked.get("identifier")) if isinstance(asked, Mapping) else ""
    else:
        return None
    if verb not in _VERBS or not (event.repository and event.sender):
        return None
    named = (named_text(check.get(name)) for name in ("name", "external_id", "head_sha"))
    return Press(_name_of(payload), event.sender, verb, *named)


def _read_suite(event: Event, payload: Mapping[str, Any]) -> Press | None:
    """*Re-run all checks* names a commit and its branch alone, and sends no ``check_run.rerequested`` beside it.

    The suite of an experiment's head is read as its one check run. Elsewhere there is nothing to run again.
    """
    suite = payload.get("check_suite")
    if not isinstance(suite, Mapping) or not (event.repository and event.sender):
        return None
    found = _BRANCH.fullmatch(named_text(suite.get("head_branch")))
    if found is None:
        return None
    head = named_text(suite.get("head_sha"))
    return Press(_name_of(payload), event.sender, Verb.RERUN.value, found[1], f"{found[2]}.0", head)


def _name_of(payload: Mapping[str, Any]) -> str:
    return sha256(json.dumps(payload, sort_keys=True))[:DIGITS]


def asks_of(presses: Iterable[Press], snapshot: Snapshot, view: RepositoryView) -> Iterator[Ask]:
    """Presses on a loop's check runs that have no answer in its ledger, as what they ask for."""
    known = {line.key for line in snapshot.ledger if isinstance(line, AskLine)}
    pulls = {experiment_of(pull.branch, snapshot.loop): pull.number for pull in view.pulls.known().values()}
    tracking = snapshot.tracking.number if snapshot.tracking else 0
    for press in presses:
        if not press.about(snapshot.loop) or press.key in known:
            continue
        found = _ATTEMPT.fullmatch(press.external_id)
        experiment = int(found[1]) if found else None
        number = pulls.get(experiment, tracking)
        if number:
            yield Ask(
                id=f"press-{press.id}",
                by=press.by,
                level=view.people.level(press.by),
                text=f"/pawl {press.verb}",
                number=number,
                experiment=experiment,
                head=press.head,
            )


def settled(
    presses: Iterable[Press], loops: Iterable[str], snapshots: Iterable[Snapshot]
) -> tuple[Press, ...]:
    """Presses that need not be kept: a ledger answers them, or their loop is in no rules any more."""
    names, seen = tuple(loops), tuple(snapshots)
    keys = {line.key for snapshot in seen for line in snapshot.ledger if isinstance(line, AskLine)}
    return tuple(
        press for press in presses if press.key in keys or not any(press.about(name) for name in names)
    )
