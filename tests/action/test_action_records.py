"""What a measuring job leaves behind when it is cut off, run again, or hands in no record: told, and nothing lost."""

from __future__ import annotations

import io
import os
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from action.act_kit import Act, step_below
from action.job_kit import Jobs
from action.stranger import LOOP, NAME, SECRETS, Stranger
from pawl.core.decision import Verdict
from pawl.core.ledger import CalibrationLine, IncidentLine, LostLine
from pawl.core.measurement import Record, RunStatus
from pawl.localhub import HubServer

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def jobs(hub_server: HubServer, tmp_path: Path) -> Jobs:
    return Jobs(hub_server, tmp_path / "jobs")


def lost(stranger: Stranger) -> list[LostLine]:
    return [line for line in stranger.ledger() if isinstance(line, LostLine)]


def check_summaries(jobs: Jobs, number: int) -> str:
    """What the check runs of an experiment's head say."""
    hub = jobs.server.hub
    head = jobs.stranger.tip(f"pawl/{LOOP}/{number}")
    found = hub.store.all("check_run", hub.repository(NAME)["id"], head)
    return "\n".join(f"{item['title']}\n{item['summary']}" for item in found).replace("\\", "")


def goes_on(jobs: Jobs, runs: int) -> None:
    """The next attempt begins behind the runs that are known, and its verdict has them all."""
    job, request = jobs.measuring()
    assert (request.key, len(request.runs)) == ("1.2", runs)
    jobs.end(job, jobs.measure(job))
    (line,) = jobs.stranger.verdicts()
    assert line.verdict is Verdict.KEEP
    assert line.runs[:runs] == request.runs


@pytest.mark.parametrize(("number", "status"), [
    (signal.SIGINT, RunStatus.INTERRUPTED), (signal.SIGTERM, RunStatus.INTERRUPTED), (signal.SIGKILL, RunStatus.STARTED),
])  # fmt: skip
def test_a_job_that_a_person_cancels_hands_over_what_it_has_run(
    jobs: Jobs, tmp_path: Path, number: signal.Signals, status: RunStatus
) -> None:
    """GitHub's runner sends SIGINT to the step, then SIGTERM, and still makes the steps that are always made. So it does
    where the kernel took the step for want of memory: the record is on disk before each run, and says that it began."""
    act = Act(jobs.server, tmp_path / "act", SECRETS)
    job, _ = jobs.experiment()
    hub = jobs.server.hub
    cancelled: list[int] = []

    def cancel(process: int, line: str) -> None:
        if "Run 3: " in line and not cancelled:
            cancelled.append(step_below(process))
            repository = hub.repository(NAME)
            hub.actions.cancel(repository, hub.actions.run(repository, job["run_id"]))
            os.kill(cancelled[0], number)

    act.heard = cancel
    done = act.execute(job)
    assert done.conclusion == "cancelled"
    assert jobs.conclude(job["run_id"], measured="cancelled") == 0
    (line,) = lost(jobs.stranger)
    assert line.known_runs == 3
    assert "cancelled" in line.reason
    assert "cancelled" in check_summaries(jobs, 1)
    goes_on(jobs, 3)
    (verdict,) = jobs.stranger.verdicts()
    assert verdict.runs[2].status is status


def test_a_job_that_is_run_again_measures_nothing_and_replaces_nothing(jobs: Jobs) -> None:
    """While nobody concluded, somebody pressed Re-run: GitHub has two artifacts of that run, and both have that name."""
    job, _ = jobs.experiment()
    partial = shortened(jobs.measure(job))
    jobs.leave(job, partial, "failure")
    conclude = jobs.next("conclude", job["run_id"])
    jobs.service.complete_job(conclude["job_id"], "failure")
    hub = jobs.server.hub
    repository = hub.repository(NAME)
    hub.actions.rerun(repository, hub.actions.run(repository, job["run_id"]))
    again = jobs.next("measure", job["run_id"])
    assert again["run_attempt"] == 2
    handed = jobs.measure(again)
    record = Record.model_validate_json(handed["record.json"])
    assert record.runs == ()
    assert "this job was run again" in record.refused
    jobs.end(again, handed)
    artifacts = hub.store.all("artifact", repository["id"], job["run_id"])
    assert [item["name"] for item in artifacts] == ["pawl-record"] * 2
    assert lost(jobs.stranger)[0].known_runs == 1
    goes_on(jobs, 1)


def test_no_number_of_tries_hides_the_one_that_counts(jobs: Jobs) -> None:
    """GitHub lists thirty artifacts on a page, the newest first. Whoever ran a job again often enough had the first try,
    the one that counts, on a page that nobody read, and the same seeds were measured anew."""
    job, _ = jobs.experiment()
    jobs.artifacts.upload(job["job_id"], "pawl-record", jobs.measure(job))
    store = jobs.server.hub.store
    artifacts = store.all("artifact", store.get("job", job["job_id"])["repo"], job["run_id"])
    for attempt in range(40):
        store.save({**artifacts[0], "attempt": -1})
        made = jobs.artifacts.upload(job["job_id"], "pawl-record", b"no zip")
        store.save({**store.get("artifact", made), "attempt": 1000 + attempt})
    jobs.service.complete_job(job["job_id"], "success")
    jobs.conclude(job["run_id"], measured="success")
    assert lost(jobs.stranger) == []


