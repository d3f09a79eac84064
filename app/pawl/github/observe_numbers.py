"""Which numbers a loop's experiments have taken, as a look sees them, and which were left half opened."""

from __future__ import annotations

from collections.abc import Iterator

from pawl.core.ledger import Measured, OutcomeLine
from pawl.github.experiments import left_edit
from pawl.github.look import Look

LEAP = 100
"""Numbers by which a branch alone may be ahead of every experiment that is known: more than there are lanes. Whoever may
push can make one of any number, and behind the last one with nine digits there is none that Pawl would know again."""


def last_number(look: Look) -> int:
    """The largest number in use anywhere.

    A bare branch where the base is, or was, is what is left of an opening that died at once: its number is free.
    """
    opened = [look.number_of(pull.branch) or 0 for pull in look.view.pulls.known().values()]
    last = max((*opened, *look.concluded), default=0)
    ahead = sorted((number, at) for _, number, at in _branches(look) if number > last)
    bare = _bases(look) if ahead else frozenset[str]()
    for number, at in ahead:
        if at not in bare and number - last <= LEAP:
            last = number
    return last


def unopened(look: Look, last: int) -> Iterator[int]:
    """Experiments whose opening died between their edit and their pull request.

    Args:
        look: the look.
        last: the largest number in use.
    """
    pulls = {pull.branch for pull in look.view.pulls.known().values()}
    for branch, number, tip in _branches(look):
        if number > last or number in look.concluded or branch in pulls:
            continue
        if left_edit(look.view, look.loop, number, tip) is not None:
            yield number


def _bases(look: Look) -> frozenset[str]:
    """The base's tip, and those before it that the ledger tells of."""
    measured = {line.base for line in look.lines if isinstance(line, Measured)}
    merged = {line.commit for line in look.lines if isinstance(line, OutcomeLine) and line.commit}
    return frozenset({look.tip().sha, *measured, *merged})


def _branches(look: Look) -> Iterator[tuple[str, int, str]]:
    """Branches of experiments, with number and tip."""
    for branch, tip in look.view.refs.own().items():
        number = look.number_of(branch)
        if number is not None:
            yield branch, number, tip
