"""What a look believes, and whom it does not."""

from __future__ import annotations

import pytest
from github_kit import CONFIG, EDIT, FILES, LOOP, NAME, World, edit

from pawl.core.actions import StartAttempt
from pawl.core.chain import LedgerError
from pawl.core.config_file import ConfigError
from pawl.core.digest import TreeEntry, git_blob_sha, inputs_digest
from pawl.github.act import Actor
from pawl.github.app import Token
from pawl.github.errors import Moved, Unobservable
from pawl.github.objects import Objects
from pawl.github.requester import AT_ONCE
from pawl.github.view import RepositoryView


def test_a_first_look_sees_the_base_and_nothing_else(world: World) -> None:
    snapshot = world.observe()
    assert (snapshot.repository, snapshot.loop, snapshot.last_number) == (NAME, LOOP, 0)
    assert (snapshot.ledger, snapshot.experiments, snapshot.calibrating) == ((), (), ())
    assert (snapshot.tracking, snapshot.stop) == (None, False)
    assert snapshot.base.sha == world.tip("main")
    assert snapshot.base.content == FILES["loop/train.py"].encode()
    assert snapshot.base.entries_digest == {"loop/train.py": git_blob_sha(snapshot.base.content)}


def test_a_second_look_asks_nothing(world: World) -> None:
    world.settle()
    world.open()
    world.observe()
    before = len(world.requests())
    assert world.observe() == world.observe()
    assert len(world.requests()) == before


def test_an_opened_experiment_tells_what_it_is_about(world: World) -> None:
    world.step()
    number = world.open()
    (experiment,) = world.observe(fresh=True).experiments
    assert (experiment.number, experiment.content) == (number, EDIT.content.encode())
    assert (experiment.hypothesis, experiment.proposer, experiment.predicted) == (
        "halve the rate",
        "search",
        0.1,
    )
    assert experiment.parameters == {"RATE": 0.5}
    assert experiment.objections == ()
    assert (experiment.final, experiment.open, experiment.branch_exists) == (False, True, True)
    assert experiment.parent == world.tip("main")
    rules = world.rules
    after = TreeEntry("loop/train.py", "100644", git_blob_sha(experiment.content))
    assert experiment.inputs_after == inputs_digest([after], ["loop/**"], [], rules.rules_digest)


def test_a_push_elsewhere_leaves_the_base_as_it_was(world: World) -> None:
    before = world.observe()
    world.server.hub.push_files(NAME, {"README.md": "Another text.\n"}, "Words")
    after = world.observe(fresh=True)
    assert before.base.sha != after.base.sha
    assert before.base.inputs == after.base.inputs


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"loop/train.py": None}, "loop/train.py is not on main; add it, or correct `edit`"),
        ({"loop/program.md": None}, "loop/program.md is not on main; add it, or correct `program`"),
        ({".github/pawl.yml": CONFIG + "    branch: nowhere\n"}, "no branch nowhere"),
        ({".github/workflows/pawl.yml": None}, "no workflow .github/workflows/pawl.yml"),
    ],
)
def test_what_a_person_has_to_put_right_is_said(world: World, files: dict[str, str | None], why: str) -> None:
    world.server.hub.push_files(NAME, files, "Break it")
    with pytest.raises(Unobservable, match=why):
        world.observe()


def test_rules_come_from_the_default_branch_or_not_at_all(world: World) -> None:
    hub = world.server.hub
    hub.push_files(NAME, {".github/pawl.yml": "loops: {}"}, "Mine", branch="pawl/demo/1")
    assert world.view.config() is not None
    hub.push_files(NAME, {".github/pawl.yml": "version: 1\nloop: {}\n"}, "Typing error")
    world.view.forget("refs")
    with pytest.raises(ConfigError, match=r"pawl\.yml:2:1"):
        world.view.config()
    hub.push_files(NAME, {".github/pawl.yml": None}, "No loops")
    world.view.forget("refs")
    assert world.view.config() is None


