"""Recomputes what the ledger claims from the ledger alone: every chain link, calibration, order of runs and verdict."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pawl.core.auditing import audited
from pawl.core.calibration import calibration_of
from pawl.core.chain import LedgerError, check_chain
from pawl.core.cheats import CHEATS
from pawl.core.decision import Calibrated, Fence, Finding, OutOfOrder, Tried, Verdict, advance
from pawl.core.incidents import canary_incident, dismissal_key
from pawl.core.judging import late_key, verdict_key
from pawl.core.ledger import (
    NUMBERED,
    AnyLine,
    AskLine,
    AuditLine,
    CalibrationLine,
    CanaryLine,
    DismissalLine,
    IncidentLine,
    LateLine,
    LostLine,
    Measured,
    Outcome,
    OutcomeLine,
    RebasedLine,
    RulesLine,
    VerdictLine,
)
from pawl.core.measurement import Purpose, Request, Stage, Step

TOLERANCE = 1e-9
"""Relative difference of a recomputed figure: only the last digits of a sum may differ between machines."""


@dataclass(frozen=True)
class Disagreement:
    """A line that says something else than its own runs do."""

    seq: int
    what: str

    def __str__(self) -> str:
        return f"line {self.seq}: {self.what}" if self.seq else self.what


def request_of(line: Measured) -> Request:
    """The request that a line's runs answered, as far as the plan depends on it."""
    verdict = line if isinstance(line, VerdictLine) else None
    audit = line if isinstance(line, AuditLine) else None
    canary = line if isinstance(line, CanaryLine) else None
    purpose, number = Purpose.AUDIT, audit.number if audit else 0
    wanted = max((run.place for run in line.runs), default=0) + 1
    if isinstance(line, CalibrationLine):
        purpose, number = line.purpose, line.number
        wanted = max(1, min(64, len(line.seeds)))
    if audit:
        wanted = len(line.seeds)
    if verdict:
        purpose, number = Purpose.EXPERIMENT, verdict.experiment
    content = verdict.content if verdict else audit.head_digest if audit else None
    if canary:
        purpose, number, content, wanted = Purpose.CANARY, canary.number, canary.content, 1
    return Request(
        repository="",
        loop=line.loop,
        rules=line.rules,
        purpose=purpose,
        number=number,
        attempt=line.attempt,
        base=line.base,
        inputs=line.inputs,
        baseline=audit.anchor if audit else line.base,
        candidate=verdict.head if verdict else line.base if audit or canary else None,
        candidate_digest=content,
        cheat=canary.cheat if canary else "",
        seeds=line.seeds,
        calibration=line.calibration,
        procedure=line.procedure,
        start=verdict.start if verdict else Stage.SCREEN,
        fleet=line.fleet,
        runs_wanted=wanted,
        runs=line.runs,
    )


def finding_of(line: VerdictLine) -> Finding:
    """The finding that a verdict line's runs lead to; for a verdict that no plan reached, the line's own words."""
    end = _end(line) if line.runs else None
    if isinstance(end, Finding):
        return end
    return Finding(line.verdict, line.stage, line.reason, line.effect, line.effect_sigma, line.sigma)


