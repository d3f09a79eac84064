"""The summary of the job that concludes, beside the pull request's comment: the same words, whatever the verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from action.job_kit import EDIT, Jobs, handover
from action.stranger import CONFIG, LOOP, NAME
from pawl.localhub import HubServer

REVIEW = CONFIG.replace("merge: auto", "merge: review")
CRASH = "raise SystemExit('no')\n"


@pytest.mark.parametrize(
    ("config", "content", "said"),
    [
        (CONFIG, EDIT["content"], "**Now:** merged as "),
        (REVIEW, EDIT["content"], "Keep"),
        (CONFIG, EDIT["content"].replace("STEP = 3.0", "STEP = 0.5"), "this pull request is closed"),
        (CONFIG, CRASH, "End of the last candidate run's log"),
    ],
)
def test_it_has_the_comments_own_words(
    hub_server: HubServer, tmp_path: Path, config: str, content: str, said: str
) -> None:
    """A keep that was held did not say what for, a crash had no log, and what was closed was told otherwise."""
    jobs = Jobs(hub_server, tmp_path / "jobs")
    jobs.stranger.push({".github/pawl.yml": config})
    jobs.begin()
    job, _ = jobs.measuring()
    jobs.end(job, jobs.measure(job))
    edit = {**EDIT, "content": content}
    proposal = {"loop": LOOP, "number": 1, "base": jobs.stranger.tip(), "edit": edit}
    assert jobs.propose({"proposal.json": handover(proposals=[proposal])}) == 0
    job, _ = jobs.measuring()
    jobs.end(job, jobs.measure(job))
    hub = hub_server.hub
    (comment,) = hub.store.all("comment", hub.repository(NAME)["id"], 2)
    summaries = [path.read_text() for path in jobs.folder.glob("*/summary.md")]
    (summary,) = (text for text in summaries if f"<!-- pawl:{LOOP}:1 -->" in text)
    assert said in summary
    assert comment["body"].strip() in summary
