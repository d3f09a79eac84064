"""The Action's side of Pawl: reads a step's inputs from its environment, does one command, and tells the job."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pawl.commands.job_log import JobLog
from pawl.core.decision import Finding, OutOfOrder, advance
from pawl.core.measurement import REQUEST_LIMIT, Request, RunFact
from pawl.lab import MeasureError, read_request
from pawl.messages.jobs import measured_summary

INPUT = "PAWL_INPUT_"
"""What the Action's inputs are named by in the environment: nothing of them is ever part of a command line."""
PROPOSAL = "proposal.json"


class Trouble(Exception):
    """The step cannot do its work; the text says why, and what to do."""

    def __init__(self, message: object, file: str = "", line: int = 0) -> None:
        super().__init__(str(message))
        self.file, self.line = file, line


@dataclass(frozen=True)
class ActionStep:
    """One step that uses the Action."""

    environment: Mapping[str, str]
    log: JobLog

    def given(self, name: str) -> str:
        """An input; empty where it was not given."""
        return self.environment.get(INPUT + name.replace("-", "_").upper(), "").strip()

    @property
    def out(self) -> Path:
        """The folder for what is handed on, which the Action uploads from."""
        return Path(self.environment.get("RUNNER_TEMP") or ".") / "pawl"

    @property
    def workspace(self) -> Path:
        """The checkout."""
        return Path(self.environment.get("GITHUB_WORKSPACE") or ".")

    @property
    def repository(self) -> str:
        """``owner/name`` of the repository that the job belongs to.

        Raises:
            Trouble: this is no job.
        """
        name = self.environment.get("GITHUB_REPOSITORY", "")
        if not name:
            raise Trouble("GITHUB_REPOSITORY is not set: this command is for jobs of GitHub Actions")
        return name

    @property
    def run(self) -> int:
        """The number of the workflow run; 0 outside of one."""
        text = self.environment.get("GITHUB_RUN_ID", "")
        return int(text) if text.isdecimal() else 0


def run_action(environment: Mapping[str, str] | None = None) -> int:
    """Do what a step asks for; gives its exit code. Whatever goes wrong is an annotation of the job."""
    environment = os.environ if environment is None else environment
    log = JobLog(environment)
    step = ActionStep(environment, log)
    try:
        command = step.given("command")
        if command not in COMMANDS:
            raise Trouble(f"the input command is {command!r}; it is one of {', '.join(COMMANDS)}")
        return COMMANDS[command](step)
    except Trouble as trouble:
        log.annotate("error", str(trouble), trouble.file, trouble.line)
        return 1


def _measure(step: ActionStep) -> int:
    """Measure the request of the input, in a job that can write nothing."""
    from pawl.commands.measure import measured

    text = step.given("request")
    if not text:
        raise Trouble(
            "there is no request to measure: this command is for the workflow that `pawl init --mode action` writes"
        )
    if len(text) > REQUEST_LIMIT:
        raise Trouble(
            f"the request has {len(text):,} characters; one of Pawl's has at most {REQUEST_LIMIT:,}"
        )
    path = step.out / "request.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        request = read_request(path)
        with step.log.group(f"Measuring {request.loop} {request.key}"):
            done = measured(path, step.out, step.workspace, None, step.log.line)
    except (MeasureError, OSError) as error:
        raise Trouble(error) from None
    record = done.record
    finding = _finding(request, done.record.facts)
    step.log.output(
        experiment=request.number if request.candidate else "",
        verdict=finding.verdict.value if finding else "",
        record=done.path,
    )
    step.log.summary(measured_summary(request, record))
    if record.refused:
        step.log.annotate("warning", f"nothing was measured: {record.refused}")
    return done.exit_code


def _finding(request: Request, facts: tuple[RunFact, ...]) -> Finding | None:
    try:
        end = advance(request, (*request.runs, *facts))
    except (OutOfOrder, ValueError, ArithmeticError):
        return None
    return end if isinstance(end, Finding) else None


def _step(step: ActionStep) -> int:
    from pawl.commands.action_step import conclude

    return conclude(step)


def _propose(step: ActionStep) -> int:
    from pawl.commands.action_step import propose_edits

    return propose_edits(step)


def _compare(step: ActionStep) -> int:
    from pawl.commands.compare import measure_both

    return measure_both(step)


def _report(step: ActionStep) -> int:
    from pawl.commands.compare import report

    return report(step)


def _check(step: ActionStep) -> int:
    """The findings of `pawl check`, each at its line."""
    from pawl.commands.check import look

    remarks = look(step.workspace, step.given("loop") or None)
    levels = {"error": "error", "warning": "warning", "advice": "notice"}
    for remark in remarks:
        message = f"{remark.loop}: {remark.message}" if remark.loop else remark.message
        step.log.annotate(levels[remark.level], message, remark.file, remark.line)  # type: ignore[arg-type]
    errors = sum(remark.level == "error" for remark in remarks)
    step.log.line(f"{len(remarks)} findings, {errors} of them to be mended")
    return 1 if errors else 0


COMMANDS: dict[str, Callable[[ActionStep], int]] = {
    "measure": _measure,
    "step": _step,
    "propose": _propose,
    "check": _check,
    "compare": _compare,
    "report": _report,
}
