"""The pull request that offers Pawl to a repository, and the word of farewell where it was declined."""

from __future__ import annotations

from dataclasses import dataclass

from pawl.core.calibration import FIRST_RUNS
from pawl.core.config import CONFIG_PATH, WORKFLOW_PATH, Config, Loop
from pawl.core.expectation import REAL_GAINS, RUNS_PER_KEEP
from pawl.core.layout import Layout
from pawl.core.setup_check import Setup
from pawl.messages.figures import duration
from pawl.messages.quoting import Safe, code
from pawl.messages.rendering import render
from pawl.messages.setting_up import prefilled, remark_rows

TITLE = "Let Pawl improve this repository"
COMMIT = "Add a Pawl loop\n\n[skip ci]"
MARKER = Safe("<!-- pawl-onboarding -->")
FAREWELL_MARKER = Safe("<!-- pawl-onboarding-closed -->")

_FOUND = {
    "autoresearch": (
        "This is laid out like karpathy/autoresearch, so the loop is the one that is run there by hand: {file} is edited, "
        "{metric} is measured. Its data must have been prepared on the runner, by `prepare.py`."
    ),
    "autoagent": (
        "This is laid out like kevinrgu/autoagent: {file} is the agent that is improved. Its tasks are started by hand "
        "there, so say in `run` which command works through them and prints {metric}."
    ),
    "script": "There is one training script, {file}.",
    "": "No training script was recognised here, so the file holds an example for you to fill in.",
}


@dataclass(frozen=True)
class Invited:
    """Everything that the pull request's body is made of."""

    page: str
    """The repository's own page."""
    branch: str
    """Where the pull request comes from."""
    layout: Layout
    """What was recognised, before anybody edited the file."""
    setup: Setup
    """What is said of the configuration as it is on the branch now."""
    has_workflow: bool
    public: bool


def onboarding_body(invited: Invited) -> str:
    """The pull request's body: what Pawl would do and cost, what is to be done first, and how to say no."""
    config, layout = invited.setup.config, invited.layout
    link = prefilled(invited.page, invited.branch, "Add the measuring workflow to this pull request")
    return render(
        "onboarding",
        marker=MARKER,
        found=Safe(_FOUND[layout.kind].format(file=code(layout.edit), metric=code(layout.metric))),
        unknown=bool(layout.unknown),
        branch=code(invited.branch),
        has_workflow=invited.has_workflow,
        add_workflow=link or "",
        workflow=Safe(f"`{WORKFLOW_PATH}`"),
        config=Safe(f"`{CONFIG_PATH}`"),
        readable=config is not None,
        usable=invited.setup.usable,
        remarks=remark_rows(invited.setup.remarks, told_of_workflow=not invited.has_workflow),
        held=invited.public and config is not None and not _accepts_public(config),
        loops=[_loop_row(name, rules) for name, rules in config.loops.items()] if config else [],
        pool=FIRST_RUNS,
        keep=round(RUNS_PER_KEEP),
        gains=round(100 * REAL_GAINS),
    )


def farewell() -> str:
    """The comment under an offer that was declined."""
    return render("onboarding_closed", marker=FAREWELL_MARKER)


def _accepts_public(config: Config) -> bool:
    return all("public-repository" in rules.accept for rules in config.loops.values())


def _loop_row(name: str, rules: Loop) -> dict[str, object]:
    """One loop's part of the preview. Times assume that a run takes its whole budget; a script that ends early is faster."""
    longest = rules.budget + rules.grace
    return {
        "name": code(name),
        "file": code(rules.edit),
        "program": code(rules.program_path),
        "metric": code(rules.metric.name),
        "direction": Safe("lower" if rules.metric.sign < 0 else "higher"),
        "branch": code(rules.branch),
        "command": code(rules.command),
        "budget": duration(rules.budget),
        "longest": duration(longest),
        "first": duration(FIRST_RUNS * rules.budget),
        "dropped": duration(rules.budget),
        "keep": duration(RUNS_PER_KEEP * rules.budget),
        "merge": Safe(_MERGES[rules.merge]),
        "thinking": Safe(_THINKING[rules.agent.proposer]),
    }


_MERGES = {
    "shadow": "Nothing is ever merged: it only reports.",
    "review": "A keep waits for you: nothing is merged without a person.",
    "auto": "A keep is merged without a person, once the repository's own checks pass.",
}
_THINKING = {
    "search": "Edits are proposed by a search over numbers in the file, which costs nothing.",
    "llm": "Edits are proposed by a model, which is paid for by whoever runs this App; `agent.money` caps it.",
    "command": "Edits are proposed by a coding agent of whoever runs this App; `agent.money` caps it.",
}
