"""From the Action to the App, and back: the ledger goes on, and nothing is migrated."""

from __future__ import annotations

from pathlib import Path

import pytest

from action.act_kit import USES
from action.job_kit import EDIT, Jobs, handover
from action.stranger import CONFIG, NAME
from pawl.commands.step import Round, run_step
from pawl.core.decision import Verdict
from pawl.core.verifying import verify
from pawl.localhub import HubServer
from pawl.messages.scaffold import loop_workflow, workflow

WORKFLOW = ".github/workflows/pawl.yml"


class App:
    """The App on the same repository, which looks when it is told to."""

    def __init__(self, jobs: Jobs, folder: Path) -> None:
        hub = jobs.server.hub
        hub.installations.install(NAME)
        self._jobs, self._folder = jobs, folder
        self._environment = {
            "PAWL_API": jobs.server.api_url,
            "PAWL_APP_ID": str(hub.app.id),
            "PAWL_PRIVATE_KEY": hub.app.private_key_pem,
            "PAWL_SECONDS_BETWEEN_WRITES": "0",
        }

    def step(self, *proposals: object) -> None:
        """One look, with these proposals."""
        path = self._folder / "proposal.json"
        path.write_bytes(handover(proposals=list(proposals)))
        assert run_step(self._environment, Round(NAME), False, path) == 0


def proposal(jobs: Jobs, number: int, step: float) -> dict[str, object]:
    """An edit on the branch as it is now."""
    content = str(EDIT["content"]).replace("STEP = 3.0", f"STEP = {step}")
    return {
        "loop": "tune",
        "number": number,
        "base": jobs.stranger.tip(),
        "edit": {**EDIT, "content": content},
    }


@pytest.mark.timeout(300)
def test_a_loop_goes_over_to_the_app_and_comes_back(hub_server: HubServer, tmp_path: Path) -> None:
    jobs = Jobs(hub_server, tmp_path / "jobs")
    jobs.stranger.push({".github/pawl.yml": CONFIG.replace("experiments: 1", "experiments: 3")})
    job, _ = jobs.experiment()
    jobs.end(job, jobs.measure(job))
    assert [line.verdict for line in jobs.stranger.verdicts()] == [Verdict.KEEP]
    by_action = jobs.stranger.ledger()

    jobs.stranger.push({WORKFLOW: workflow(("self-hosted",))})
    app = App(jobs, tmp_path)
    app.step()  # opens a tracking issue of its own
    app.step(proposal(jobs, 2, 0.5))
    job, request = jobs.measuring()
    assert (request.key, request.calibration.dof > 0) == ("2.1", True)
    jobs.leave(job, jobs.measure(job))
    app.step()
    assert [line.verdict for line in jobs.stranger.verdicts()] == [Verdict.KEEP, Verdict.DISCARD]
    assert jobs.stranger.ledger()[: len(by_action)] == by_action

    jobs.stranger.push({WORKFLOW: loop_workflow(USES)})
    jobs.begin()
    assert jobs.propose({"proposal.json": handover(proposals=[proposal(jobs, 3, 4.0)])}) == 0
    job, request = jobs.measuring()
    assert request.key == "3.1"
    jobs.end(job, jobs.measure(job))
    assert [line.verdict for line in jobs.stranger.verdicts()][2:] == [Verdict.KEEP]
    assert "STEP = 4.0" in jobs.stranger.file("solver/tune.py")
    assert list(verify(jobs.stranger.ledger())) == []
    hub = hub_server.hub
    writers = {item["user"] for item in hub.store.all("comment", hub.repository(NAME)["id"])}
    assert len(writers) == 2
