"""Whole experiments while something goes wrong. By default experiment 1 is worse and dropped, and 2 is better and merged.

Each test arranges one fault, lets the world come to rest, and looks at what there is: `World.once` says that nothing was
done twice, nothing was left behind, and what was merged is what was measured.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from faults_kit import BETTER, LOOP, NAME, PERSON, SOURCE, WORSE, FailingWrites, World, config, faulty_world

from contract.validator import Contract
from pawl.core.ledger import (
    BrakeLine,
    CalibrationLine,
    IncidentLine,
    LateLine,
    LostLine,
    OutcomeLine,
    ResumeLine,
    RulesLine,
    VerdictLine,
)
from pawl.core.measurement import Record, Request, Stage
from pawl.core.planning import longest_seconds
from pawl.core.policy import INCIDENT_LABEL, PAUSED_LABEL, RESUME_LABEL
from pawl.core.verifying import verify
from pawl.github.grants import PERMISSIONS
from pawl.github.names import experiment_branch
from pawl.localhub.faults import Faults
from pawl.messages.scaffold import workflow

# The key is short so that the tests are fast; see faults_kit.
pytestmark = [
    pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning"),
    pytest.mark.usefixtures("quiet"),
]

TRAIN = f"{LOOP}/train.py"
AS_EVER = {1: "closed", 2: "merged"}
MERGED = {1: "merged"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A calibrated loop of two experiments."""
    with faulty_world(tmp_path) as made:
        yield made


@pytest.fixture
def single(tmp_path: Path) -> Iterator[World]:
    """A calibrated loop of one experiment, which is better."""
    with faulty_world(tmp_path, {1: BETTER}, config(1)) as made:
        yield made


def during(world: World, key: str, act: Callable[[], Any]) -> None:
    """Let something happen once, while the job of an attempt (``2.1``) runs; the App sees it before the job ends."""
    waiting = [act]

    def running(request: Request) -> None:
        if request.key == key and waiting:
            waiting.pop()()
            world.deliver()
            world.look()

    world.running = running


# Requests that fail.


@pytest.mark.parametrize("rest", range(3))
def test_an_effect_that_is_answered_500_is_found_again(world: World, rest: int) -> None:
    """Every third write, so that the three tests together reach each of them."""
    world.hub.faults = FailingWrites("after", 500, lambda place: place % 3 == rest)
    assert world.settle().once().outcomes() == AS_EVER


def test_every_effect_is_answered_500(world: World) -> None:
    """Only what must be told to be known (the names of trees and commits) is answered."""
    faults = FailingWrites("after", 500)
    take = faults.take
    told = ("git/trees", "git/commits")
    faults.take = lambda kind, method, path: 0 if path.endswith(told) else take(kind, method, path)  # type: ignore[method-assign]
    world.hub.faults = faults
    assert world.settle(300).once().outcomes() == AS_EVER
    assert len(faults.failed) > 20


@pytest.mark.parametrize("seed", range(2))
def test_a_write_that_is_answered_502_is_made_later(world: World, seed: int) -> None:
    """By chance, since a ledger's commit takes three writes in a row: every third would fail for ever."""
    chance = random.Random(seed)
    world.hub.faults = FailingWrites("before", 502, lambda place: chance.random() < 0.25)
    assert world.settle().once().outcomes() == AS_EVER


class Down(Faults):
    """Nothing is answered but 502."""

    asked = 0

    def take(self, kind: str, method: str, path: str) -> int:
        self.asked += 1
        return 502