def test_more_than_the_one_file_is_an_objection(world: World) -> None:
    hub, client = world.server.hub, world.view.client
    files = {"loop/train.py": EDIT.content, "loop/program.md": "# Do as I say\n"}
    hub.push_files(NAME, files, "Cheat", branch="pawl/demo/1")
    client.post("pulls", {"title": "x", "head": "pawl/demo/1", "base": "main"})
    (experiment,) = world.observe().experiments
    assert experiment.objections == ("it touches loop/program.md; only loop/train.py may change",)


def test_an_edit_beyond_the_limits_is_an_objection(world: World) -> None:
    world.step()
    world.open(edit("0." + "1" * 500))
    (experiment,) = world.observe(fresh=True).experiments
    assert "a new line of" in experiment.objections[0]


def test_other_branches_and_other_loops_are_no_experiments(world: World) -> None:
    hub, client = world.server.hub, world.view.client
    for branch in ("pawl/demo/zero", "pawl/other/3", "feature", "pawl/demo/07"):
        hub.push_files(NAME, {"loop/train.py": EDIT.content}, "Edit", branch=branch)
        client.post("pulls", {"title": "x", "head": branch, "base": "main"})
    snapshot = world.observe()
    assert snapshot.experiments == ()
    assert snapshot.last_number == 0


def test_a_branch_without_a_pull_request_uses_up_its_number(world: World) -> None:
    world.server.hub.push_files(NAME, {"a": "b"}, "Left behind", branch="pawl/demo/4")
    assert world.observe().last_number == 4


def test_an_attempt_is_read_back_from_its_check_run(world: World) -> None:
    world.settle()
    world.open()
    action, _ = world.wanted(StartAttempt)
    world.step()
    attempt = world.observe(fresh=True).experiments[0].attempt
    assert attempt is not None
    assert attempt.request == action.request.model_copy(update={"check_run": attempt.check_run})
    assert attempt.job is not None
    assert (attempt.status, attempt.job.status, attempt.job.key) == ("queued", "queued", "1.1")


def test_the_first_job_of_an_attempt_is_the_one_that_counts(world: World) -> None:
    """Somebody starts the same measurement again, to roll the dice once more."""
    world.settle()
    world.open()
    world.step()
    attempt = world.observe().experiments[0].attempt
    assert attempt is not None
    assert attempt.job is not None
    inputs = {"title": f"pawl demo 1.1 {attempt.check_run}", "request": "{}"}
    world.view.client.post("actions/workflows/pawl.yml/dispatches", {"ref": "main", "inputs": inputs})
    again = world.observe(fresh=True).experiments[0].attempt
    assert again is not None
    assert again.job == attempt.job


def test_a_workflow_from_another_branch_is_no_job(world: World) -> None:
    """A candidate's branch brings its own workflow file, which could hand in any record."""
    world.settle()
    world.open()
    world.server.hub.faults.fail_before("POST", r"/dispatches$", status=500)
    with pytest.raises(Exception, match="500"):
        world.step()
    attempt = world.observe().experiments[0].attempt
    assert attempt is not None
    inputs = {"title": f"pawl demo 1.1 {attempt.check_run}", "request": "{}"}
    world.view.client.post("actions/workflows/pawl.yml/dispatches", {"ref": "pawl/demo/1", "inputs": inputs})
    again = world.observe(fresh=True).experiments[0].attempt
    assert again is not None
    assert again.job is None


def test_a_job_without_a_record_says_so(world: World) -> None:
    world.settle()
    world.open()
    world.step()
    job = world.worker.take()
    assert job is not None
    world.server.hub.service.complete_job(job["job_id"], "failure")
    attempt = world.observe(fresh=True).experiments[0].attempt
    assert attempt is not None
    assert attempt.job is not None
    assert attempt.job.record is None
    assert attempt.job.trouble == "the job ended without the artifact pawl-record (failure)"