def verify(lines: Sequence[AnyLine]) -> Iterator[Disagreement]:
    """Everything in a loop's ledger that disagrees with its own runs, in order."""
    try:
        check_chain(lines)
    except LedgerError as error:
        yield Disagreement(0, str(error))
        return
    verdicts: dict[int, VerdictLine] = {}
    kept: dict[int, set[str]] = {}
    """Contents of each experiment that may start at the seal."""
    policy = ""
    for line in lines:
        if isinstance(line, RulesLine):
            policy = line.rules.policy_digest
        if line.policy != policy:
            yield Disagreement(
                line.seq, "it was written under other rules than the last line about rules tells"
            )
        if line.key != _key(line):
            yield Disagreement(line.seq, f"it is called {line.key!r}; what it says is called {_key(line)!r}")
        if isinstance(line, Measured):
            yield from _calibration(lines, line)
        if isinstance(line, VerdictLine):
            yield from _verdict(line, line.content in kept.get(line.experiment, ()))
            verdicts[line.experiment] = line
            if line.verdict is Verdict.KEEP:
                kept.setdefault(line.experiment, set()).add(line.content)
        elif isinstance(line, RebasedLine):
            if line.experiment in kept:
                kept[line.experiment].add(line.content)
            else:
                yield Disagreement(
                    line.seq, f"experiment {line.experiment} was never kept, so nothing is carried on"
                )
        elif isinstance(line, CalibrationLine):
            yield from _calibrated(line)
        elif isinstance(line, AuditLine):
            yield from _audited(lines, line)
        elif isinstance(line, CanaryLine):
            yield from _tried(lines, line)
        elif isinstance(line, LateLine):
            yield from _late(lines, line)
        elif isinstance(line, DismissalLine):
            yield from _dismissed(lines, line)
        elif isinstance(line, OutcomeLine):
            yield from _outcome(line, verdicts.get(line.experiment))


def _key(line: AnyLine) -> str:
    """The key that a line of this content has; only incidents, resumes and, in part, asks may choose theirs."""
    if isinstance(line, VerdictLine):
        return verdict_key(line.experiment, line.head, line.attempt)
    if isinstance(line, NUMBERED):
        return f"calibration:{line.number}"
    if isinstance(line, DismissalLine):
        return dismissal_key(line.canary)
    if isinstance(line, RebasedLine):
        return f"rebased:{line.experiment}:{line.content[:12]}:{line.inputs[:12]}"
    if isinstance(line, AskLine):
        return (
            line.key
            if re.fullmatch(r"ask:(?:[0-9]+|press-[0-9a-f]{32})", line.key)
            else "ask: and what was asked"
        )
    return f"outcome:{line.experiment}" if isinstance(line, OutcomeLine) else line.key


def _end(line: Measured) -> Step | Finding | Calibrated | Tried | str:
    """What a line's runs lead to, or why nothing can be made of them."""
    try:
        return advance(request_of(line), line.runs)
    except OutOfOrder as error:
        return str(error)
    except (ValueError, LookupError, ArithmeticError) as error:
        return f"its runs cannot be recomputed: {str(error).splitlines()[0]}"


def _calibration(lines: Sequence[AnyLine], line: Measured) -> Iterator[Disagreement]:
    known = line.calibration
    if known.upto >= line.seq:
        yield Disagreement(line.seq, f"its calibration rests on line {known.upto}, which is not before it")
        return
    fresh = calibration_of(lines[: known.upto], line.inputs, line.fleet)
    same = len(fresh.pool) == len(known.pool) and all(map(_close, fresh.pool, known.pool))
    if fresh.device != known.device:
        yield Disagreement(
            line.seq,
            f"its calibration is of {known.device!r}; lines 1 to {known.upto} are of {fresh.device!r}",
        )
    if not (same and _close(fresh.sigma, known.sigma) and fresh.dof == known.dof):
        yield Disagreement(
            line.seq,
            f"its calibration is sigma {known.sigma:g} over {known.dof} and {len(known.pool)} pool values; "
            f"lines 1 to {known.upto} give {fresh.sigma:g} over {fresh.dof} and {len(fresh.pool)}",
        )


def _verdict(line: VerdictLine, kept: bool) -> Iterator[Disagreement]:
    who = f"experiment {line.experiment}"
    if line.start is not Stage.SCREEN and not kept:
        yield Disagreement(line.seq, f"{who} started at {line.start} without an earlier verdict to keep it")
    if not line.runs:
        if line.verdict not in (Verdict.VIOLATION, Verdict.INCONCLUSIVE) or line.effect is not None:
            yield Disagreement(line.seq, f"{who} was judged {line.verdict} without a run")
        return
    end = _end(line)
    if not isinstance(end, Finding):
        if line.verdict is not Verdict.INCONCLUSIVE or line.effect is not None:
            why = end if isinstance(end, str) else f"it was judged {line.verdict} before its plan ended"
            yield Disagreement(line.seq, f"{who}: {why}")
        return
    if (end.verdict, end.stage) != (line.verdict, line.stage):
        yield Disagreement(
            line.seq,
            f"{who} is judged {line.verdict} at {line.stage}; its runs say {end.verdict} at {end.stage}",
        )
    for name in ("effect", "effect_sigma", "sigma", "screen_z", "llr"):
        said, found = getattr(line, name), getattr(end, name)
        if not _same(said, found):
            yield Disagreement(line.seq, f"{who} claims {name} = {said}; its runs say {found}")