def test_an_hour_without_github_is_an_hours_pause_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job goes on meanwhile; looks are tried again less and less often, and afterwards all goes on as ever."""
    monkeypatch.setattr("urllib3.util.retry.Retry.sleep", lambda *_: None)  # reads are tried again in place
    down, up = Down(), world.hub.faults

    def goes_down() -> None:
        world.hub.faults = down
        before = len(world.writes())
        for half_minute in range(120):
            world.now += 30
            world.deliver()
            if half_minute % 10 == 0:
                world.app.workers.wake_all()  # the timer
            world.look()
        assert len(world.writes()) == before

    during(world, "1.1", goes_down)
    while world.hub.faults is up:
        assert world.turn()
    world.hub.faults = up
    assert 0 < down.asked <= 500
    assert world.settle().once().outcomes() == AS_EVER
    assert world.verdicts() == {1: ["discard"], 2: ["keep"]}


# Webhooks.


def test_without_any_webhook_the_timer_is_enough(world: World) -> None:
    world.webhooks, world.timer = lambda waiting: [], True
    assert world.settle().once().outcomes() == AS_EVER


def test_webhooks_that_come_twice_change_nothing(world: World) -> None:
    world.webhooks = lambda waiting: [*waiting, *waiting]
    assert world.settle().once().outcomes() == AS_EVER


def test_webhooks_in_reverse_change_nothing(world: World) -> None:
    world.webhooks = lambda waiting: waiting[::-1]
    assert world.settle().once().outcomes() == AS_EVER


def test_half_of_the_webhooks_get_lost_and_the_rest_is_shuffled(world: World) -> None:
    chance = random.Random(5)
    world.webhooks = lambda waiting: chance.sample(waiting, len(waiting) // 2)
    world.timer = True
    assert world.settle().once().outcomes() == AS_EVER


# People, in the middle of a measurement.


def test_a_head_that_was_replaced_is_measured_again(single: World) -> None:
    text = SOURCE.replace("1.0", "3.0")
    base = single.tip("main")
    assert base is not None
    during(single, "1.1", lambda: single.force("pawl/aim/1", base, TRAIN, text))
    assert single.settle().once().outcomes() == MERGED
    assert single.aim("main") == 3.0


def test_what_ran_on_a_replaced_head_is_counted_and_concluded(single: World) -> None:
    base = single.tip("main")
    assert base is not None
    during(single, "1.1", lambda: single.force("pawl/aim/1", base, TRAIN, SOURCE.replace("1.0", "3.0")))
    single.settle().once()


def test_a_commit_on_top_of_a_candidate_is_never_merged_unmeasured(single: World) -> None:
    """A second commit is an edit of the first one, which is not the base: it cannot be merged three ways onto it."""
    during(single, "1.1", lambda: single.push({TRAIN: SOURCE.replace("1.0", "3.0")}, "pawl/aim/1"))
    assert single.settle().once().outcomes() == {1: "superseded"}
    assert single.aim("main") == 1.0


def test_a_base_whose_inputs_move_has_the_keep_sealed_again(single: World) -> None:
    during(single, "1.1", lambda: single.push({f"{LOOP}/data.txt": "new\n"}))
    assert single.settle().once().outcomes() == MERGED
    assert single.verdicts()[1] == ["keep", "keep"]
    again = [line for line in single.lines() if isinstance(line, VerdictLine)][-1]
    assert again.start is Stage.SEAL
    assert single.file("main", f"{LOOP}/data.txt") == "new\n"


def test_a_base_that_moves_elsewhere_repeats_nothing(single: World) -> None:
    during(single, "1.1", lambda: single.push({"README.md": "New.\n"}))
    assert single.settle().once().outcomes() == MERGED
    assert single.verdicts()[1] == ["keep"]
    assert sum(isinstance(line, CalibrationLine) for line in single.lines()) == 1
    assert single.file("main", "README.md") == "New.\n"


def test_the_editable_file_moves_on_other_lines(single: World) -> None:
    during(single, "1.1", lambda: single.push({TRAIN: SOURCE.replace("STEPS = 10", "STEPS = 25")}))
    assert single.settle().once().outcomes() == MERGED
    assert single.file("main", TRAIN) == SOURCE.replace("STEPS = 10", "STEPS = 25").replace(
        "1.0", str(BETTER)
    )


def test_the_editable_file_moves_on_the_same_lines(single: World) -> None:
    during(single, "1.1", lambda: single.push({TRAIN: SOURCE.replace("1.0", "1.5")}))
    assert single.settle().once().outcomes() == {1: "superseded"}
    assert single.aim("main") == 1.5


def test_a_pull_request_that_a_person_closes_stays_closed(single: World) -> None:
    during(
        single, "1.1", lambda: single.api("PATCH", f"/pulls/{single.pull(1)['number']}", {"state": "closed"})
    )
    assert single.settle().once().outcomes() == {1: "closed"}
    assert single.aim("main") == 1.0
    assert single.verdicts()[1], "its runs count"


def test_a_pull_request_that_a_person_merges_is_overridden(single: World) -> None:
    during(single, "1.1", lambda: single.api("PUT", f"/pulls/{single.pull(1)['number']}/merge", {}))
    assert single.settle().once().outcomes()[1] in ("merged", "overridden")
    assert single.aim("main") == BETTER


@pytest.mark.parametrize("restarts", [False, True])
def test_a_merge_that_github_notices_late_keeps_its_branch_until_then(tmp_path: Path, restarts: bool) -> None:
    """The next round deleted the branch a quarter of a second after the merge, as another emulator of GitHub showed.

    GitHub closes an open pull request without a branch unmerged, and it takes a moment to see that it is merged.
    """
    with faulty_world(tmp_path, {1: BETTER, 2: WORSE}) as world:
        world.hub.faults.late_pulls = True
        world.settle()
        assert world.outcomes() == {1: "merged", 2: "superseded"}, "both change one line"
        assert world.pull(1)["state"] == "open"
        world.hub.pulls.notice(world.hub.repository(NAME), world.hub.bot)
        before = world.hub.api_requests(NAME)
        if restarts:
            world.kill()
            world.app.workers.wake_all()
        world.settle()
        # The webhook names Pawl itself as its sender, and was passed over: the branch stayed until all was read again.
        assert restarts or world.hub.api_requests(NAME) == before + 2, "the pull requests, and the branch"
        assert world.pull(1)["pull"]["merged_at"]
        world.once()


def test_a_final_commit_that_github_shows_late_is_made_once(tmp_path: Path) -> None:
    """It takes a moment until a pull request has its branch's new head. Each round made another commit meanwhile."""
    rules = config(1).replace("merge: auto", "merge: review")
    with faulty_world(tmp_path, {1: BETTER}, rules) as world:
        world.hub.faults.late_pulls = True
        world.settle()
        final = world.tip(experiment_branch(LOOP, 1))
        assert world.pull(1)["pull"]["head_sha"] != final
        for _ in range(3):
            world.app.workers.wake_all()
            world.settle()
        assert world.tip(experiment_branch(LOOP, 1)) == final
        world.hub.pulls.notice(world.hub.repository(NAME), world.hub.bot)
        world.api("PUT", f"/pulls/{world.pull(1)['number']}/merge", {"merge_method": "rebase"})
        assert world.settle().once().outcomes() == {1: "merged"}