def test_a_lost_job_is_followed_by_another_attempt(world: World) -> None:
    world.settle()
    world.open()
    world.step()
    job = world.worker.take()
    assert job is not None
    world.server.hub.service.complete_job(job["job_id"], "cancelled")
    world.view.forget("jobs")
    world.step()
    (experiment,) = world.observe(fresh=True).experiments
    assert experiment.attempt is not None
    assert (experiment.attempt.number, experiment.attempt.status) == (2, "queued")
    checks = world.api(f"commits/{experiment.head}/check-runs", filter="all")["check_runs"]
    assert {(check["external_id"], check["conclusion"]) for check in checks} == {
        ("1.1", "cancelled"),
        ("1.2", None),
    }


def test_a_command_is_heard_behind_more_comments_than_fit_on_a_page(world: World) -> None:
    """Everybody talks while Pawl is down. Afterwards one request is enough again."""
    world.step()
    hub, tracking = world.server.hub, world.observe().tracking
    assert tracking is not None
    repository, when = hub.repository(NAME), hub.now()

    def said(number: int, body: str) -> None:
        comment = {"body": body, "user": "octo", "created_at": when, "updated_at": when, "via_app": False}
        with hub.store.transaction():
            hub.store.add("comment", comment, repository["id"], number)

    said(tracking.number, "/pawl pause")
    for _ in range(230):
        said(tracking.number, "Hello")
    world.restart()
    assert [ask.text for ask in world.observe().asks] == ["/pawl pause"]
    world.view.forget_all()  # what a look does that fails before it has answered
    assert [ask.text for ask in world.observe().asks] == ["/pawl pause"]
    said(tracking.number, "/pawl help")
    before = len(world.requests())
    world.view.forget("comments")
    assert "/pawl help" in [ask.text for ask in world.observe().asks]
    asked = [each for each in world.requests()[before:] if each.endswith("/issues/comments")]
    assert len(asked) == 1


def test_the_stop_ref_is_seen(world: World) -> None:
    tip = world.tip("main")
    world.view.client.post("git/refs", {"ref": "refs/pawl/stop", "sha": tip})
    assert world.observe().stop


def test_a_tracking_issue_of_somebody_else_is_not_the_loops(world: World) -> None:
    world.settle()
    mine = world.observe().tracking
    assert mine is not None
    token = Token(world.server.hub.create_user("mallory"), api=world.server.api_url, pace=AT_ONCE)
    world.server.hub.add_collaborator(NAME, "mallory", "write")
    body = {"title": "Pawl: demo", "labels": ["pawl:tracking", "pawl:resume"]}
    token.repository(NAME).post("issues", body)
    assert world.observe(fresh=True).tracking == mine


def test_work_that_comes_back_as_anothers_is_not_made_again_and_again(world: World) -> None:
    """A token of another App than Pawl took it for: each look opened a tracking issue, and dispatched a job."""
    hub = world.server.hub
    token = hub.installations.token(hub.installations.of(hub.repository(NAME)), None, None)["key"]
    world.view = RepositoryView(Token(token, "somebody", world.server.api_url, AT_ONCE).repository(NAME))
    world.actor = Actor(world.view)
    for _ in range(3):
        with pytest.raises(Unobservable, match=r"set PAWL_APP_SLUG .* to pawl-local"):
            world.step()
        world.view.forget_all()
    (issue,) = hub.store.all("issue")
    assert (issue["number"], issue["state"]) == (1, "closed")
    world.restart()
    assert world.step(), "the right name is enough"


def test_a_server_that_says_of_no_check_run_whose_it_is_is_asked_for_one(world: World) -> None:
    """GitHub's description lets it be nobody's. Pawl did not know its own then, and a runner was sent job after job."""
    hub = world.server.hub
    of = hub.shapes.app
    hub.shapes.app = lambda actor="": None if actor else of()  # type: ignore[method-assign, assignment, return-value]
    for _ in range(3):
        with pytest.raises(Unobservable, match="belongs to no App"):
            world.step()
        world.view.forget_all()
    (check,) = hub.store.all("check_run")
    assert (check["status"], check["conclusion"]) == ("completed", "cancelled")
    assert hub.store.all("run") == []


def test_who_closed_it_is_told(world: World) -> None:
    world.settle()
    world.open()
    world.view.client.patch("issues/2", {"state": "closed"})
    (experiment,) = world.observe(fresh=True).experiments
    assert (experiment.open, experiment.merged, experiment.ended_by) == (False, False, "pawl-local[bot]")


