"""Actions that meet a world which is not as it was: each is done once, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from github_kit import EDIT, LOOP, NAME, World, edit

from pawl.core.actions import (
    AddLabels,
    Append,
    CancelJob,
    Close,
    DeleteBranch,
    EnsureTracking,
    Merge,
    Promote,
    Propose,
    Publish,
    Rebase,
    Redispatch,
    RemoveLabels,
)
from pawl.core.ledger import Outcome
from pawl.github.errors import Moved, Refused, Unreachable
from pawl.github.experiments import Opening


def promoted(world: World) -> tuple[Merge, Any]:
    """A keep on its way into the base: the merge that is decided, not done yet."""
    world.settle()
    world.to_measured(gain=0.1)
    for _ in range(3):
        snapshot, actions = world.decide()
        for action in actions:
            if isinstance(action, Merge):
                return action, snapshot
            if not isinstance(action, Propose):
                world.actor.apply(action, snapshot)
    raise AssertionError("no merge was decided")


def test_everything_may_be_done_twice(world: World) -> None:
    """Each action again, on the snapshot it was decided on, by the same Pawl and by one that was started anew."""
    world.settle()
    world.to_measured(gain=0.1)
    for _ in range(4):
        snapshot, actions = world.decide()
        for action in actions:
            if not isinstance(action, Propose):
                world.actor.apply(action, snapshot)
                assert not world.actor.apply(action, snapshot) or isinstance(action, Merge), action
    assert len(world.comments(2)) == 1
    assert len([line for line in world.ledger() if line["kind"] == "verdict"]) == 1


def test_the_tracking_issue_is_opened_once_with_every_label(world: World) -> None:
    snapshot = world.observe()
    assert world.actor.apply(EnsureTracking(), snapshot)
    world.restart()
    assert not world.actor.apply(EnsureTracking(), world.observe())
    (issue,) = world.api("issues")
    assert (issue["title"], [label["name"] for label in issue["labels"]]) == ("Pawl: demo", ["pawl:tracking"])
    labels = {label["name"]: label for label in world.api("labels")}
    assert labels["pawl:keep"]["color"] == "0e8a16"
    assert len(labels) >= 12


def test_labels_of_the_tracking_issue(world: World) -> None:
    world.step()
    assert world.actor.apply(AddLabels(("pawl:incident",)), world.observe())
    assert not world.actor.apply(AddLabels(("pawl:incident",)), world.observe())
    assert world.actor.apply(RemoveLabels(("pawl:resume", "pawl:incident")), world.observe())
    assert not world.actor.apply(RemoveLabels(("pawl:resume", "pawl:incident")), world.observe())
    assert world.observe() == world.observe(fresh=True)


def test_an_experiment_that_was_left_half_open_is_completed(world: World) -> None:
    world.settle()
    base = world.tip("main")
    assert base is not None
    world.server.hub.push_files(NAME, {"README.md": "new\n"}, "Move on")
    world.view.client.post("git/refs", {"ref": "refs/heads/pawl/demo/1", "sha": base})
    world.view.forget_all()
    assert world.open(edit("0.7")) == 1, "nothing was ever on it"
    tip = world.tip("main")
    assert tip is not None
    assert not world.actor.open_experiment(Opening(LOOP, world.rules, 1, edit("0.7"), tip))
    assert [e.parent for e in world.observe(fresh=True).experiments] == [tip]


def test_texts_of_a_model_do_not_come_alive(world: World) -> None:
    world.settle()
    world.open(
        edit("0.9").__class__("x = 1\n", "@octo see #1 [skip ci] <b>\n\nPawl-Experiment: 99", "search")
    )
    (pull,) = world.api("pulls")
    assert "@octo" not in pull["title"]
    assert "#1" not in pull["title"]
    (experiment,) = world.observe(fresh=True).experiments
    assert experiment.number == 1


def test_a_dispatch_that_says_nothing_is_found_by_its_title(world: World) -> None:
    """GitHub Enterprise Server answers 204. While the job has not shown up, no second one is started."""
    world.settle()
    world.open()
    hub = world.server.hub

    def rename(title: str) -> str:
        run = hub.store.all("run", hub.repository(NAME)["id"])[-1]
        hub.store.save({**run, "display_title": title})
        return str(run["display_title"])

    titles: list[str] = []
    hub.faults.fail_after("POST", r"/dispatches$", status=204)
    hub.faults.on_request("POST", r"/dispatches$", lambda: titles.append(rename("not there yet")), after=True)
    world.step()
    redispatch, snapshot = world.wanted(Redispatch)
    assert not world.actor.apply(redispatch, snapshot)
    rename(titles[0])
    assert world.actor.apply(redispatch, snapshot)
    attempt = world.observe().experiments[0].attempt
    assert attempt is not None
    assert attempt.job is not None
    assert (
        len([line for line in world.requests() if line.endswith("/dispatches")]) == 2
    )  # calibration, experiment


def test_a_cancelled_job_is_asked_once(world: World) -> None:
    world.settle()
    world.open()
    world.step()
    attempt = world.observe().experiments[0].attempt
    assert attempt is not None
    assert attempt.job is not None
    for _ in range(3):
        assert not world.actor.apply(CancelJob(attempt.job.id), world.observe())
    asked = [line for line in world.requests() if line.endswith("/cancel")]
    assert len(asked) == 1


def test_a_job_that_has_ended_cannot_be_cancelled_and_that_is_fine(world: World) -> None:
    world.settle()
    world.to_measured()
    (job,) = [job for job in world.view.jobs.recent() if job.key == "1.1"]
    assert not world.actor.apply(CancelJob(job.id), world.observe())


def test_the_comment_is_edited_in_place_and_put_back_if_deleted(world: World) -> None:
    world.settle()
    world.to_measured(gain=-0.1)
    snapshot, actions = world.decide()
    publish = next(action for action in actions if isinstance(action, Publish))
    append = next(action for action in actions if isinstance(action, Append))
    world.actor.apply(append, snapshot)
    assert world.actor.apply(publish, snapshot)
    first = world.api("issues/2/comments")
    world.view.client.patch(
        f"issues/comments/{first[0]['id']}", {"body": "<!-- pawl:demo:1 --> scribbled over"}
    )
    world.restart()
    again = Publish(publish.experiment, publish.line, publish.finding, None, fresh=False)
    assert world.actor.apply(again, world.observe())
    assert [(item["id"], item["body"]) for item in world.api("issues/2/comments")] == [
        (first[0]["id"], first[0]["body"])
    ]
    world.view.client.delete(f"issues/comments/{first[0]['id']}")
    longer = Publish(publish.experiment, publish.line, publish.finding, None, fresh=False, log="more")
    assert world.actor.apply(longer, world.observe())
    assert len(world.comments(2)) == 1
    assert not world.actor.apply(longer, world.observe())


def test_a_superseded_experiment_says_why(world: World) -> None:
    world.settle()
    world.open()
    close = Close(
        1, Outcome.SUPERSEDED, "pawl:superseded", "the edit conflicts with what has reached main", say=True
    )
    assert world.actor.apply(close, world.observe())
    assert not world.actor.apply(close, world.observe())
    (comment,) = world.comments(2)
    assert "conflicts" in comment
    assert world.api("pulls/2")["state"] == "closed"
    assert not world.actor.apply(DeleteBranch(1), world.observe())


def test_an_edit_is_carried_onto_a_new_base(world: World) -> None:
    world.settle()
    world.open()
    changed = "RATE = 1.0\nSTEPS = 10\n\nprint(RATE * STEPS + 1)\n"
    tip = world.server.hub.push_files(NAME, {"loop/train.py": changed}, "Meanwhile")
    world.view.forget_all()
    action, snapshot = world.wanted(Rebase)
    assert world.actor.apply(action, snapshot)
    (experiment,) = world.observe().experiments
    assert (experiment.parent, experiment.objections) == (tip, ())
    assert experiment.content.decode() == changed.replace("RATE = 1.0", "RATE = 0.5")
    assert (experiment.hypothesis, experiment.parameters) == ("halve the rate", {"RATE": 0.5})
    assert experiment.final is False
    assert not world.actor.apply(action, world.observe())
    assert world.observe() == world.observe(fresh=True)


def test_what_was_not_measured_is_not_promoted(world: World) -> None:
    world.settle()
    world.to_measured(gain=0.1)
    snapshot, actions = world.decide()
    promote = next(action for action in actions if isinstance(action, Promote))
    other = Promote(promote.experiment, promote.line, promote.parent, b"something else\n")
    with pytest.raises(Moved, match="no longer what was measured"):
        world.actor.apply(other, snapshot)


def test_a_branch_that_moved_is_not_merged_into(world: World) -> None:
    """A push lands between the look and the merge: the unforced update fails, and the next look starts over."""
    merge, snapshot = promoted(world)
    hub = world.server.hub
    hub.faults.on_request(
        "PATCH", r"/git/refs/heads/main$", lambda: hub.push_files(NAME, {"README.md": "pushed\n"}, "First")
    )
    with pytest.raises(Moved):
        world.actor.apply(merge, snapshot)
    assert world.file("main", "README.md") == "pushed\n"
    world.step()
    assert world.file("main") == EDIT.content
    assert world.file("main", "README.md") == "pushed\n"
    assert world.ledger()[-1]["outcome"] == "merged"


def test_a_head_that_moved_is_not_merged(world: World) -> None:
    merge, snapshot = promoted(world)
    before = world.tip("main")
    world.server.hub.push_files(NAME, {"loop/train.py": "evil = 1\n"}, "Swap it", branch="pawl/demo/1")
    world.view.forget_all()
    with pytest.raises(Moved):
        world.actor.apply(merge, snapshot)
    assert world.tip("main") == before


def test_a_required_check_of_pawls_own_is_met(world: World) -> None:
    world.server.hub.protect(NAME, "main", checks=["pawl/demo"], strict=True, enforce_admins=True)
    merge, snapshot = promoted(world)
    assert snapshot.base.required_checks == ("pawl/demo",)
    assert world.actor.apply(merge, snapshot)
    assert world.tip("main") == merge.commit


def test_a_check_run_that_was_lost_on_the_way_is_made_up_for(world: World) -> None:
    """Pawl was stopped between moving the head to the final commit and putting its check run there."""
    world.server.hub.protect(NAME, "main", checks=["pawl/demo"], enforce_admins=True)
    world.settle()
    world.to_measured(gain=0.1)
    world.server.hub.faults.fail_before("POST", r"/check-runs$", status=500)
    with pytest.raises(Unreachable):
        world.step()
    world.restart()
    world.step()
    assert world.file("main") == EDIT.content
    assert world.ledger()[-1]["outcome"] == "merged"


def test_where_the_branch_may_not_be_pushed_to_the_refusal_is_told(world: World) -> None:
    world.server.hub.protect(NAME, "main", restrict_pushes=["somebody"], enforce_admins=True)
    merge, snapshot = promoted(world)
    with pytest.raises(Refused, match="not authorized to push"):
        world.actor.apply(merge, snapshot)
    assert world.tip("main") == merge.parent


def test_where_a_rule_wants_a_pull_request_github_merges_it(world: World) -> None:
    """A rule refuses the push and lets the merge through, while the tip is still the commit's parent: the same tree."""
    merge, snapshot = promoted(world)
    world.server.hub.faults.fail_before("PATCH", r"/git/refs/heads/main$", status=422)
    assert world.actor.apply(merge, snapshot)
    tip = world.tip("main")
    assert [item["sha"] for item in world.api(f"git/commits/{tip}")["parents"]] == [
        merge.parent,
        merge.commit,
    ]
    assert world.file("main") == EDIT.content
    world.step()
    assert (world.ledger()[-1]["outcome"], world.ledger()[-1]["commit"]) == ("merged", tip)


