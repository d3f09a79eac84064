"""From a job that has ended to what the ledger will say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pawl.core.auditing import audited
from pawl.core.chain import experiment_folder
from pawl.core.decision import Calibrated, Fence, Finding, OutOfOrder, Tried, Verdict, advance
from pawl.core.digest import sha256
from pawl.core.draft import Draft
from pawl.core.edit import unified_diff
from pawl.core.incidents import canary_name, incident_key
from pawl.core.ledger import (
    AnyLine,
    AuditLine,
    CalibrationLine,
    CanaryLine,
    IncidentLine,
    LateLine,
    LostLine,
    VerdictLine,
)
from pawl.core.meaning import meaning_of
from pawl.core.measurement import Purpose, Record, Request, RunFact, RunRecord, RunStatus, Stage
from pawl.core.snapshot import Calibrating, Experiment, Job, Late, Orphan

MAX_ATTEMPTS = 4
"""Jobs an experiment may lose before it is given up."""
ANOTHERS = "the record answers another request than the one that was made"
LOST_REASON = 500
"""Characters that the ledger keeps of why a job ended early."""


def verdict_key(number: int, head: str, attempt: int) -> str:
    """Names the one verdict line an attempt can have."""
    return f"verdict:{number}:{head[:12]}:{attempt}"


@dataclass(frozen=True)
class Judged:
    """An attempt's end: a finding, or the request that goes on with it."""

    finding: Finding | None = None
    incident: str = ""
    why: str = ""
    """Why the job ended before its plan, where another one goes on."""


def judge(request: Request, job: Job, cut_short: str = "") -> Judged:
    """What an ended job means for its experiment.

    Args:
        request: what was asked for, as Pawl stored it.
        job: the completed job.
        cut_short: why the experiment is over before its plan is, in a sentence; empty if it may go on.
    """
    record = job.record
    if record is not None and record.request != request.digest:
        return Judged(_inconclusive(ANOTHERS), incident=ANOTHERS)
    facts = (*request.runs, *(record.facts if record else ()))
    try:
        end = advance(request, facts)
    except OutOfOrder as error:
        reason = f"the record's runs do not follow the plan: {error}"
        return Judged(_inconclusive(reason), incident=reason)
    if isinstance(end, Finding):
        return Judged(end, incident=end.incident)
    if cut_short:
        return Judged(_inconclusive(cut_short))
    refused = record is not None and record.refused
    why = job.trouble or f"the job ended early, as {job.conclusion}"
    if refused:
        why = f"the runner measured nothing: {refused}"
    if request.attempt < MAX_ATTEMPTS:
        # A lost runner, a stop that was lifted, a failed download: none says anything of the edit.
        return Judged(why=why)
    return Judged(_inconclusive(why if refused else f"{MAX_ATTEMPTS} jobs ended before the plan did ({why})"))


def _inconclusive(reason: str) -> Finding:
    return Finding(Verdict.INCONCLUSIVE, Stage.SCREEN, reason)


def known_runs(request: Request, record: Record | None) -> tuple[RunFact, ...]:
    """Every run of an attempt that is known to have been started, in order."""
    usable = record is not None and record.request == request.digest
    return (*request.runs, *(record.facts if usable and record else ()))


def _answering(job: Job, request: Request) -> Job:
    """The job without a record that answers something else: nothing of that is what a line under this request tells of."""
    answers = job.record is not None and job.record.request == request.digest
    return job if answers else replace(job, record=None, record_text="")


def orphan_record(loop: str, experiment: int, head: str, attempt: int) -> str:
    """Where the record of a job on a replaced head lies: ``record.json`` is the one of the head that is there."""
    return f"{experiment_folder(loop, experiment)}/orphan-{head[:12]}-{attempt}.json"


