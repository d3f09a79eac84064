"""Builds measuring requests from what is seen of a loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from pawl.core.auditing import AUDIT_RUNS, audit_due, control_due, first_baseline
from pawl.core.calibration import calibration_of, runs_missing, sentinel_due
from pawl.core.digest import sha256
from pawl.core.ledger import (
    NUMBERED,
    AnyLine,
    LostLine,
    Measured,
)
from pawl.core.measurement import Procedure, Purpose, Request, RunFact, Stage
from pawl.core.planting import CANARY_RUNS, next_canary
from pawl.core.seeds import draw_seeds, seeds_needed
from pawl.core.snapshot import Attempt, Calibrating, Experiment, Job, Snapshot


def experiment_request(
    snapshot: Snapshot, experiment: Experiment, attempt: int, fleet: str, seed_key: bytes
) -> Request:
    """The measurement of an experiment on the present base, by one fleet.

    An experiment that was to keep on an earlier base is only sealed again; every other one starts at the screen.
    """
    procedure = Procedure()
    identity = f"{snapshot.repository}|{snapshot.loop}|{experiment.head}|{attempt}"
    return Request(
        repository=snapshot.repository,
        loop=snapshot.loop,
        rules=snapshot.rules,
        purpose=Purpose.EXPERIMENT,
        number=experiment.number,
        attempt=attempt,
        base=snapshot.base.sha,
        inputs=snapshot.base.inputs,
        baseline=snapshot.base.sha,
        candidate=experiment.head,
        candidate_digest=experiment.digest,
        seeds=draw_seeds(seed_key, identity, seeds_needed(procedure)),
        calibration=calibration_of(snapshot.ledger, snapshot.base.inputs, fleet),
        procedure=procedure,
        start=Stage.SEAL if snapshot.was_kept(experiment) else Stage.SCREEN,
        fleet=fleet,
    )


def resumed(request: Request, runs: Sequence[RunFact]) -> Request:
    """The same measurement, going on behind runs of a job that was cut off."""
    return request.model_copy(update={"attempt": request.attempt + 1, "runs": (*request.runs, *runs)})


def calibration_request(snapshot: Snapshot, fleet: str, seed_key: bytes) -> Request | None:
    """What a fleet must measure of the base before its next experiment; none if nothing must."""
    base = snapshot.base
    known = calibration_of(snapshot.ledger, base.inputs, fleet)
    missing = runs_missing(known, snapshot.rules.task_agent)
    number = 1 + sum(isinstance(line, NUMBERED) for line in snapshot.ledger)
    candidate = candidate_digest = None
    baseline, cheat = base.sha, ""
    seeds = partial(draw_seeds, seed_key, f"{snapshot.repository}|{snapshot.loop}|{base.sha}|c{number}")
    if missing:
        purpose, wanted = Purpose.POOL, missing
    elif fleet == _anchored(snapshot) and (audit_due(snapshot.ledger) or control_due(snapshot, known)):
        purpose, wanted = Purpose.AUDIT, AUDIT_RUNS
        anchor = first_baseline(snapshot.ledger)
        if anchor is None:
            return None
        # Both arms run in the branch's tree; only the bytes of the editable file go back to the first baseline.
        baseline, candidate, candidate_digest = anchor.base, base.sha, sha256(base.content)
    elif canary := next_canary(snapshot, fleet, known, seeds(2)[1]):
        # A seed of its own: no planted cheat can be foretold from the run's.
        purpose, wanted, cheat = Purpose.CANARY, 1, canary.cheat
        candidate, candidate_digest = base.sha, sha256(canary.content)
    elif sentinel_due(snapshot.ledger, fleet):
        purpose, wanted = Purpose.SENTINEL, 1
    else:
        return None
    return Request(
        repository=snapshot.repository,
        loop=snapshot.loop,
        rules=snapshot.rules,
        purpose=purpose,
        number=number,
        base=base.sha,
        inputs=base.inputs,
        baseline=baseline,
        candidate=candidate,
        candidate_digest=candidate_digest,
        cheat=cheat,
        surroundings=base.surroundings if cheat else "",
        seeds=seeds(CANARY_RUNS if cheat else wanted),
        calibration=known,
        runs_wanted=wanted,
        fleet=fleet,
    )


def _anchored(snapshot: Snapshot) -> str:
    """The fleet that audits: the one whose baseline they measure against, or the first one where that is gone."""
    anchor, fleets = first_baseline(snapshot.ledger), snapshot.rules.lanes_by_fleet
    return anchor.fleet if anchor is not None and anchor.fleet in fleets else next(iter(fleets))


SETTING_UP = 1800.0
"""Seconds a job may take before its first run: checkout, the image, `setup`."""
UNTAKEN = 600.0
"""Seconds a job may wait for a runner before Pawl says that none takes it."""
LETTING_GO = 60.0
"""Seconds a cancelled job has to hand in its record before it is ended without."""


def longest_seconds(request: Request) -> float:
    """How long a job can take at the very most: every run that its plan allows, each to budget and grace."""
    dials = request.procedure
    if request.purpose is Purpose.CANARY:
        runs = len(request.seeds)
    elif request.purpose is not Purpose.EXPERIMENT:
        runs = (2 if request.purpose is Purpose.AUDIT else 1) * request.runs_wanted
    elif request.rules.task_agent:
        runs = 2 * (1 + dials.task_pairs + dials.task_seal_pairs)
    else:
        runs = 1 + 2 * dials.max_pairs + dials.seal_candidates + dials.seal_baselines
    spare = dials.max_interrupted + dials.max_baseline_failures
    return SETTING_UP + (runs + spare) * (request.budget + request.grace)


def deadline(attempt: Attempt | Calibrating) -> datetime | None:
    """When a job that runs must have ended: behind it the runner is gone, or the job hangs; none where none runs."""
    if attempt.began is None or attempt.request is None or attempt.job is None:
        return None
    if attempt.job.status != "in_progress":
        return None
    return attempt.began + timedelta(seconds=longest_seconds(attempt.request))


def untaken(snapshot: Snapshot, lines: Sequence[AnyLine] = ()) -> dict[int, datetime]:
    """When each job that waits for a runner has waited for too long to keep quiet about it, by the job's number.

    A job whose fleet has a running one in every lane waits behind those, as it should, and only counts from the end of the
    last one on.

    Args:
        snapshot: the loop.
        lines: of the ledger that are not in it yet.
    """
    running, freed = Counter[str](), dict[str, str]()
    waiting: list[tuple[Job, str]] = []
    for each in measuring(snapshot):
        if each.request is not None and each.job is not None:
            running[each.request.fleet] += each.job.status == "in_progress"
            waiting += [(each.job, each.request.fleet)] if each.job.status == "queued" else []
    for line in (*snapshot.ledger, *lines) if waiting else ():
        if isinstance(line, (Measured, LostLine)):
            freed[line.fleet] = line.at
    lanes = snapshot.rules.lanes_by_fleet
    return {
        job.id: max(job.since, datetime.fromisoformat(freed.get(fleet, job.since.isoformat())))
        + timedelta(seconds=UNTAKEN)
        for job, fleet in waiting
        if job.since is not None and running[fleet] < lanes.get(fleet, 1)
    }


def measuring(snapshot: Snapshot) -> list[Attempt | Calibrating]:
    """Everything that has a job, or is to have one."""
    return [*(each.attempt for each in snapshot.experiments if each.attempt), *snapshot.calibrating]


def next_deadline(snapshot: Snapshot) -> datetime | None:
    """The next moment at which a job of the loop has waited or run for too long, or is to be ended without its record."""
    jobs = measuring(snapshot)
    times = [deadline(each) for each in jobs]
    steps = [at + timedelta(seconds=wait) for at in times if at is not None for wait in (0.0, LETTING_GO)]
    steps += untaken(snapshot).values()
    return min((at for at in steps if at > snapshot.now), default=None)


def estimate_seconds(request: Request) -> float:
    """How long the job is likely to take: every run at its budget, an experiment at one screening run."""
    arms = 2 if request.purpose is Purpose.AUDIT else 1
    wanted = arms * request.runs_wanted
    if request.purpose is Purpose.EXPERIMENT:
        dials = request.procedure
        wanted = dials.seal_candidates + dials.seal_baselines if request.start is Stage.SEAL else 1
    return wanted * request.budget