def test_a_paused_loop_waits_for_its_label_to_go(world: World) -> None:
    during(world, "1.1", lambda: world.label(PAUSED_LABEL))
    world.settle()
    begun = {job["display_title"].split()[2]: job["conclusion"] for job in world.jobs()[1:]}
    assert begun == {"1.1": "success", "2.1": "cancelled"}, "what runs may end, what waits does not begin"
    world.unlabel(PAUSED_LABEL)
    assert world.settle().once().outcomes() == AS_EVER
    assert brakes_of(world) == [("paused", True, PERSON), ("paused", False, PERSON)]


def test_a_closed_tracking_issue_pauses_the_loop(world: World) -> None:
    issue = f"/issues/{world.tracking()['number']}"
    during(world, "1.1", lambda: world.api("PATCH", issue, {"state": "closed"}))
    world.settle()
    assert 2 not in world.verdicts()
    assert "paused" in " ".join(world.app.notices(NAME)[LOOP])
    world.api("PATCH", issue, {"state": "open"})
    assert world.settle().once().outcomes() == AS_EVER
    assert brakes_of(world) == [("paused", True, PERSON), ("paused", False, PERSON)]


def brakes_of(world: World) -> list[tuple[str, bool, str]]:
    """What the ledger says of brakes that people have put on and taken off."""
    lines = (line for line in world.lines() if isinstance(line, BrakeLine))
    return [(line.brake.value, line.on, line.by) for line in lines]


def test_rules_that_somebody_changed_are_told(world: World) -> None:
    text = config().replace("merge: auto", "merge: review")
    during(world, "1.1", lambda: world.push({".github/pawl.yml": text}))
    world.settle()
    assert world.verdicts()[2] == ["keep"]
    assert "merge: auto" in world.comments(world.pull(2)["number"])[-1]
    told = [line for line in world.lines() if isinstance(line, RulesLine)]
    assert [line.changed for line in told] == [(), ('merge: "auto", now "review"',)]
    assert told[-1].commit == world.tip("main")


