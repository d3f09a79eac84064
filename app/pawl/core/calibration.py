"""What the ledger knows of a base before an experiment: noise pooled over unchanged code, and a rolling pool of values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pawl.core.config import SELECT
from pawl.core.decision import Verdict
from pawl.core.ledger import AnyLine, AuditLine, CalibrationLine, Measured, VerdictLine
from pawl.core.measurement import Arm, Calibration, RunFact, RunStatus, Stage
from pawl.core.noise import pooled

POOL = 8
"""Baseline values an experiment is screened against (W)."""
FIRST_RUNS = 8
"""Runs of the first calibration of a loop (n0)."""
FRESH_RUNS = 4
"""Runs that make a new pool when the base's inputs have changed, or the sentinel raised an alarm."""
TASK_RUNS = 2
"""Runs of a pool where tasks decide: they tell where the base stands, and nothing rests on their noise."""
WINDOW = 60
"""Runs that the noise is estimated from, the newest."""
SENTINEL_EVERY = 8
"""Candidates after which one baseline run keeps the pool fresh (K)."""


def calibration_of(
    lines: Sequence[AnyLine], inputs: str, fleet: str = "", device: str | None = None
) -> Calibration:
    """Noise and pool for a base.

    Args:
        lines: the loop's ledger.
        inputs: inputs digest of the base.
        fleet: the runners; what others measured is not comparable.
        device: kind of machine; by default the one of the last measurement, since other kinds are not comparable.
    """
    measured = [line for line in lines if isinstance(line, Measured) and line.fleet == fleet]
    if device is None:
        device = measured[-1].device if measured else ""
    here = [line for line in measured if line.device == device]
    pool: list[float] = []
    groups: dict[tuple[str, str], list[float]] = {}
    recent: list[tuple[tuple[str, str], float]] = []
    for line in here:
        for base, run in _values(line):
            recent.append(((base, line.device), run))
            if base == inputs:
                pool.append(run)
    for group, value in recent[-WINDOW:]:
        groups.setdefault(group, []).append(value)
    sigma, dof = pooled(groups.values())
    upto = lines[-1].seq if lines else 0
    return Calibration(sigma=sigma, dof=dof, pool=tuple(pool[-POOL:]), device=device, upto=upto)


def latest_fleet(lines: Sequence[AnyLine]) -> str:
    """The fleet that measured last: whose figures tell where the loop stands."""
    return next((line.fleet for line in reversed(lines) if isinstance(line, Measured)), "")


def _values(line: Measured) -> Iterator[tuple[str, float]]:
    """Values of unselected runs, each with the code it measures: an inputs digest.

    Screening runs are left out: those that went on were selected by their value. Confirming candidate runs are left out
    too, since their number depends on their values; sealed ones have a fixed number.
    """
    for run in line.runs:
        if run.status is not RunStatus.OK or SELECT not in run.metric:
            continue
        if run.arm is Arm.BASELINE and not isinstance(line, AuditLine):
            yield line.inputs, run.metric[SELECT]
        elif isinstance(line, VerdictLine) and run.stage is Stage.SEAL:
            yield line.inputs_after, run.metric[SELECT]
        elif isinstance(line, AuditLine) and run.arm is Arm.CANDIDATE:
            yield line.inputs, run.metric[SELECT]


def runs_missing(calibration: Calibration, tasks: bool = False) -> int:
    """Baseline runs to make before the next experiment can be screened: 0 if there are enough.

    Args:
        calibration: what is known of the base.
        tasks: whether the loop is one over a harness.
    """
    if tasks:
        return 0 if len(calibration.pool) >= TASK_RUNS else TASK_RUNS
    if calibration.dof < FRESH_RUNS - 1:
        return FIRST_RUNS
    return 0 if len(calibration.pool) >= FRESH_RUNS else FRESH_RUNS


def sentinel_due(lines: Sequence[AnyLine], fleet: str = "") -> bool:
    """Whether a fleet has concluded eight experiments since it last measured a baseline."""
    since = 0
    for line in reversed(lines):
        if not isinstance(line, Measured) or line.fleet != fleet:
            continue
        if isinstance(line, CalibrationLine):
            return since >= SENTINEL_EVERY
        if _has_baseline(line.runs):
            return since >= SENTINEL_EVERY
        since += isinstance(line, VerdictLine)
    return False


def _has_baseline(runs: Iterable[RunFact]) -> bool:
    return any(run.arm is Arm.BASELINE and run.status is RunStatus.OK for run in runs)


def kept(lines: Iterable[AnyLine]) -> list[VerdictLine]:
    """The verdicts that were to keep, oldest first."""
    return [line for line in lines if isinstance(line, VerdictLine) and line.verdict is Verdict.KEEP]
