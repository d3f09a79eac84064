"""The loop without a server, executed job by job as GitHub's runner would."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from action.act_kit import CHECKOUT, USES, Act
from action.stranger import NAME, SECRETS, Stranger
from pawl.core.decision import Verdict
from pawl.core.ledger import Outcome
from pawl.localhub import HubServer

pytestmark = pytest.mark.timeout(600)


def test_a_stranger_starts_it_once_and_a_better_edit_is_merged(hub_server: HubServer, tmp_path: Path) -> None:
    """Propose, measure, conclude and the next dispatch, each in a job with its own token, until nothing is left to do."""
    stranger = Stranger(hub_server)
    act = Act(hub_server, tmp_path / "act", SECRETS)
    act.environment["PAWL_ALLOW_COMMANDS"] = "1"
    stranger.dispatch()
    done = act.work_all()
    assert [job.log for job in done if job.conclusion != "success"] == []
    assert "STEP = 2.0" in stranger.file("solver/tune.py")
    assert [line.verdict for line in stranger.verdicts()] == [Verdict.KEEP]
    assert [line.outcome for line in stranger.outcomes()] == [Outcome.MERGED]

    concluded = next(job for job in done if job.outputs.get("verdict") == "keep" and job.name == "conclude")
    assert concluded.outputs["experiment"] == "1"
    assert float(concluded.outputs["metric"]) > float(concluded.outputs["baseline"])
    assert "higher (better)" in concluded.outputs["effect"]
    assert concluded.outputs["pull-request"].isdecimal()
    assert "## ✅ Keep: score" in concluded.summary
    measured = next(job for job in done if job.name == "measure" and job.outputs["experiment"] == "1")
    assert "::group::Measuring tune 1.1" in measured.log
    assert "| seal" in measured.summary
    assert measured.outputs["record"].endswith("/record.json")

    # Nothing more happens, and a look by the schedule changes nothing.
    before = stranger.tip("pawl/ledger")
    stranger.dispatch()
    assert [job.conclusion for job in act.work_all()] == ["success", "success"]
    assert stranger.tip("pawl/ledger") == before


def test_without_the_setting_the_edit_is_kept_and_the_person_told(
    hub_server: HubServer, tmp_path: Path
) -> None:
    stranger = Stranger(hub_server)
    hub_server.hub.let_actions_open_pulls(NAME, False)
    act = Act(hub_server, tmp_path / "act", SECRETS)
    act.environment["PAWL_ALLOW_COMMANDS"] = "1"
    stranger.dispatch()
    done = act.work_all(12)
    failed = [job for job in done if job.conclusion != "success"]
    assert {job.name for job in failed} == {"conclude"}
    assert "may not open pull requests here. Allow it under Settings" in failed[0].log
    assert stranger.verdicts() == []


CHECK = f"""\
name: Check
on: workflow_dispatch
jobs:
  check:
    runs-on: ubuntu-latest
    permissions:
      contents: read
    steps:
      - uses: {CHECKOUT}
      - uses: {USES}
        with:
          command: check
"""


def test_the_action_installs_itself_where_only_python_is(hub_server: HubServer, tmp_path: Path) -> None:
    """A second job finds what the first one made. The finding is at its line, in the file that a person has to mend."""
    stranger = Stranger(hub_server)
    broken = "version: 1\nloops:\n  tune:\n    edit: 7\n"
    stranger.push({".github/pawl.yml": broken, ".github/workflows/pawl.yml": CHECK})
    act = Act(hub_server, tmp_path / "act", {})
    # pip's own settings, so that packages may come from wherever this machine has them.
    act.environment = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    jobs = []
    for _ in range(2):
        stranger.dispatch()
        jobs += act.work_all()
    first, second = jobs
    assert first.conclusion == second.conclusion == "failure"
    assert "::group::Installing Pawl" in first.log
    assert "::error file=.github/pawl.yml,line=4::" in first.log
    assert "::group::Installing Pawl" not in second.log
    assert "::error file=.github/pawl.yml,line=4::" in second.log
