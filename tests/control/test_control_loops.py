"""The loops of one repository: what a look does with refusals, moves, broken parts and proposals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from faults_kit import BETTER, LOOP, NAME, World, config, faulty_world
from structlog.testing import capture_logs

from pawl.control.app import INSTALLATIONS
from pawl.control.events import SUBSCRIBED, Event
from pawl.control.loops import MAX_ROUNDS
from pawl.core.config_file import ConfigError
from pawl.core.ledger import VerdictLine
from pawl.github.errors import Unreachable

pytestmark = [
    pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning"),
    pytest.mark.usefixtures("quiet"),
]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with faulty_world(tmp_path, {1: BETTER}, config(1)) as made:
        made.app.workers.run_next()  # where the App is installed
        yield made


def loops_of(world: World) -> Any:
    return world.app._repositories[NAME]


def reads(world: World) -> int:
    return world.hub.api_requests(NAME)


ECHO = Event("push", "", NAME, "pawl-local[bot]")
"""A webhook of Pawl's own doing."""


def began(run: int) -> Event:
    """A webhook that tells of a job's begin."""
    return Event("workflow_run", "in_progress", NAME, "ann", began=run)


def checked(commit: str) -> Event:
    """A webhook that tells of a check on a commit."""
    return Event("check_run", "completed", NAME, "ci[bot]", checked=commit)


def begin(world: World) -> dict[str, Any]:
    """Go on until the runner has taken a job; nothing more is to be done then."""
    while (job := world.hub.service.acquire_job("bench")) is None:
        world.deliver()
        world.look()
    while world.deliver() | world.look():
        pass
    return job


def test_a_look_that_finds_nothing_new_asks_nothing(world: World) -> None:
    loops = loops_of(world)
    world.settle()
    before = reads(world)
    (looked,) = loops.look()
    assert looked.actions == ()
    assert reads(world) == before


def test_what_is_noted_is_read_again_once(world: World) -> None:
    loops = loops_of(world)
    world.settle()
    loops.news.hear(frozenset({"tracking"}), ECHO)
    before = reads(world)
    loops.look()
    assert reads(world) == before + 1
    loops.look()
    assert reads(world) == before + 1


def test_where_webhooks_arrive_the_timer_reads_only_what_they_do_not_tell_of(world: World) -> None:
    """Every round once read everything: thirteen requests, at five minutes a round more than half of an experiment's own."""
    loops = loops_of(world)
    begin(world)
    loops.news.hear(frozenset(), ECHO)  # an echo of Pawl's own doing will do
    before = reads(world)
    loops.round(everything=False)
    loops.look()
    assert reads(world) == before + 2  # jobs, and the kill switch
    loops.round(everything=False)  # and none came since
    loops.look()
    assert reads(world) > before + 2 + 6


def test_now_and_then_the_timer_reads_everything(world: World) -> None:
    """A webhook may be lost among those that arrive."""
    loops = loops_of(world)
    begin(world)
    loops.news.hear(frozenset(), ECHO)
    before = reads(world)
    loops.round(everything=True)
    loops.look()
    assert reads(world) > before + 6


def test_what_github_does_not_tell_of_is_named_once_and_read_in_every_round(world: World) -> None:
    """An App that was registered by hand may lack an event; its keeps would wait for a check that nobody announced."""
    begin(world)
    structlog.reset_defaults()
    world.hub.app_fact = {**world.hub.app_fact, "events": sorted(SUBSCRIBED - {"status", "push"})}
    with capture_logs() as logs:
        for _ in range(2):
            world.app.workers.wake(INSTALLATIONS)
            world.look()
    (said,) = [line["why"] for line in logs if line["log_level"] == "warning"]
    assert said.startswith("GitHub does not tell of push, status: ")
    loops_of(world).news.hear(frozenset(), ECHO)
    before = reads(world)
    world.app.workers.wake_all()
    world.look()
    assert reads(world) > before + 6


def test_while_something_is_in_a_loops_way_the_timer_reads_everything(world: World) -> None:
    """GitHub announces no change of a branch's rules to Pawl."""
    world.hub.protect(NAME, "main", restrict_pushes=["ann"], enforce_admins=True)
    loops = loops_of(world)
    world.settle()
    world.hub.unprotect(NAME, "main")
    loops.news.hear(frozenset(), ECHO)
    loops.round(everything=False)
    world.look()
    loops.look()
    world.settle()
    assert world.outcomes() == {1: "merged"}


def test_the_kill_switch_is_seen_in_a_round_that_reads_little(world: World) -> None:
    loops = loops_of(world)
    begin(world)
    loops.news.hear(frozenset(), ECHO)
    world.api("POST", "/git/refs", {"ref": "refs/pawl/stop", "sha": world.tip("main")})
    loops.round(everything=False)
    (looked,) = loops.look()
    assert looked.snapshot is not None
    assert looked.snapshot.stop