def test_a_loop_that_has_not_earned_it_waits_for_people(tmp_path: Path) -> None:
    text = config(1).replace("unearned-auto, ", "")
    with faulty_world(tmp_path, {1: BETTER}, text) as world:
        world.settle()
        pull = world.pull(1)["number"]
        assert "0 of 10 keeps in a row were taken by people" in world.comments(pull)[-1]
        assert world.aim("main") == 1.0
        world.api("POST", f"/issues/{pull}/comments", {"body": "/pawl merge"})
        assert world.settle().once().outcomes() == MERGED
        (line,) = (line for line in world.lines() if isinstance(line, OutcomeLine))
        assert line.by == PERSON
        assert "1 of 10 keeps in a row" in world.tracking()["body"]


def test_the_stop_ref_ends_what_runs(single: World) -> None:
    """No webhook tells of such a ref, so the timer finds it: the job is cancelled, and goes on when the ref is gone."""
    repository = single.hub.repository(NAME)

    def stop() -> None:
        single.api("POST", "/git/refs", {"ref": "refs/pawl/stop", "sha": single.tip("main")})
        single.app.workers.wake_all()

    during(single, "1.1", stop)
    single.forge = lambda request, record: (
        record.model_copy(update={"runs": record.runs[:1], "complete": False})
        if request.key == "1.1"
        else record
    )
    single.conclude = lambda request: "cancelled" if request.key == "1.1" else "success"
    single.settle()
    assert "POST /repos/{owner}/{name}/actions/runs/{run_id}/cancel" in single.writes()
    assert 1 not in single.verdicts()
    assert single.jobs()[-1]["conclusion"] == "cancelled"
    assert "stopped" in " ".join(single.app.notices(NAME)[LOOP])
    single.hub.refs.update(repository, "refs/pawl/stop", None, "ann", checked=False)
    single.app.workers.wake_all()
    assert single.settle().once().outcomes() == MERGED
    assert brakes_of(single) == [("stopped", True, ""), ("stopped", False, "")]
    (line,) = (line for line in single.lines() if isinstance(line, VerdictLine) and line.experiment == 1)
    assert line.attempt == 2


# Jobs.


def test_a_job_that_a_person_cancels_is_continued(single: World) -> None:
    """Its first run counts: the next job's plan goes on behind it."""
    single.forge = lambda request, record: (
        record.model_copy(update={"runs": record.runs[:1], "complete": False})
        if request.key == "1.1"
        else record
    )
    single.conclude = lambda request: "cancelled" if request.key == "1.1" else "success"
    assert single.settle().once().outcomes() == MERGED
    (line,) = (line for line in single.lines() if isinstance(line, VerdictLine) and line.experiment == 1)
    assert line.attempt == 2
    assert line.runs[0].stage is Stage.SCREEN


def test_a_job_that_a_person_cancels_before_a_runner_takes_it(single: World) -> None:
    single.deliver()
    single.look()
    job = single.jobs()[-1]
    single.api("POST", f"/actions/runs/{job['id']}/cancel")
    assert single.settle().once().outcomes() == MERGED


def test_a_runner_that_is_lost_with_its_record_is_replaced(single: World) -> None:
    single.forge = lambda request, record: None if request.key == "1.1" else record
    single.conclude = lambda request: "failure" if request.key == "1.1" else "success"
    assert single.settle().once().outcomes() == MERGED
    assert single.verdicts()[1] == ["keep"]
    (lost,) = (line for line in single.lines() if isinstance(line, LostLine))
    assert (lost.experiment, lost.attempt, lost.known_runs) == (1, 1, 0)
    assert "failure" in lost.reason
    comment = single.comments(single.pull(1)["number"])[0]
    assert f"[job {lost.job}](http://127.0.0.1" in comment
    assert f"/actions/runs/{lost.job}) | {lost.reason} | 0 |" in comment.replace("`", "")