def write_verdict(
    draft: Draft, experiment: Experiment, request: Request, job: Job | None, finding: Finding
) -> VerdictLine:
    """Add an experiment's verdict, its diff and its record to a draft."""
    told = _answering(job, request) if job else None
    record = told.record if told else None
    runs = known_runs(request, record)
    folder = experiment_folder(draft.snapshot.loop, experiment.number)
    before = experiment.parent_content.decode("utf-8", errors="replace")
    after = experiment.content.decode("utf-8", errors="replace")
    draft.files[f"{folder}/edit.diff"] = unified_diff(request.rules.edit, before, after)
    if job and job.record_text:
        stray = f"stray-{experiment.head[:12]}-{request.attempt}"  # kept as evidence
        name = "record" if record else stray
        draft.files[f"{folder}/{name}.json"] = job.record_text
    recorded: Sequence[RunRecord] = record.runs if record else ()
    line: VerdictLine = draft.add(
        VerdictLine,
        verdict_key(experiment.number, experiment.head, request.attempt),
        **_measured(request, runs, told),
        experiment=experiment.number,
        pull=experiment.pull,
        head=experiment.head,
        start=request.start,
        inputs_after=experiment.inputs_after,
        content=experiment.digest,
        **_found(finding),
        hypothesis=experiment.hypothesis[:500],
        proposer=experiment.proposer,
        predicted=experiment.predicted,
        parameters=dict(experiment.parameters),
        meaning=meaning_of(request.rules.edit, experiment.content),
        models=experiment.models,
        seconds_in_budget=round(sum(run.seconds for run in runs), 3),
        seconds_outside=round(sum(run.seconds_outside for run in recorded), 3),
    )
    return line


def write_lost(draft: Draft, experiment: Experiment, request: Request, job: Job, why: str) -> bool:
    """Add that a job ended before its plan did, before another one goes on with it; whether the ledger did not know that."""
    return draft.add_once(
        LostLine,
        f"lost:{experiment.number}:{experiment.head[:12]}:{request.attempt}",
        experiment=experiment.number,
        attempt=request.attempt,
        job=job.id,
        fleet=request.fleet,
        known_runs=len(known_runs(request, job.record)),
        reason=why[:LOST_REASON],
    )


def late_key(lost: LostLine) -> str:
    """Names the line of a lost job's runs that came late."""
    return f"late:{lost.key.partition(':')[2]}"


def write_late(draft: Draft, late: Late) -> None:
    """Add what a job ran that was given up as lost, and keep its record."""
    lost = late.lost
    folder = experiment_folder(draft.snapshot.loop, lost.experiment)
    draft.files[f"{folder}/late-{lost.attempt}.json"] = late.text
    draft.add(
        LateLine,
        late_key(lost),
        experiment=lost.experiment,
        attempt=lost.attempt,
        job=lost.job,
        fleet=lost.fleet,
        runs=late.record.facts,
        record=sha256(late.text),
    )


def write_orphan(draft: Draft, orphan: Orphan, reason: str) -> None:
    """Add what ran on a head that was replaced: it counts, though nothing follows from it."""
    request, job = orphan.request, orphan.job
    if request.candidate is None or request.candidate_digest is None:
        raise ValueError("only an experiment's job can be an orphan")
    finding = judge(request, job, reason).finding or _inconclusive(reason)
    told = _answering(job, request)
    runs = known_runs(request, told.record)
    if job.record_text:
        path = orphan_record(draft.snapshot.loop, request.number, request.candidate, request.attempt)
        draft.files[path] = job.record_text
    draft.add(
        VerdictLine,
        verdict_key(request.number, request.candidate, request.attempt),
        **_measured(request, runs, told),
        experiment=request.number,
        pull=orphan.pull,
        head=request.candidate,
        start=request.start,
        # The tree that it would have made is not known any more, so its sealed runs stand for a base of their own.
        inputs_after=sha256(f"{request.inputs} with {request.candidate_digest}"),
        content=request.candidate_digest,
        **_found(finding),
        seconds_in_budget=round(sum(run.seconds for run in runs), 3),
    )