def test_a_job_that_was_seen_to_begin_is_no_news(world: World) -> None:
    """One job's end was looked at when the next one had begun, and then its webhook came: jobs were read twice for each."""
    loops = loops_of(world)
    job = begin(world)
    world.hub.service.start_job(job["job_id"])
    run, jobs = int(job["run_id"]), frozenset({"jobs"})
    loops.news.hear(jobs, began(run))
    before = reads(world)
    loops.look()
    assert reads(world) == before + 2  # the jobs, and the check run that shows it
    loops.news.hear(jobs, began(run))
    loops.look()
    assert reads(world) == before + 2
    loops.news.hear(jobs, began(run + 1))
    loops.look()
    assert reads(world) == before + 3


def test_checks_on_a_commit_that_nobody_looks_at_are_no_news(world: World) -> None:
    """Each of Pawl's jobs is told as a check of the default branch, which has nothing to do with any edit."""
    loops, checks = loops_of(world), frozenset({"checks"})
    elsewhere = world.push({"README.md": "Else\n"}, branch="elsewhere")
    begin(world)
    before = reads(world)
    loops.news.hear(checks, checked(elsewhere))
    loops.look()
    assert reads(world) == before
    loops.news.hear(checks, checked(world.pull(1)["pull"]["head_sha"]))
    loops.look()
    assert reads(world) == before + 1


def test_a_keep_goes_on_as_soon_as_its_checks_have_passed(world: World) -> None:
    world.hub.protect(NAME, "main", checks=["ci"], enforce_admins=True)
    world.settle()
    assert world.outcomes() == {}
    head, repository = world.pull(1)["pull"]["head_sha"], world.hub.repository(NAME)
    world.hub.create_user("octo")
    world.hub.checks.set_status(repository, "octo", head, {"state": "success", "context": "ci"})
    world.settle()
    assert world.outcomes() == {1: "merged"}


def test_a_refused_merge_is_asked_for_once_until_something_changes(world: World) -> None:
    """The refusal never reached the decision, so that every round of every look asked GitHub again."""
    world.hub.protect(NAME, "main", restrict_pushes=["ann"], enforce_admins=True)
    world.settle()
    loops = loops_of(world)
    asked = sum(write.endswith("/merge") for write in world.writes())
    assert asked == 1
    loops.look()
    before = reads(world)
    loops.look()
    assert reads(world) == before
    loops.news.hear(frozenset({"refs"}), ECHO)
    loops.look()
    assert sum(write.endswith("/merge") for write in world.writes()) == asked + 1
    assert len(world.comments(world.pull(1)["number"])) == 1


def test_a_configuration_that_cannot_be_used_is_told(world: World) -> None:
    loops = loops_of(world)
    world.push({".github/pawl.yml": "version: 1\nloops: {}\nmore: 1\n"})
    with pytest.raises(ConfigError, match=r"pawl\.yml"):
        loops.look()
    world.push({".github/pawl.yml": None})
    loops.news.hear(frozenset({"refs"}), ECHO)
    assert loops.look() == []


def test_a_loop_whose_file_is_missing_says_so(world: World) -> None:
    loops = loops_of(world)
    world.push({f"{LOOP}/train.py": None})
    (looked,) = loops.look()
    assert "aim/train.py is not on main" in looked.problem
    assert loops.notices[LOOP] == (looked.problem,)


def test_a_look_that_fails_forgets_what_it_saw(world: World) -> None:
    loops = loops_of(world)
    loops.look()
    world.processes[-1].later.run()
    world.hub.faults.fail_after("POST", "/pulls$")
    with pytest.raises(Unreachable):
        loops.look()
    assert loops.thinking(), "the proposal is kept"
    loops.look()
    assert len(world.pulls()) == 1


def test_a_proposal_survives_a_github_that_does_not_answer(world: World) -> None:
    """It used to be dropped, with its branch left behind and its number used up."""
    loops = loops_of(world)
    loops.look()
    world.processes[-1].later.run()
    for path in ("git/refs$", "contents/", "/pulls$", "labels$"):
        world.hub.faults.fail_before("POST" if path != "contents/" else "PUT", path)
        with pytest.raises(Unreachable):
            loops.look()
    loops.look()
    assert [pull["pull"]["head_ref"] for pull in world.pulls()] == ["pawl/aim/1"]
    assert world.settle().once().outcomes() == {1: "merged"}


def test_one_loop_can_be_looked_at_alone(world: World) -> None:
    loops = loops_of(world)
    assert loops.look("other") == []
    assert [looked.loop for looked in loops.look(LOOP)] == [LOOP]
    assert set(loops.rules()) == {LOOP}
    assert loops.rules("other") == {}