def test_a_record_that_comes_after_its_job_was_given_up_is_told_and_decides_nothing(single: World) -> None:
    """GitHub listed the upload late, or a runner came back: its runs were started, and another job makes them already."""
    late: list[Record] = []

    def forge(request: Request, record: Record) -> Record | None:
        if request.key == "1.1":
            late.append(record)
            return None
        return record

    def upload() -> None:
        first = next(run for run in single.jobs() if f" {LOOP} 1.1 " in run["display_title"])
        (job,) = single.hub.actions.jobs(first)
        single.hub.artifacts.upload(
            job["id"], "pawl-record", {"record.json": late[0].model_dump_json().encode()}
        )
        single.app.workers.wake_all()

    single.forge = forge
    single.conclude = lambda request: "failure" if request.key == "1.1" else "success"
    during(single, "1.2", upload)
    assert single.settle().once().outcomes() == MERGED
    (told,) = (line for line in single.lines() if isinstance(line, LateLine))
    assert (told.experiment, told.attempt, told.runs) == (1, 1, late[0].facts)
    (line,) = (line for line in single.lines() if isinstance(line, VerdictLine))
    assert (line.attempt, line.seq > told.seq) == (2, True)
    comment = single.comments(single.pull(1)["number"])[0]
    assert f"| 0, and {len(told.runs)} that came late |" in comment
    assert [str(found) for found in verify(single.lines())] == []


@pytest.mark.parametrize("lets_go", [True, False])
@pytest.mark.parametrize("key", ["1.1", "c2.1"])
def test_a_runner_that_vanishes_is_noticed_at_its_jobs_deadline(
    single: World, key: str, lets_go: bool
) -> None:
    """GitHub may take a day to end such a job. Pawl wakes by itself, cancels it, and a minute later ends it by force."""
    hub, now = single.hub, datetime.now(UTC)
    if key == "c2.1":
        single.push({f"{LOOP}/data.txt": "another base, which has to be calibrated\n"})
    single.app.workers.wake_all()
    while not (waiting := hub.service.acquire_job("bench")):
        single.look()
    hub.service.start_job(waiting["job_id"])
    single.deliver()
    single.look()
    loops = single.app._repositories[NAME]
    loops._clock = lambda: now
    request = Request.model_validate_json(waiting["inputs"]["request"])
    assert request.key == key
    wait = loops.asks_again_in()
    assert wait is not None
    assert longest_seconds(request) - 60 < wait <= longest_seconds(request) + 60

    now += timedelta(seconds=wait + 1)
    loops.look()
    assert hub.service.cancel_requested(waiting["job_id"])
    assert 0 < (loops.asks_again_in() or 0) <= 60
    if lets_go:
        hub.service.complete_job(waiting["job_id"], "cancelled")
    else:
        now += timedelta(seconds=61)
        loops.look()
        assert single.writes()[-1].endswith("/force-cancel")
    assert single.settle().once().outcomes() == MERGED
    (line,) = (line for line in single.lines() if isinstance(line, VerdictLine))
    assert line.attempt == (2 if key == "1.1" else 1)
    failed = [line.ok for line in single.lines() if isinstance(line, CalibrationLine)]
    assert failed == ([True] if key == "1.1" else [True, False, True])


def waits_for(world: World, seconds: float) -> None:
    """Let a job that is queued wait for so long, and look again."""
    world.deliver()
    world.look()
    loops, now = world.app._repositories[NAME], datetime.now(UTC)
    loops._clock = lambda: now + timedelta(seconds=seconds)
    world.app.workers.wake_all()
    world.look()


def untaken_check(world: World) -> str:
    """What the check run of experiment 1 says."""
    check = next(item for item in world.checks() if item["external_id"] == "1.1")
    return f"{check['title']}\n{check['summary']}"


def test_a_job_that_no_runner_takes_is_told_and_no_longer_once_one_does(single: World) -> None:
    """A machine that is off and a label that no runner has look alike: the job waits, and nothing else would say why."""
    waits_for(single, 0)
    assert 540 < (single.app._repositories[NAME].asks_again_in() or 0) <= 600
    assert "no runner has taken" not in single.tracking()["body"]
    waits_for(single, 601)
    body = single.tracking()["body"]
    assert "no runner has taken the job of experiment 1 since" in body
    assert "those with the labels self-hosted are busy, offline, or do not exist" in body
    assert f"/{NAME}/settings/actions/runners" in body
    said = untaken_check(single)
    assert "Experiment 1: no runner takes it" in said
    assert "[Settings → Actions → Runners](http://127.0.0.1" in said
    assert not [entry for entry in single.hub.request_log if entry.template.endswith("/actions/runners")]
    writes = len(single.writes())
    waits_for(single, 620)
    assert len(single.writes()) == writes, "it is said once"
    assert single.settle().once().outcomes() == MERGED
    assert "no runner has taken" not in single.tracking()["body"]
    assert "no runner takes it" not in untaken_check(single)