def _found(finding: Finding) -> dict[str, Any]:
    """A finding as the fields of its line."""
    names = ("verdict", "stage", "reason", "effect", "effect_sigma", "sigma", "screen_z", "llr")
    return {name: getattr(finding, name) for name in names}


def _measured(request: Request, runs: tuple[RunFact, ...], job: Job | None) -> dict[str, Any]:
    record = job.record if job else None
    return {
        "attempt": request.attempt,
        "rules": request.rules,
        "base": request.base,
        "inputs": request.inputs,
        "device": record.environment.device if record else request.calibration.device,
        "fleet": request.fleet,
        "runs": runs,
        "seeds": request.seeds,
        "calibration": request.calibration,
        "procedure": request.procedure,
        "record": sha256(job.record_text) if job and job.record_text else None,
        "jobs": (job.id,) if job else (),
    }


def write_incident(
    draft: Draft, key: str, reason: str, experiment: int | None = None, stops: str = "merging"
) -> None:
    """Add an incident: nothing merges until a person resumes; where it stops the loop, nothing else is done either."""
    draft.add(IncidentLine, incident_key(key), experiment=experiment, reason=reason, stops=stops)


def write_calibration(draft: Draft, calibrating: Calibrating) -> AnyLine:
    """Add an ended calibration, audit or canary, and the incident that an audit's shortfall or a passed cheat is."""
    request, job = calibrating.request, calibrating.job
    runs = known_runs(request, job.record)
    end: Any
    try:
        end = advance(request, runs)
    except OutOfOrder as error:
        end = Calibrated(False, f"the record's runs do not follow the plan: {error}")
    if not isinstance(end, (Calibrated, Tried)):
        record = job.record
        refused = record.refused if record else ""
        anothers = ANOTHERS if record is not None and record.request != request.digest else ""
        end = Calibrated(
            False, anothers or refused or job.trouble or f"the job ended early ({job.conclusion})"
        )
    key = f"calibration:{request.number}"
    if job.record_text:
        draft.files[f"{draft.snapshot.loop}/calibrations/{request.number}.json"] = job.record_text
    common = {**_measured(request, runs, job), "number": request.number}
    if request.purpose is Purpose.CANARY:
        return _write_canary(draft, key, request, end, common)
    if request.purpose is not Purpose.AUDIT:
        line: AnyLine = draft.add(
            CalibrationLine, key, **common, purpose=request.purpose, ok=end.ok, reason=_why(end, job)
        )
        return line
    audit = audited([*draft.snapshot.ledger, *draft.lines], request, runs) if end.ok else None
    line = draft.add(
        AuditLine,
        key,
        **common,
        anchor=request.baseline,
        head_digest=request.candidate_digest,
        claimed=audit.claimed if audit else 0.0,
        measured=audit.measured if audit else None,
        error=audit.error if audit else None,
        ok=audit.ok if audit else False,
        reason=audit.reason if audit else end.reason,
    )
    if audit and not audit.ok:
        write_incident(draft, f"audit:{request.number}", audit.reason)
    return line


def _write_canary(
    draft: Draft, key: str, request: Request, end: Calibrated | Tried, common: dict[str, Any]
) -> CanaryLine:
    fence = end.fence if isinstance(end, Tried) else Fence.UNTOLD
    line: CanaryLine = draft.add(
        CanaryLine,
        key,
        **common,
        cheat=request.cheat,
        content=request.candidate_digest,
        surroundings=request.surroundings,
        fence=fence,
        reason=end.reason,
    )
    if fence is Fence.PASSED:
        write_incident(
            draft, canary_name(request.number), f"the planted cheat {request.cheat} passed: {end.reason}"
        )
    return line


def _why(end: Calibrated, job: Job) -> str:
    """The end of a calibration, with what the last failed run said of itself."""
    failed = [run for run in (job.record.runs if job.record else ()) if run.status is not RunStatus.OK]
    return (
        f"{end.reason}: {failed[-1].reason}"[:1000]
        if not end.ok and failed and failed[-1].reason
        else end.reason
    )