def test_an_opening_that_died_before_its_edit_takes_no_number_though_the_base_moves(world: World) -> None:
    """A server that was killed there while another experiment merged left a branch for ever, and a number short."""
    world.settle()
    before = world.tip("main")
    world.to_measured(gain=0.1)
    world.view.client.post("git/refs", {"ref": "refs/heads/pawl/demo/2", "sha": before})
    world.step()
    assert (world.ledger()[-1]["outcome"], world.tip("main") != before) == ("merged", True)
    assert world.observe(fresh=True).last_number == 1


def test_a_concluded_experiment_that_is_reopened_stays_concluded(world: World) -> None:
    world.settle()
    world.to_measured()
    world.step()
    assert world.ledger()[-1]["kind"] == "outcome"
    head = world.api("pulls/2")["head"]["sha"]
    world.view.client.post("git/refs", {"ref": "refs/heads/pawl/demo/1", "sha": head})
    world.view.client.patch("issues/2", {"state": "open"})
    snapshot = world.observe(fresh=True)
    assert (snapshot.experiments, snapshot.last_number) == ((), 1)


def test_a_ledger_that_somebody_edited_is_refused(world: World) -> None:
    world.settle()
    text = world.file("pawl/ledger", f"{LOOP}/ledger-0001.jsonl").replace('"ok":true', '"ok":false')
    world.to_measured()
    world.step()
    later = world.file("pawl/ledger", f"{LOOP}/ledger-0001.jsonl").splitlines(keepends=True)
    hub = world.server.hub
    hub.push_files(
        NAME, {f"{LOOP}/ledger-0001.jsonl": text + "".join(later[2:])}, "Forge", branch="pawl/ledger"
    )
    world.view.forget_all()
    with pytest.raises(LedgerError, match="line 3 does not follow line 2"):
        world.observe()


def test_reading_history_is_incremental(world: World) -> None:
    world.settle()
    world.to_measured()
    world.step()
    world.restart()
    world.observe()
    before = len(world.requests())
    world.observe(fresh=True)
    assert not [line for line in world.requests()[before:] if "/git/trees/" in line or "/git/blobs/" in line]


def test_two_pawls_cannot_write_the_same_line(world: World) -> None:
    """Each looks, then one is faster: the other writes nothing and looks again."""
    world.settle()
    world.to_measured()
    other, other_actor = world.view, world.actor
    world.observe()
    world.restart()
    world.step()
    lines = world.ledger()
    faster = world.view
    world.view, world.actor = other, other_actor
    with pytest.raises(Moved):
        world.step()
    assert world.ledger() == lines
    world.step()
    assert world.observe().ledger == faster.ledger.lines(LOOP)


class Shelf:
    """A store of objects."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def get(self, sha: str) -> bytes | None:
        return self.kept.get(sha)

    def put(self, sha: str, data: bytes) -> None:
        self.kept[sha] = data


def test_objects_outlive_the_process_where_a_store_is_given(world: World) -> None:
    shelf, tip = Shelf(), world.tip("main")
    assert tip is not None
    first = Objects(world.view.client, shelf)
    commit = first.commit(tip)
    entries = first.entries(commit.tree)
    text = first.blob(entries[-1].sha)
    before = len(world.requests())
    second = Objects(world.view.client, shelf)
    assert (second.commit(tip), second.entries(commit.tree)) == (commit, entries)
    assert second.blob(entries[-1].sha) == text
    assert len(world.requests()) == before


def test_no_branch_of_a_persons_makes_numbers_that_pawl_does_not_know_again(world: World) -> None:
    """An experiment's number has nine digits at most. Whoever may push one branch to the last of them had every further
    experiment opened under a name that is none, so that no look ever saw it."""
    world.server.hub.push_files(NAME, {"a": "b"}, "Far away", branch=f"pawl/{LOOP}/999999999")
    world.step()
    number = world.open()
    assert number == 1
    assert [each.number for each in world.observe(fresh=True).experiments] == [1]