def test_the_label_that_a_runner_lacks_is_named_where_runners_may_be_listed(single: World) -> None:
    """`administration: read` is never asked for; who grants it all the same is told more."""
    single.hub.installations.grant(NAME, {**PERMISSIONS, "administration": "read"})
    single.push({".github/workflows/pawl.yml": workflow(("self-hosted", "gpu"))})
    waits_for(single, 601)
    for text in (single.tracking()["body"], untaken_check(single)):
        assert "no runner of this repository has all of: self-hosted, gpu; bench lacks gpu" in text
    single.hub.service.register_runner("bench", ["gpu"])
    assert single.settle().once().outcomes() == MERGED


def test_a_job_behind_one_that_runs_waits_as_it_should(world: World) -> None:
    """Behind every running job one is queued: with runs of five minutes it waits for longer than ten."""
    waits_for(world, 0)
    waiting = world.hub.service.acquire_job("bench")
    assert waiting is not None
    world.hub.service.start_job(waiting["job_id"])
    waits_for(world, 0)
    waits_for(world, 601)
    assert [job["status"] for job in world.jobs()[-2:]] == ["in_progress", "queued"]
    assert "no runner has taken" not in world.tracking()["body"]


def test_runners_that_are_always_lost_give_an_experiment_up(world: World) -> None:
    world.forge = lambda request, record: None
    world.conclude = lambda request: "failure"
    assert world.settle().once().outcomes() == {1: "closed", 2: "closed"}
    assert world.verdicts() == {1: ["inconclusive"], 2: ["inconclusive"]}


@pytest.mark.parametrize("junk", [b"\xff\xfe", b'{"version": 1, "runs": NaN}'])
def test_an_artifact_that_is_no_record_is_no_measurement(single: World, junk: bytes) -> None:
    single.forge = lambda request, record: junk if request.key.startswith("1.") else record
    assert single.settle().once().outcomes() == {1: "closed"}
    assert single.verdicts()[1] == ["inconclusive"]


def _other_request(record: Record) -> Record:
    return record.model_copy(update={"request": "0" * 64})


def _out_of_order(record: Record) -> Record:
    return record.model_copy(update={"runs": record.runs[::-1]})


@pytest.mark.parametrize("forged", [_other_request, _out_of_order])
def test_a_forged_record_is_an_incident_that_a_person_ends(
    world: World, forged: Callable[[Record], Record]
) -> None:
    """The experiment is dropped, the next keep waits, and the resume label lets it in."""
    world.forge = lambda request, record: forged(record) if request.number == 2 else record
    world.hub.push_files(NAME, {".github/pawl.yml": config(3)}, "One more")
    world.script.aims[3] = BETTER + 1  # what was tried is not proposed again
    world.settle()
    assert world.verdicts()[2] == ["inconclusive"]
    assert [line.experiment for line in world.lines() if isinstance(line, IncidentLine)] == [2]
    assert world.verdicts()[3] == ["keep"]
    assert world.aim("main") == 1.0
    assert INCIDENT_LABEL in world.tracking()["labels"]
    assert "incident" in world.comments(world.pull(3)["number"])[0].lower()
    world.label(RESUME_LABEL)
    assert world.settle().once().outcomes() == {1: "closed", 2: "closed", 3: "merged"}
    assert sum(isinstance(line, ResumeLine) for line in world.lines()) == 1
    assert not {INCIDENT_LABEL, RESUME_LABEL} & set(world.tracking()["labels"])


# Rules and checks on the branch.


def test_a_required_check_of_pawl_is_satisfied_by_its_final_commit(single: World) -> None:
    single.hub.protect(NAME, "main", checks=["pawl/aim"], enforce_admins=True)
    assert single.settle().once().outcomes() == MERGED


def test_a_required_check_that_never_comes_holds_a_keep(single: World) -> None:
    single.hub.protect(NAME, "main", checks=["ci"], enforce_admins=True)
    single.settle()
    assert single.aim("main") == 1.0
    pull = single.pull(1)
    assert pull["state"] == "open"
    assert "pawl:held" in pull["labels"]
    assert "`ci`" in single.comments(pull["number"])[0]
    single.hub.create_user("octo")
    single.hub.checks.set_status(
        single.hub.repository(NAME), "octo", pull["pull"]["head_sha"], {"state": "success", "context": "ci"}
    )
    single.app.workers.wake_all()
    assert single.settle().once().outcomes() == MERGED