def _calibrated(line: CalibrationLine) -> Iterator[Disagreement]:
    end = _end(line)
    if line.ok != (isinstance(end, Calibrated) and end.ok):
        said = "complete" if line.ok else "not complete"
        why = f": {end}" if isinstance(end, str) else ""
        yield Disagreement(
            line.seq, f"calibration {line.number} says it is {said}; its runs say otherwise{why}"
        )


def _audited(lines: Sequence[AnyLine], line: AuditLine) -> Iterator[Disagreement]:
    end = _end(line)
    if not (isinstance(end, Calibrated) and end.ok):
        if line.ok or line.measured is not None:
            yield Disagreement(line.seq, f"audit {line.number} says it is complete; its runs say otherwise")
        return
    audit = audited(lines[: line.seq - 1], request_of(line), line.runs)
    pairs = ((audit.measured, line.measured), (audit.claimed, line.claimed), (audit.error, line.error))
    if audit.ok != line.ok or not all(_same(found, said) for found, said in pairs):
        yield Disagreement(
            line.seq,
            f"audit {line.number} says {line.measured} of {line.claimed}; its runs say {audit.reason}",
        )


def _late(lines: Sequence[AnyLine], line: LateLine) -> Iterator[Disagreement]:
    earlier = lines[: line.seq - 1]
    if all(late_key(lost) != line.key for lost in earlier if isinstance(lost, LostLine)):
        yield Disagreement(line.seq, f"it has runs of job {line.job}, which no earlier line says to be lost")


def _tried(lines: Sequence[AnyLine], line: CanaryLine) -> Iterator[Disagreement]:
    end = _end(line)
    fence = end.fence if isinstance(end, Tried) else Fence.UNTOLD
    if fence is not line.fence:
        yield Disagreement(
            line.seq, f"canary {line.number} says that the fence {line.fence}; its runs say {fence}"
        )
    key = canary_incident(line.number)
    told = any(isinstance(each, IncidentLine) and each.key == key for each in lines)
    if fence is Fence.PASSED and not told:
        yield Disagreement(line.seq, f"canary {line.number} passed, and no incident followed")


def _dismissed(lines: Sequence[AnyLine], line: DismissalLine) -> Iterator[Disagreement]:
    earlier = (each for each in lines[: line.seq - 1] if isinstance(each, CanaryLine))
    canary = next((each for each in earlier if each.number == line.canary), None)
    if canary is None or canary.fence is not Fence.PASSED:
        yield Disagreement(line.seq, f"it dismisses canary {line.canary}, which has not passed")
    elif canary.cheat not in CHEATS or not CHEATS[canary.cheat].unless:
        yield Disagreement(line.seq, f"it dismisses {canary.cheat}, which nobody can dismiss")
    if not (line.by and line.reason.strip()):
        yield Disagreement(line.seq, "it dismisses a planted cheat without saying who did, and why")


def _outcome(line: OutcomeLine, verdict: VerdictLine | None) -> Iterator[Disagreement]:
    if line.outcome is Outcome.MERGED and (verdict is None or verdict.verdict is not Verdict.KEEP):
        yield Disagreement(line.seq, f"experiment {line.experiment} was merged without a verdict to keep it")


def _same(one: float | None, other: float | None) -> bool:
    return (one is None) == (other is None) and (one is None or other is None or _close(one, other))


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-12)
