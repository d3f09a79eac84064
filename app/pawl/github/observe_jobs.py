"""The jobs behind a loop's attempts and calibrations, as a look sees them, with the records that they handed in."""

from __future__ import annotations

from collections.abc import Iterator

from pawl.core.judging import late_key
from pawl.core.ledger import NUMBERED, LateLine, LostLine, VerdictLine
from pawl.core.measurement import Request
from pawl.core.snapshot import Calibrating, Experiment, Job, Late, Orphan
from pawl.github.artifacts import Handed
from pawl.github.errors import NotFound
from pawl.github.facts import CheckRun, Dispatched
from pawl.github.look import Look
from pawl.messages.request_text import read_request


def job_of(look: Look, key: str, check_run: int, wanted: bool) -> Job | None:
    """The first job that was started for an attempt: a second one with the same title never counts.

    Its record is not wanted once the ledger has the verdict that it led to.
    """
    for job in look.view.jobs.recent():
        if (job.loop, job.key, job.check_run) == (look.loop, key, check_run):
            return _with_record(look, job, wanted)
    return None


def calibrating(look: Look) -> Iterator[Calibrating]:
    """Calibrations whose job the ledger does not know yet."""
    known = {f"c{line.number}" for line in look.lines if isinstance(line, NUMBERED)}
    started: set[str] = set()
    for job in look.view.jobs.recent():
        if job.loop != look.loop or job.key[0] != "c" or job.key.split(".")[0] in known | started:
            continue
        asked = _asked(look, job, job.key)
        if asked is None:
            continue
        check, request = asked
        started.add(job.key.split(".")[0])
        yield Calibrating(request, _with_record(look, job), check.status, check.began)


def orphans(look: Look, experiments: tuple[Experiment, ...]) -> Iterator[Orphan]:
    """Jobs on heads that are none any more, of experiments that are not over.

    Jobs that were cut off, and whose attempt goes on behind them, are none.
    """
    recorded = {job for line in look.lines if isinstance(line, VerdictLine) for job in line.jobs}
    for experiment in experiments:
        now = experiment.attempt
        for job in look.view.jobs.recent():
            number, _, attempt = job.key.partition(".")
            if job.loop != look.loop or number != str(experiment.number) or job.id in recorded:
                continue
            if now is not None and (job.check_run == now.check_run or int(attempt) < now.number):
                continue
            orphan = _orphan(look, experiment, job)
            if orphan is not None:
                yield orphan


def _orphan(look: Look, experiment: Experiment, job: Dispatched) -> Orphan | None:
    asked = _asked(look, job)
    if asked is None:
        return None
    check, request = asked
    if check.head == experiment.head:
        return None
    if any(isinstance(line, VerdictLine) and line.head == check.head for line in look.lines):
        return None
    return Orphan(request, _with_record(look, job), experiment.pull)


def late(look: Look, experiments: tuple[Experiment, ...]) -> Iterator[Late]:
    """Records of jobs that were lost without one: an upload may be listed after its job's end, or a runner come back."""
    flying = {experiment.number for experiment in experiments}
    known = {line.key for line in look.lines if isinstance(line, LateLine)}
    jobs = {job.id: job for job in look.view.jobs.recent()}
    for line in look.lines:
        if not isinstance(line, LostLine) or line.experiment not in flying or late_key(line) in known:
            continue
        job = jobs.get(line.job)
        came = _came_late(look, line, job) if job is not None and job.status == "completed" else None
        if came is not None:
            yield came


def _came_late(look: Look, line: LostLine, job: Dispatched) -> Late | None:
    asked = _asked(look, job)
    if asked is None:
        return None
    _, request = asked
    if len(request.runs) != line.known_runs:
        return None  # it had handed a record in, whose runs are known
    handed = look.view.jobs.handed(job.id)
    record = handed.record
    if record is None or record.request != request.digest or not record.runs:
        return None
    return Late(line, record, handed.text)


def _asked(look: Look, job: Dispatched, key: str = "") -> tuple[CheckRun, Request] | None:
    """Pawl's own check run that a job was started for, and the request in it; none where it was for none.

    Args:
        look: the look.
        job: the job.
        key: what the check run's name says beside the loop's; nothing for an experiment.
    """
    try:
        check = look.view.checks.run(job.check_run)
    except NotFound:
        return None
    request = request_in(check)
    if request is None or not look.own(check, key) or check.external_id != job.key:
        return None
    return check, request


def request_in(check: CheckRun) -> Request | None:
    """The request that a check run holds; none where it can be read no more."""
    request = read_request(check.text)
    return None if request is None else request.model_copy(update={"check_run": check.id})


def _with_record(look: Look, job: Dispatched, wanted: bool = True) -> Job:
    handed = look.view.jobs.handed(job.id) if wanted and job.status == "completed" else Handed()
    trouble = handed.trouble
    if trouble and job.conclusion not in ("", "success"):
        trouble = f"{trouble} ({job.conclusion})"
    return Job(
        id=job.id,
        key=job.key,
        check_run=job.check_run,
        status=job.status,
        conclusion=job.conclusion,
        url=job.url,
        since=job.since,
        record=handed.record,
        trouble=trouble,
        record_text=handed.text,
        trajectories=handed.trajectories,
    )