def test_a_review_that_is_required_holds_a_keep_until_it_is_given(single: World) -> None:
    """GitHub's refusal is asked for once, told in the comment, and asked for again only when something has changed."""
    single.hub.protect(NAME, "main", reviews=1, enforce_admins=True)
    single.settle()
    pull = single.pull(1)
    assert pull["state"] == "open"
    assert "pawl:held" in pull["labels"]
    assert len(single.comments(pull["number"])) == 1
    assert "pull request" in single.comments(pull["number"])[0]
    refused = [write for write in single.writes() if write.endswith("/merge")]
    assert len(refused) <= 2
    single.api("POST", f"/pulls/{pull['number']}/reviews", {"event": "APPROVE"})
    assert single.settle().once().outcomes() == MERGED


def test_a_branch_that_the_app_may_not_push_to_is_merged_by_hand(single: World) -> None:
    single.hub.protect(NAME, "main", restrict_pushes=["ann"], enforce_admins=True)
    single.settle()
    pull = single.pull(1)
    assert "pawl:held" in pull["labels"]
    assert "authorized" in single.comments(pull["number"])[0]
    single.api("PUT", f"/pulls/{pull['number']}/merge", {"merge_method": "merge"})
    assert single.settle().once().outcomes() == MERGED


def test_a_failing_check_on_the_final_commit_holds_a_keep(single: World) -> None:
    """A workflow of the repository's own fails on the final commit, and passes when somebody runs it again."""
    seen: list[str] = []

    def fail() -> None:
        head = single.pull(1)["pull"]["head_sha"]
        seen.append(head)
        status = {"state": "failure", "context": "tests"}
        single.hub.checks.set_status(single.hub.repository(NAME), "ann", head, status)

    single.hub.faults.on_request("PATCH", "git/refs/heads/pawl/aim/1", fail, after=True)
    single.settle()
    pull = single.pull(1)
    assert pull["state"] == "open"
    assert "tests" in single.comments(pull["number"])[0]
    single.hub.checks.set_status(
        single.hub.repository(NAME), "ann", seen[0], {"state": "success", "context": "tests"}
    )
    single.app.workers.wake_all()
    assert single.settle().once().outcomes() == MERGED


# The App itself.


def test_the_database_may_be_deleted_between_any_two_turns(world: World) -> None:
    world.timer = True
    for _ in range(7):
        world.turn()
        for path in world.home.glob("pawl.db*"):
            path.unlink()
    assert world.settle().once().outcomes() == AS_EVER


def test_the_app_may_forget_everything_between_any_two_turns(world: World) -> None:
    for _ in range(7):
        world.turn()
        world.kill()
    assert world.settle().once().outcomes() == AS_EVER


def test_two_processes_at_once_get_in_nobodys_way(world: World) -> None:
    """Each hears half of the webhooks."""
    world.start("other.db")
    world.timer = True
    assert world.settle().once().outcomes() == AS_EVER


@pytest.mark.parametrize(
    ("verb", "path"),
    [("POST", "check-runs$"), ("POST", "dispatches$"), ("PATCH", "pawl/ledger$"), ("PATCH", "heads/main$")],
)
def test_a_process_that_acts_right_before_another_one_doubles_no_verdict(
    single: World, verb: str, path: str
) -> None:
    """GitHub cannot keep two from dispatching in the same moment; a second job's record never enters the ledger."""
    first, second = single.processes[0], single.start("other.db")
    single.processes = [first]

    def other() -> None:
        while second.app.workers.run_next() or second.later.run():
            pass

    second.app.workers.wake_all()
    single.hub.faults.on_request(verb, path, other)
    single.settle()
    single.processes, single.timer = [first, second], True
    single.settle()
    assert single.outcomes() == MERGED
    assert single.verdicts() == {1: ["keep"]}
    assert [str(found) for found in verify(single.lines())] == []
    assert not [pull for pull in single.pulls() if pull["state"] == "open"]


def test_a_broken_configuration_stops_the_loop_until_it_is_mended(single: World) -> None:
    during(single, "1.1", lambda: single.push({".github/pawl.yml": "version: 1\nloops: [no\n"}))
    single.settle()
    assert single.outcomes() == {}
    single.push({".github/pawl.yml": config(1)})
    assert single.settle().once().outcomes() == MERGED


