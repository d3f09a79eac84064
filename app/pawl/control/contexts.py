"""What a proposer is shown of a loop: put together from the snapshot, and from what the library holds beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from statistics import fmean
from typing import TypeVar

import structlog

from pawl.core.asks import Verb
from pawl.core.calibration import calibration_of, latest_fleet
from pawl.core.decision import Verdict
from pawl.core.ledger import (
    AnyLine,
    AskLine,
    BrakeLine,
    CanaryLine,
    DismissalLine,
    LateLine,
    LostLine,
    RulesLine,
    SpendLine,
    VerdictLine,
)
from pawl.core.meaning import meaning_of
from pawl.core.measurement import Arm
from pawl.core.snapshot import Snapshot
from pawl.core.spending import day_of, month_of, spent_since
from pawl.meta.proposer import Context, Detail, Direction, FailedTask, InFlight, Library, Spent, Tried

log = structlog.get_logger(__name__)
T = TypeVar("T")

FAILED = 8
"""Failed practice tasks whose trajectories are shown at once."""
DETAILS = 10
"""Experiments, the newest, whose diffs and logs are shown at once; so many keeps besides. The rest is read on demand."""

_FIGURE = re.compile(r"[-+]?(?:\d[\d.,]*(?:e[-+]?\d+)?|\binf\b|\bnan\b)", re.IGNORECASE)


def context_of(snapshot: Snapshot, number: int, library: Library | None, now: datetime) -> Context:
    """What a proposer is shown: verdicts, and effects in sigma rounded to half of one; never a sealed number.

    Args:
        snapshot: the loop as it is.
        number: the experiment that the proposal is for.
        library: what can be read beside it; a part of it that cannot be read is left out.
        now: the time, with its zone.
    """
    rules, lines = snapshot.rules, snapshot.ledger
    latest: dict[int, VerdictLine] = {}
    contents = set()
    for line in lines:
        if isinstance(line, VerdictLine):
            latest[line.experiment] = line
            contents.add(line.content)
    known = calibration_of(lines, snapshot.base.inputs, latest_fleet(lines))
    program = ""
    details: tuple[Detail, ...] = ()
    directions: tuple[Direction, ...] = ()
    failed: tuple[FailedTask, ...] = ()
    if library is not None:
        raw = _read(lambda: library.file(rules.program_path), b"")
        program = raw.decode("utf-8", errors="replace")
        details = tuple(
            found
            for each in _shown(latest.values())
            if (found := _read(_detail(library, each), None)) is not None
        )
        directions = _read(library.directions, ())
        if rules.task_agent:
            failed = _failed(library, details, latest)
    return Context(
        loop=snapshot.loop,
        rules=rules,
        source=snapshot.base.content.decode("utf-8", errors="replace"),
        number=number,
        tried=tuple(tried_of(line, known.sigma) for line in latest.values()),
        in_flight=tuple(
            InFlight(
                item.number, item.hypothesis, dict(item.parameters), meaning_of(rules.edit, item.content)
            )
            for item in snapshot.experiments
            if item.number not in latest
        ),
        sources=frozenset(contents | {item.digest for item in snapshot.experiments}),
        baseline=_coarse(fmean(known.pool), known.sigma) if known.pool else None,
        sigma=known.sigma or None,
        program=program,
        details=details,
        failed=failed,
        directions=tuple(sorted((*directions, *_ideas(lines)), key=lambda direction: direction.at)),
        spent=Spent(spent_since(lines, day_of(now)), spent_since(lines, month_of(now))),
        library=library,
    )


def _ideas(lines: Iterable[AnyLine]) -> Iterator[Direction]:
    """What people with write access have asked to be tried, by command."""
    for line in lines:
        if isinstance(line, AskLine) and line.obeyed and line.verb == Verb.TRY:
            yield Direction(line.by, line.idea, line.at)


def tried_of(line: VerdictLine, sigma: float) -> Tried:
    """One concluded experiment as a proposer may see it.

    Args:
        line: its verdict.
        sigma: noise of one run, for effects that are told in the metric's unit alone.
    """
    gain = line.effect_sigma
    if gain is None and line.effect is not None:
        noise = line.sigma or sigma
        gain = line.effect / noise if noise else None
    rounded = None if gain is None else max(-99.0, min(99.0, round(gain * 2) / 2))
    return Tried(
        number=line.experiment,
        verdict=str(line.verdict),
        parameters=dict(line.parameters),
        gain=rounded,
        hypothesis=line.hypothesis,
        # What the runs said in figures stays here: a reason quotes them exactly, and sealed ones too.
        reason=without_figures(line.reason) if line.runs else line.reason,
        meaning=line.meaning or "",
    )


def without_figures(text: str) -> str:
    """A sentence with its figures left out."""
    return _FIGURE.sub("…", text)


def learnable(lines: Iterable[AnyLine]) -> int:
    """How many lines a proposer could learn something from: neither those about its own cost, nor what people ask of Pawl.

    An idea is one: whoever may have it tried may wake a proposer that rests. Planted cheats are none: it must
    not hear of them.
    """
    return sum(
        line.obeyed and line.verb == Verb.TRY
        if isinstance(line, AskLine)
        else not isinstance(
            line, (SpendLine, RulesLine, BrakeLine, LostLine, LateLine, CanaryLine, DismissalLine)
        )
        for line in lines
    )


def _coarse(value: float, sigma: float) -> float:
    """A figure to half a sigma: the runs behind it are sealed ones too."""
    return round(value / (sigma / 2)) * (sigma / 2) if sigma else value


def _shown(lines: Iterable[VerdictLine]) -> list[int]:
    """Numbers of the experiments that are shown in full, oldest first."""
    listed = list(lines)
    kept = [line.experiment for line in listed if line.verdict is Verdict.KEEP][-DETAILS:]
    return sorted({*kept, *(line.experiment for line in listed[-DETAILS:])})


def _failed(
    library: Library, details: Iterable[Detail], latest: Mapping[int, VerdictLine]
) -> tuple[FailedTask, ...]:
    """Practice tasks that the present version failed when it was last measured, with what it did.

    After a keep the present version is that experiment's candidate, otherwise its baseline.
    """
    for detail in reversed([each for each in details if each.tasks]):
        kept = latest[detail.number].verdict is Verdict.KEEP
        arm, scores = (Arm.CANDIDATE, 1) if kept else (Arm.BASELINE, 0)
        failing = sorted(name for name, pair in detail.tasks.items() if pair[scores] < 1)
        nothing: Mapping[str, str] = {}
        texts = _read(partial(library.trajectories, detail.number), nothing)
        # Names of a kind stand together in the alphabet, so every so-manieth is taken.
        known = [name for name in failing if f"{arm}/{name}" in texts]
        chosen = known[:: max(1, -(-len(known) // FAILED))]
        found = [(name, _read(partial(texts.__getitem__, f"{arm}/{name}"), "")) for name in chosen]
        failed = tuple(
            FailedTask(detail.number, name, detail.tasks[name][scores], text) for name, text in found if text
        )
        if failed or not failing:
            return failed
    return ()


def _detail(library: Library, number: int) -> Callable[[], Detail | None]:
    return lambda: library.detail(number)


def _read(read: Callable[[], T], otherwise: T) -> T:
    """What a library holds; it may hold nothing, and GitHub may not answer: that costs this piece and nothing else."""
    try:
        return read()
    except Exception as error:
        log.info("not shown to the proposer", why=str(error)[:300])
        return otherwise
