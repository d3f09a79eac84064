"""How an edit was made: told by its pull request and its commit, read back, and kept through a keep."""

from __future__ import annotations

from github_kit import EDIT, World

from pawl.github.experiments import Opening, open_experiment
from pawl.messages.pull_requests import Made

MODELS = ("claude-sonnet-4-5@20250929", "small-1")
MADE = Made(
    MODELS, 3, 900, 0, 50, 0.02, 7.0, ("evaluate.py was dropped",), "agent: done", "refs/pawl/traces/demo/1"
)


def opened(world: World, made: Made = MADE) -> None:
    world.settle()
    opening = Opening("demo", world.rules, 1, EDIT, world.tip("main") or "", made)
    assert open_experiment(world.view, opening)


def test_an_opened_experiment_tells_who_made_it_at_what_cost(world: World) -> None:
    opened(world)
    (pull,) = world.api("pulls")
    for told in (
        "3 requests, 900 tokens in, 50 out, for $0.02, in 7s",
        "was dropped",
        "agent: done",
        MADE.stored,
    ):
        assert told in pull["body"]
    assert world.observe(fresh=True).experiments[0].models == MODELS


def test_the_models_stay_with_an_experiment_and_reach_its_verdict(world: World) -> None:
    opened(world)
    world.step()
    world.worker.work()
    world.view.forget("jobs")
    world.step()
    (line,) = [line for line in world.ledger() if line["kind"] == "verdict"]
    assert tuple(line["models"]) == MODELS