def test_a_dry_round_writes_nothing(world: World) -> None:
    loops = loops_of(world)
    before = len(world.writes())
    (rules,) = loops.rules().values()
    snapshot, actions = loops.plan(LOOP, rules)
    assert snapshot.loop == LOOP
    assert actions
    assert len(world.writes()) == before


def test_a_look_ends_after_its_rounds(world: World) -> None:
    """An effect that undoes itself each time cannot keep a look from ending."""
    loops = loops_of(world)
    applied: list[str] = []

    def apply(action: Any, snapshot: Any) -> bool:
        applied.append(type(action).__name__)
        return type(action).__name__ != "UpdateTracking"

    loops._actor.apply = apply
    loops.look()
    loops.news.hear(frozenset({"refs"}), ECHO)
    assert applied.count("UpdateTracking") <= MAX_ROUNDS


def test_the_app_tells_what_it_is_without_a_secret(world: World) -> None:
    assert world.app.status()["repositories"] == 1
    assert world.app.ready()
    assert world.hub.app.webhook_secret not in repr(world.app.status())
    assert world.app.notices("nobody/nothing") == {}


def test_before_github_answered_the_app_is_not_ready(tmp_path: Path) -> None:
    with faulty_world(tmp_path, {1: BETTER}, config(1)) as world:
        assert not world.app.ready()
        world.hub.faults.fail_before("GET", "/app/installations", status=404)
        world.look()
        assert not world.app.ready()
        world.now += 1000
        world.look()
        assert world.app.ready()


def test_a_suspended_installation_is_left_alone(world: World) -> None:
    world.hub.installations.suspend(NAME)
    world.settle()
    assert world.app.status()["repositories"] == 0
    world.hub.installations.suspend(NAME, False)
    assert world.settle().once().outcomes() == {1: "merged"}


def test_a_rate_limit_is_waited_for(world: World) -> None:
    world.hub.faults.fail_before("POST", "/check-runs", status=429)
    assert world.settle().once().outcomes() == {1: "merged"}


@pytest.mark.parametrize("died_after", ["git/refs$", "contents/", "/pulls$", "labels$"])
def test_an_opening_that_dies_half_way_is_finished_by_the_next_process(world: World, died_after: str) -> None:
    """Its branch used to stay, its number was used up, and a paid proposal was lost."""
    loops_of(world).look()
    world.processes[-1].later.run()
    world.hub.faults.fail_after("POST" if died_after != "contents/" else "PUT", died_after)
    with pytest.raises(Unreachable):
        loops_of(world).look()
    world.kill()
    assert world.settle().once().outcomes() == {1: "merged"}
    (pull,) = world.pulls()
    assert pull["title"] == "aim 1: aim at 2.0"
    (verdict,) = (line for line in world.lines() if isinstance(line, VerdictLine))
    assert (verdict.hypothesis, verdict.proposer, dict(verdict.parameters)) == (
        "aim at 2.0",
        "script",
        {"AIM": 2.0},
    )


def test_two_keeps_that_are_ready_at_once_do_not_wait_for_the_timer(tmp_path: Path) -> None:
    """The first one's merge moves the base under the second. What Pawl moves itself no webhook announces: it stood still."""
    with faulty_world(tmp_path, {1: BETTER, 2: BETTER + 1}, config(2)) as world:
        world.webhooks = lambda waiting: []
        world.turn()
        while world.measure():
            pass
        world.app.workers.wake_all()
        world.look()
        again = loops_of(world).asks_again_in()
        assert again is not None
        assert again <= 2
        world.now += 2
        world.look()
        assert world.outcomes() == {1: "merged", 2: "superseded"}
        assert loops_of(world).asks_again_in() is None


def test_a_merge_that_github_notices_late_is_seen_by_the_next_round(tmp_path: Path) -> None:
    """Its webhook is lost, too, and the merged branch stayed for half an hour."""
    aims = {number: BETTER + number for number in range(9)}
    with faulty_world(tmp_path, aims, config(8)) as world:
        world.hub.faults.late_pulls = True
        while 1 not in world.outcomes():
            world.turn()
        world.webhooks = lambda waiting: []
        world.hub.pulls.notice(world.hub.repository(NAME), world.hub.bot)
        while world.deliver() | world.look():
            pass
        assert world.tip(f"pawl/{LOOP}/1") is not None
        loops = loops_of(world)
        assert loops.notices == {LOOP: ()}, "or it reads everything"
        loops.news.hear(frozenset(), ECHO)
        loops.round(everything=False)
        loops.look()
        assert world.tip(f"pawl/{LOOP}/1") is None