def test_without_a_configuration_nothing_happens(single: World) -> None:
    during(single, "1.1", lambda: single.push({".github/pawl.yml": None}))
    single.settle()
    assert single.outcomes() == {}
    single.push({".github/pawl.yml": config(1)})
    assert single.settle().once().outcomes() == MERGED


def test_the_app_is_uninstalled_in_the_middle_and_comes_back(single: World) -> None:
    during(single, "1.1", lambda: single.hub.installations.uninstall(NAME))
    single.settle()
    assert single.app.status()["repositories"] == 0
    assert single.outcomes() == {}
    single.running = lambda request: None
    single.hub.installations.install(NAME)
    assert single.settle().once().outcomes() == MERGED


def test_an_installation_that_is_replaced_unseen_is_noticed(single: World) -> None:
    """Removed and installed again between two looks: another installation, whose predecessor's tokens reach nothing."""

    def replace() -> None:
        single.hub.installations.uninstall(NAME)
        single.hub.installations.install(NAME)

    during(single, "1.1", replace)
    assert single.settle().once().outcomes() == MERGED


def test_two_loops_of_one_repository_keep_apart(tmp_path: Path) -> None:
    text = config(1, aim="aim", other="other")
    with faulty_world(tmp_path, {1: BETTER}, text, ("aim", "other")) as world:
        world.settle()
        for loop in ("aim", "other"):
            assert world.once(loop).outcomes(loop) == MERGED
            assert world.aim("main", f"{loop}/train.py") == BETTER


def test_a_loop_that_cannot_be_looked_at_does_not_stop_its_neighbour(tmp_path: Path) -> None:
    text = config(1, aim="aim", other="other")
    with faulty_world(tmp_path, {1: BETTER}, text, ("aim", "other")) as world:
        world.hub.push_files(NAME, {"aim/ledger-0001.jsonl": "no line\n"}, "Damage", branch="pawl/ledger")
        world.app.workers.wake_all()
        world.settle()
        assert world.outcomes("other") == MERGED
        assert "ledger" in " ".join(world.app.notices(NAME)["aim"])


# What it costs, and whether GitHub would take it.


@pytest.mark.parametrize(("reads", "most"), [(False, 20), (True, 24)])
def test_a_dropped_experiment_costs_few_requests(tmp_path: Path, reads: bool, most: int) -> None:
    """From one job's beginning to the next one's, with a warm view and webhooks: a job runs and ends, its
    verdict is written and published, the pull request closed, and the next one opened and dispatched.

    A proposer that reads the base and the history once cost ten requests more, and more with every experiment.
    """
    each = requests_each(tmp_path, {number: 0.5 - number / 100 for number in range(1, 8)}, reads)
    assert len(each) == 6
    assert max(each) <= most, each


def test_a_merged_experiment_costs_few_requests(tmp_path: Path) -> None:
    """The same, with the final commit, the merge and a proposal on the new base. None waits behind it that could
    conflict with it: that one would be an experiment of its own, which ends superseded in the same interval."""
    one = config(7).replace("{experiments: 7}", "{experiments: 7, open_pulls: 1}")
    each = requests_each(tmp_path, {number: 1.0 + number for number in range(1, 8)}, text=one)
    assert len(each) == 6
    assert max(each) <= 35, each


def requests_each(home: Path, aims: dict[int, float], reads: bool = False, text: str = "") -> list[int]:
    """Requests from each experiment's begin on the runner to the next one's, polling and progress included."""
    with faulty_world(home, aims, text or config(len(aims))) as world:
        world.script.reads = reads
        counts: list[int] = []

        def running(request: Request) -> None:
            counts.append(world.hub.api_requests(NAME))
            world.deliver()
            world.look()

        world.running = running
        world.settle().once()
        return [after - before for before, after in pairwise(counts)]


def test_every_request_and_answer_is_as_github_has_it(tmp_path: Path) -> None:
    contract, wrong = Contract.load(), list[str]()

    def exchange(method: str, path: str, query: dict[str, str], body: Any, status: int, answer: Any) -> None:
        if status < 400:
            wrong.extend(contract.check_request(method, path, query, body))
        wrong.extend(contract.check_response(method, path, status, answer))

    with faulty_world(tmp_path, observer=exchange) as world:
        assert world.settle().once().outcomes() == AS_EVER
    assert not wrong, wrong[:10]
