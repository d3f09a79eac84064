"""Experiments from their opening to their end, against a hub, with every request counted."""

from __future__ import annotations

import pytest
from github_kit import EDIT, LOOP, NAME, World, edit

from pawl.core.chain import check_chain, parse_lines
from pawl.core.measurement import RunStatus
from pawl.core.snapshot import Snapshot
from pawl.github.experiments import Opening


def fresh(world: World) -> Snapshot:
    """The same loop through the eyes of a Pawl that knows nothing yet."""
    before = world.view, world.actor
    world.restart()
    try:
        return world.observe()
    finally:
        world.view, world.actor = before


def test_a_dropped_experiment_costs_at_most_twenty_requests(world: World) -> None:
    """With the next experiment opened ahead, as in normal operation, so that the outcome rides with the next verdict.

    Looks once read the record of every closed experiment again whose outcome was still to be written: four requests more.
    """
    world.settle()
    world.open(edit("0.1"))
    world.step()
    for text in ("0.2", "0.3", "0.4"):
        before = len(world.requests())
        job = world.worker.take()
        assert job is not None
        world.view.forget("jobs")  # as its webhook has it
        world.step()
        world.open(edit(text))
        world.worker.finish(job)
        world.view.forget("jobs")
        world.step()
        used = world.requests()[before:]
        # The opening of one, the start of one, the end of one: what an experiment costs in the long run.
        assert len(used) <= 20, used
    assert [line["kind"] for line in world.ledger()].count("verdict") == 3


def test_a_dropped_experiment_is_closed_with_its_verdict(world: World) -> None:
    world.settle()
    world.to_measured(gain=-0.1)
    world.step()
    pull = world.api("pulls", state="all")[0]
    assert (pull["state"], pull["merged_at"]) == ("closed", None)
    assert {label["name"] for label in pull["labels"]} == {"pawl", "pawl:discard"}
    assert len(world.comments(pull["number"])) == 1
    (check,) = world.api(f"commits/{pull['head']['sha']}/check-runs")["check_runs"]
    assert (check["name"], check["status"], check["conclusion"]) == ("pawl/demo", "completed", "neutral")
    assert world.tip("pawl/demo/1") is None
    outcome = world.ledger()[-1]
    assert (outcome["kind"], outcome["outcome"], outcome["by"]) == ("outcome", "closed", "pawl-local[bot]")


def test_a_keep_is_fast_forwarded_to_what_was_measured(world: World) -> None:
    world.settle()
    base = world.tip("main")
    world.to_measured(gain=0.1)
    world.step()
    tip = world.tip("main")
    assert tip is not None
    commit = world.api(f"git/commits/{tip}")
    assert [parent["sha"] for parent in commit["parents"]] == [base]
    assert "[skip ci]" not in commit["message"]
    assert world.file("main") == EDIT.content
    pull = world.api("pulls", state="all")[0]
    assert pull["merged_at"] is not None
    assert pull["head"]["sha"] == tip
    assert {label["name"] for label in pull["labels"]} == {"pawl", "pawl:keep"}
    (check,) = world.api(f"commits/{tip}/check-runs")["check_runs"]
    assert (check["name"], check["conclusion"]) == ("pawl/demo", "success")
    assert world.tip("pawl/demo/1") is None
    assert (world.ledger()[-1]["outcome"], world.ledger()[-1]["commit"]) == ("merged", tip)


def test_what_pawl_believes_is_what_is_there(quick_world: World) -> None:
    """Every write is carried into the view; a look from scratch must see the same."""
    world = quick_world
    world.settle()
    assert world.observe() == fresh(world)
    for gain, text in ((0.0, "0.3"), (0.1, "0.4")):
        world.open(edit(text))
        assert world.observe() == fresh(world)
        world.step()
        assert world.observe() == fresh(world)
        job = world.worker.take()
        assert job is not None
        world.view.forget("jobs")
        world.step()
        assert world.observe() == fresh(world)
        world.worker.gain = gain
        world.worker.finish(job)
        world.view.forget("jobs")
        world.step()
        assert world.observe() == fresh(world)


