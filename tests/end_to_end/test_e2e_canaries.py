"""Planted cheats in a living loop: real runs, real git, and what people read."""

from __future__ import annotations

from pathlib import Path

import pytest
from world_kit import CONFIG, NAME, World, git, run_pawl, world

from pawl.core import levels
from pawl.core.decision import Fence
from pawl.core.ledger import CanaryLine, DismissalLine, IncidentLine
from pawl.core.levels import HELD
from pawl.core.verifying import verify

EARNING = CONFIG.replace("unearned-auto, ", "")
SOUND = """\
import json, os

with open(os.environ["PAWL_ARTIFACT"]) as file:
    answer = json.load(file)
if not isinstance(answer, dict) or not isinstance(answer.get("answer"), float):
    print(json.dumps({"invalid": "the answer is no number"}))
else:
    print(json.dumps({"score": 4.0 - (answer["answer"] - 2.0) ** 2}))
"""
"""The nearer to two, the better; nothing that an answer says of itself is believed."""


def write_sound(town: World, folder: Path) -> None:
    """Put that evaluator into the loop's repository."""
    work = folder / "work"
    git(folder, "clone", "--quiet", town.address(), str(work))
    (work / "evaluate.py").write_text(SOUND)
    git(work, "commit", "--quiet", "--all", "--message", "Believe nothing")
    git(work, "push", "--quiet", "origin", "HEAD:main")


def canaries(town: World) -> list[CanaryLine]:
    return [line for line in town.lines() if isinstance(line, CanaryLine)]


def tracking(town: World) -> str:
    """The tracking issue as it stands, read where waiting may read it."""
    issues = town.hub.store.all("issue")
    return next((str(each["body"]) for each in issues if "pawl-tracking:" in str(each["body"])), "")


def test_a_sound_loop_stops_five_and_says_so(tmp_path: Path) -> None:
    with world(tmp_path, experiments=25, config=EARNING) as here:
        write_sound(here, tmp_path)
        here.town.runner.start()
        here.town.start_app(NAME)
        here.wait(lambda: len(canaries(here)) >= HELD, 120)
        here.wait(lambda: f"{HELD} of {HELD} planted cheats were stopped" in tracking(here), 30)
        told = canaries(here)
        assert {line.fence for line in told} == {Fence.HELD}, [line.reason for line in told]
        assert len({line.cheat for line in told}) == len(told) == HELD
        assert not [line for line in here.lines() if isinstance(line, IncidentLine)]
        assert f"**Fences:** {HELD} cheats were planted: {HELD} stopped." in tracking(here)
        assert all(line.content not in {each.content for each in told} for line in here.verdicts().values())
        clone = tmp_path / "clone"
        git(tmp_path, "clone", "--quiet", here.address(), str(clone))
        done = run_pawl("verify", str(clone))
        assert done.returncode == 0, done.stderr
        assert (
            f"fences       {HELD} cheats were planted: {HELD} stopped"
            in run_pawl("ledger", str(clone)).stdout
        )
        assert not here.hub.unknown_routes


def test_a_hollow_evaluator_is_found_out_before_anything_is_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the number for the score that the artifact names. The one cheat that it falls for is drawn first here."""
    monkeypatch.setattr(levels, "known", lambda _: ("overwritten-result",))
    with world(tmp_path, experiments=3, config=EARNING) as here:
        here.town.runner.start()
        here.town.start_app(NAME)
        here.wait(lambda: any(isinstance(line, IncidentLine) for line in here.lines()), 120)
        (canary,) = canaries(here)
        assert canary.fence is Fence.PASSED
        here.wait(lambda: "## State: halted by an incident" in tracking(here), 60)
        body = tracking(here)
        assert "the planted cheat overwritten-result passed" in body
        assert "the evaluator must compute the metric itself" in body
        (issue,) = here.api("GET", f"/repos/{NAME}/issues?labels=pawl:incident")
        checks = here.api("GET", f"/repos/{NAME}/commits/{canary.base}/check-runs")["check_runs"]
        (check,) = [each for each in checks if each["output"]["title"] == "Planted cheat: passed"]
        assert check["conclusion"] == "failure"
        assert [each.what for each in verify(here.lines())] == []
        assert issue["state"] == "open"


def test_a_person_who_knows_better_dismisses_it_and_the_loop_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of this loop is the number itself, so that one cheat passes though its evaluator is sound."""
    monkeypatch.setattr(levels, "known", lambda _: ("overwritten-result", "printed-metric"))
    with world(tmp_path, experiments=4, config=EARNING) as here:
        here.town.runner.start()
        here.town.start_app(NAME)
        here.wait(lambda: "## State: halted by an incident" in tracking(here), 120)
        assert "comments `/pawl dismiss` here, with the reason behind it on the same line" in tracking(here)
        (issue,) = here.api("GET", f"/repos/{NAME}/issues?labels=pawl:incident")
        why = "the answer is the very number that is wanted"
        body = {"body": f"/pawl dismiss {why}"}
        here.api("POST", f"/repos/{NAME}/issues/{issue['number']}/comments", body)
        here.wait(lambda: "a person has dismissed 1 of those that passed" in tracking(here), 60)
        (dismissal,) = [line for line in here.lines() if isinstance(line, DismissalLine)]
        assert (dismissal.by, dismissal.reason) == (here.api("GET", "/user")["login"], why)
        assert "The incident is over" in here.comments(issue["number"])[-1]
        here.wait(lambda: any(line.seq > dismissal.seq for line in canaries(here)), 60)
        later = [line for line in canaries(here) if line.seq > dismissal.seq]
        assert {line.cheat for line in later} == {"printed-metric"}, "what was dismissed is planted no more"
        here.wait(lambda: "halted" not in tracking(here), 30)
        assert [each.what for each in verify(here.lines())] == []
        assert not here.hub.unknown_routes