def test_a_first_try_that_handed_in_nothing_is_followed_by_another_job(jobs: Jobs) -> None:
    job, _ = jobs.experiment()
    jobs.leave(job, None, "failure")
    jobs.service.complete_job(jobs.next("conclude", job["run_id"])["job_id"], "failure")
    hub = jobs.server.hub
    repository = hub.repository(NAME)
    hub.actions.rerun(repository, hub.actions.run(repository, job["run_id"]))
    again = jobs.next("measure", job["run_id"])
    jobs.end(again, jobs.measure(again))
    assert "this job was run again" in lost(jobs.stranger)[0].reason
    goes_on(jobs, 0)


def shortened(handed: dict[str, bytes]) -> dict[str, bytes]:
    """As if the job had been cut off behind its first run."""
    record = Record.model_validate_json(handed["record.json"])
    cut = record.model_copy(update={"runs": record.runs[:1], "complete": False})
    return {"record.json": cut.model_dump_json().encode()}


def bomb(handed: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("record.json", b" " * 20_000_000)
    return buffer.getvalue()


def twice(handed: dict[str, bytes]) -> dict[str, bytes]:
    return {**handed, "again/record.json": handed["record.json"]}


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (bomb, "record.json would unpack to 20,000,000 bytes"),
        (twice, "holds 2 files; exactly record.json is expected"),
        (lambda handed: b"PK no zip", "is no zip that can be read"),
        (lambda handed: {"record.json": b"{}"}, "record.json is no record"),
        (lambda handed: None, "the job ended without the artifact pawl-record"),
    ],
)
def test_what_is_no_record_is_told_and_measured_again(
    jobs: Jobs, made: Callable[[dict[str, bytes]], Any], said: str
) -> None:
    job, _ = jobs.experiment()
    jobs.end(job, made({"record.json": b"{}"}))
    assert said in lost(jobs.stranger)[0].reason
    assert said in check_summaries(jobs, 1)
    _, request = jobs.measuring()
    assert (request.key, request.runs) == ("1.2", ())


def test_a_record_that_has_expired_is_told_as_that(jobs: Jobs) -> None:
    """Pawl was away for three months: what was measured is gone, and nobody pretends that nothing was handed in."""
    job, _ = jobs.experiment()
    handed = jobs.leave(job, {"record.json": b"{}"})
    assert handed is not None
    jobs.artifacts.expire(handed)
    assert jobs.conclude(job["run_id"], measured="success") == 0
    assert "the artifact pawl-record has expired" in lost(jobs.stranger)[0].reason
    goes_on(jobs, 0)


def test_a_record_of_another_job_is_an_incident(jobs: Jobs) -> None:
    """No runner mixes them up by itself: somebody copied it, so nothing merges until a person has looked."""
    job, _ = jobs.experiment()
    record = Record.model_validate_json(jobs.measure(job)["record.json"])
    jobs.end(job, {"record.json": record.model_copy(update={"request": "0" * 64}).model_dump_json().encode()})
    said = "the record answers another request than the one that was made"
    (incident,) = (line for line in jobs.stranger.ledger() if isinstance(line, IncidentLine))
    assert incident.reason == said
    (line,) = jobs.stranger.verdicts()
    assert (line.verdict, line.reason) == (Verdict.INCONCLUSIVE, said)


def test_the_record_of_an_earlier_attempt_is_no_answer_to_a_later_one(jobs: Jobs) -> None:
    """Its format is right, and it was made here: a runner that hands it in again would choose which seeds count."""
    job, _ = jobs.experiment()
    whole = jobs.measure(job)
    jobs.end(job, shortened(whole), "failure")
    job, request = jobs.measuring()
    assert request.key == "1.2"
    jobs.end(job, whole)
    (incident,) = (line for line in jobs.stranger.ledger() if isinstance(line, IncidentLine))
    assert incident.reason == "the record answers another request than the one that was made"
    assert [line.verdict for line in jobs.stranger.verdicts()] == [Verdict.INCONCLUSIVE]


def test_a_job_that_somebody_starts_under_an_attempts_title_never_counts(jobs: Jobs) -> None:
    """Whoever may write can start the workflow with any title and request, on a machine of their choice."""
    job, _ = jobs.experiment()
    run = jobs.stranger.dispatch(**{**job["inputs"], "labels": '["ubuntu-latest"]'})
    jobs.leave(job, jobs.measure(job))
    second = jobs.next("measure", run["id"])
    jobs.end(second, {"record.json": b"{}"})
    assert [line.verdict for line in jobs.stranger.verdicts()] == [Verdict.KEEP]
    assert lost(jobs.stranger) == []


def test_a_calibration_with_another_jobs_record_says_so(jobs: Jobs) -> None:
    jobs.begin()
    job, _ = jobs.measuring()
    record = Record.model_validate_json(jobs.measure(job)["record.json"])
    jobs.end(job, {"record.json": record.model_copy(update={"request": "0" * 64}).model_dump_json().encode()})
    (line,) = (line for line in jobs.stranger.ledger() if isinstance(line, CalibrationLine))
    assert line.reason == "the record answers another request than the one that was made"