WRITES = {
    "open": (
        ("POST", r"/git/refs$"),
        ("PUT", r"/contents/"),
        ("POST", r"/pulls$"),
        ("POST", r"/labels$"),
    ),
    "start": (("POST", r"/check-runs$"), ("POST", r"/dispatches$")),
    "measuring": (("PATCH", r"/check-runs/"),),
    "dropped": (
        ("POST", r"/git/trees$"),
        ("POST", r"/git/commits$"),
        ("PATCH", r"/git/refs/heads/pawl/ledger$"),
        ("PATCH", r"/check-runs/"),
        ("POST", r"/comments$"),
        ("PATCH", r"/issues/"),
        ("DELETE", r"/git/refs/"),
    ),
    "kept": (
        ("PATCH", r"/git/refs/heads/pawl/ledger$"),
        ("POST", r"/comments$"),
        ("PATCH", r"/git/refs/heads/pawl/demo/"),
        ("POST", r"/check-runs$"),
        ("PATCH", r"/issues/"),
        ("PATCH", r"/git/refs/heads/main$"),
        ("DELETE", r"/git/refs/"),
    ),
}


@pytest.mark.parametrize("restarted", [False, True], ids=["goes on", "starts anew"])
@pytest.mark.parametrize("ending", ["dropped", "kept"])
def test_an_answer_lost_at_any_write_changes_nothing(
    quick_world: World, ending: str, restarted: bool
) -> None:
    """One experiment after the other loses the answer to another one of its writes, which had its effect."""
    world = quick_world
    world.settle()
    faults = world.server.hub.faults
    cases = [(stage, *write) for stage in ("open", "start", "measuring", ending) for write in WRITES[stage]]
    for count, (stage, method, pattern) in enumerate(cases, start=1):
        case = f"{stage} {method} {pattern}"
        change = edit(f"0.{count:03}1")
        snapshot = world.observe()
        number = snapshot.last_number + 1

        def lose(now: str, doing: str = stage, method: str = method, pattern: str = pattern) -> None:
            if now == doing:
                faults.fail_after(method, pattern, status=500)

        def insist(now: str, do: object, doing: str = stage) -> None:
            assert callable(do)
            if now != doing:
                do()
                return
            with pytest.raises(Exception, match="500"):
                do()
            if restarted:
                world.restart()
            do()

        def open_it(number: int = number, change: object = change, base: str = snapshot.base.sha) -> None:
            world.actor.open_experiment(Opening(LOOP, world.rules, number, change, base))  # type: ignore[arg-type]

        lose("open")
        insist("open", open_it)
        lose("start")
        insist("start", world.step)
        job = world.worker.take()
        assert job is not None, case
        world.view.forget("jobs")
        lose("measuring")
        insist("measuring", world.step)
        world.worker.gain = 0.2 if ending == "kept" else -0.2
        world.worker.finish(job)
        world.view.forget("jobs")
        lose(ending)
        insist(ending, world.step)
        faults.clear()
        _check_one_of_everything(world, number, change.content, ending, case)
        if ending == "kept":
            world.worker.level -= world.worker.gain
        world.settle()


def _check_one_of_everything(world: World, number: int, content: str, ending: str, case: str) -> None:
    hub = world.server.hub
    repo = hub.repository(NAME)
    branch = f"pawl/demo/{number}"
    pulls = [item for item in world.api("pulls", state="all", per_page=100) if item["head"]["ref"] == branch]
    assert len(pulls) == 1, case
    pull = pulls[0]
    assert pull["state"] == "closed", case
    assert len(world.comments(pull["number"])) == 1, case
    checks = world.api(f"commits/{pull['head']['sha']}/check-runs", filter="all")["check_runs"]
    mine = [check["status"] for check in checks if check["external_id"] == f"{number}.1"]
    assert mine == ["completed"], case  # a calibration of the base that it became has one of its own
    titles = [run["display_title"] for run in hub.store.all("run", repo["id"])]
    assert len(titles) == len(set(titles)), case
    keys = [line["key"] for line in world.ledger()]
    assert len([key for key in keys if key.startswith(f"verdict:{number}:")]) == 1, case
    text = world.file("pawl/ledger", f"{LOOP}/ledger-0001.jsonl")
    check_chain(parse_lines(text, "ledger"))
    assert world.tip(branch) is None, case
    assert bool(pull["merged_at"]) == (ending == "kept"), case
    assert (world.file("main") == content) == (ending == "kept"), case


def test_a_crash_is_closed_as_one(world: World) -> None:
    world.settle()
    world.worker.status = RunStatus.CRASH
    world.to_measured()
    world.step()
    pull = world.api("pulls", state="all")[0]
    assert "pawl:crash" in {label["name"] for label in pull["labels"]}
    (check,) = world.api(f"commits/{pull['head']['sha']}/check-runs")["check_runs"]
    assert check["conclusion"] == "failure"