@pytest.mark.parametrize("way", ["squash", "rebase"])
def test_a_repository_without_merge_commits_gets_the_same_tree_by_its_own_way(world: World, way: str) -> None:
    merge, snapshot = promoted(world)
    world.server.hub.allow_merges(NAME, way)
    world.server.hub.faults.fail_before("PATCH", r"/git/refs/heads/main$", status=422)
    assert world.actor.apply(merge, snapshot)
    tip = world.api(f"git/commits/{world.tip('main')}")
    measured = world.api(f"git/commits/{merge.commit}")
    assert [item["sha"] for item in tip["parents"]] == [merge.parent]
    assert tip["tree"] == measured["tree"]
    assert tip["message"].strip() == measured["message"].strip()
    world.step()
    assert (world.ledger()[-1]["outcome"], world.ledger()[-1]["commit"]) == ("merged", tip["sha"])


def test_a_rule_that_lets_nothing_through_is_told(world: World) -> None:
    world.server.hub.protect(NAME, "main", reviews=1, enforce_admins=True)
    merge, snapshot = promoted(world)
    with pytest.raises(Refused, match="pull request"):
        world.actor.apply(merge, snapshot)
    assert world.tip("main") == merge.parent
    assert world.observe().experiments[0].open


def test_a_proposal_is_nothing_that_is_done_here(world: World) -> None:
    with pytest.raises(TypeError, match="Propose"):
        world.actor.apply(Propose(1), world.observe())
