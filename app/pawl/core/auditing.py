"""When the branch is measured against its first baseline, and what that means beside the gains that were claimed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist, fmean

from pawl.core.calibration import kept
from pawl.core.config import SELECT
from pawl.core.decision import Verdict
from pawl.core.ledger import AnyLine, AuditLine, CalibrationLine, Outcome, OutcomeLine, VerdictLine
from pawl.core.measurement import Arm, Calibration, Procedure, Request, RunFact, Stage
from pawl.core.noise import upper_sigma
from pawl.core.paired import paired_of
from pawl.core.snapshot import Snapshot

AUDIT_EVERY = 10
"""Merges after which the branch is measured against its first baseline."""
AUDIT_RUNS = 3
"""Runs of each arm of an audit."""
AUDIT_TRIES = 2
"""Audits in a row that may measure nothing before the next ten merges are waited for."""
AUDIT_AFTER = 100
"""Experiments without a keep after which it is audited too: what measures everything alike keeps nothing any more."""
AUDIT_CLEAR = 6.0
"""What must have been claimed then, in standard errors of the audit: half of it is missed or imagined once in a thousand."""
AUDIT_ALPHA = 0.01
AUDIT_SHARE = 0.5
"""A measured total below this share of the claimed one is a shortfall, whatever its error."""


@dataclass(frozen=True)
class Audit:
    """What the branch has really gained since the first baseline, beside what was claimed."""

    claimed: float
    measured: float
    error: float
    ok: bool
    reason: str


def audited(lines: Sequence[AnyLine], request: Request, runs: Sequence[RunFact]) -> Audit:
    """Compare the measured total with the sum of the sealed gains.

    The error is that of the difference (`audit_error`); in loops over a harness the standard errors over tasks, of the
    audit and of every seal.
    A shortfall is one with a one-sided p below 0.01, or less than half of the claim.
    """
    sign = request.rules.metric.sign
    values = {
        arm: [run.metric[SELECT] for run in runs if run.arm is arm and SELECT in run.metric] for arm in Arm
    }
    measured = sign * (fmean(values[Arm.CANDIDATE]) - fmean(values[Arm.BASELINE]))
    claims = [line for line in merged_since_anchor(lines) if line.effect is not None]
    claimed = sum(line.effect or 0.0 for line in claims)
    if request.rules.task_agent:
        paired = paired_of(runs, (Stage.AUDIT,))
        measured, error = paired.effect, sqrt(paired.error**2 + sum(line.sigma**2 for line in claims))
    else:
        counts = (len(values[Arm.CANDIDATE]), len(values[Arm.BASELINE]))
        error = audit_error(request.calibration, request.procedure, counts, len(claims))
    shortfall = claimed - measured
    significant = shortfall > error * NormalDist().inv_cdf(1 - AUDIT_ALPHA)
    if claimed > 0 and (significant or measured < AUDIT_SHARE * claimed):
        return Audit(
            claimed,
            measured,
            error,
            False,
            f"the branch gained {measured:.4g}, its merges claimed {claimed:.4g}",
        )
    return Audit(claimed, measured, error, True, f"the branch gained {measured:.4g} of {claimed:.4g} claimed")


def first_baseline(lines: Sequence[AnyLine]) -> CalibrationLine | None:
    """The first calibration that succeeded: the anchor that every audit measures against."""
    return next((line for line in lines if isinstance(line, CalibrationLine) and line.ok), None)


def merged_since_anchor(lines: Sequence[AnyLine]) -> list[VerdictLine]:
    """The verdicts whose gains the branch claims to contain, in the order of their merges."""
    merged = [
        line.experiment for line in lines if isinstance(line, OutcomeLine) and line.outcome is Outcome.MERGED
    ]
    latest = {line.experiment: line for line in kept(lines)}
    return [latest[number] for number in merged if number in latest]


def audit_due(lines: Sequence[AnyLine]) -> bool:
    """Whether ten merges have happened since the last audit that measured something, or was given up."""
    merges = failures = 0
    for line in reversed(lines):
        if isinstance(line, AuditLine):
            failures += 1
            if line.measured is not None or failures >= AUDIT_TRIES:
                break
        merges += isinstance(line, OutcomeLine) and line.outcome is Outcome.MERGED
    return merges >= AUDIT_EVERY


def control_due(snapshot: Snapshot, known: Calibration) -> bool:
    """Whether nothing was kept for so long that the first baseline must show again that it is worse.

    Only where so much was claimed, all of it under these rules, that it cannot hide in the noise. Over a harness, the noise
    of that difference is not known beforehand.
    """
    rules, lines, dry = snapshot.rules, snapshot.ledger, 0
    for line in reversed(lines):
        if isinstance(line, AuditLine) or (isinstance(line, VerdictLine) and line.verdict is Verdict.KEEP):
            break
        dry += isinstance(line, VerdictLine)
    anchor = first_baseline(lines)
    if dry < AUDIT_AFTER or anchor is None or rules.task_agent:
        return False
    claims = merged_since_anchor(lines)
    claimed = sum(line.effect or 0.0 for line in claims)
    error = audit_error(known, Procedure(), (AUDIT_RUNS, AUDIT_RUNS), len(claims))
    same = all(line.rules.rules_digest == rules.rules_digest for line in (anchor, *claims))
    return same and claimed > AUDIT_CLEAR * error


def audit_error(known: Calibration, dials: Procedure, runs: tuple[int, int], claims: int) -> float:
    """Standard error of the measured gain less the claimed one, in the metric's unit.

    That of an audit is sigma * sqrt(1/n + 1/n), and that of every seal sigma * sqrt(1/4 + 1/2).

    Args:
        known: of the noise.
        dials: how many runs a seal has.
        runs: of each arm of the audit.
        claims: how many sealed gains were added up.
    """
    sigma = upper_sigma(known.sigma, known.dof) if known.dof else known.sigma
    variance = sum(1 / count for count in runs)
    variance += claims * (1 / dials.seal_candidates + 1 / dials.seal_baselines)
    return sigma * sqrt(variance)
