"""The proposer `command`: any coding agent, in a throw-away checkout of the base that holds no credential."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pawl.core.edit import Edit
from pawl.meta.atif import AtifAgent, Step, Trajectory, numbered
from pawl.meta.checking import check_edit
from pawl.meta.checkout import ANSWER_FILE, CONTEXT_FILE, PATH, Checkout
from pawl.meta.context import checkout_text
from pawl.meta.means import Means
from pawl.meta.program import Ran, run_program
from pawl.meta.proposer import Context, NoProposal, NotThere, Proposal, Spend
from pawl.meta.quoted import line, readable
from pawl.meta.redaction import Redactor
from pawl.meta.reports import Report, report_of

PROMPT = f"Read {CONTEXT_FILE} in this folder. Make the one edit that it asks for, write {ANSWER_FILE} as it says, and stop."
PLACE = "{prompt}"
"""A word of the command that stands for the prompt; without one the prompt comes on standard input."""
ROUNDS = 2
"""Times the agent is run: once more where its first edit may not be made."""
SHORTEST = 5.0
"""Seconds that must be left for another round."""


class Command:
    """The proposer `command`.

    Args:
        means: what whoever runs Pawl allows.
        clock: seconds that only go forward.
    """

    name = "command"
    reads = True

    def __init__(self, means: Means, clock: Callable[[], float] = time.monotonic) -> None:
        self._means, self._clock = means, clock

    def propose(self, context: Context) -> Proposal:
        """What the agent left in the editable file, if it may be proposed.

        Raises:
            NoProposal: it may not be started here, or there is nothing to check out.
        """
        if not self._means.commands:
            raise NoProposal(
                "agent.command would start a program on the machine that Pawl runs on; whoever runs it can allow that by "
                "setting PAWL_ALLOW_COMMANDS=1"
            )
        if context.library is None:
            raise NoProposal("there is nothing to check out for agent.command")
        with tempfile.TemporaryDirectory(prefix="pawl-proposal-", ignore_cleanup_errors=True) as folder:
            checkout = Checkout(Path(folder))
            try:
                checkout.lay(context, context.library)
            except NotThere as error:
                return Proposal(reason=f"the base cannot be checked out: {error}", rests=False)
            return self._rounds(context, checkout)

    def _rounds(self, context: Context, checkout: Checkout) -> Proposal:
        agent = context.rules.agent
        deadline = self._clock() + agent.time
        told = checkout_text(context)
        runs: list[Ran] = []
        objections: tuple[str, ...] = ()
        for _ in range(ROUNDS):
            if objections:
                told += "\n# Your edit may not be made as it is\n\n" + "\n".join(
                    f"- {each}" for each in objections
                )
            checkout.write(CONTEXT_FILE, told)
            try:
                runs.append(self._run(agent.command or "", checkout, deadline - self._clock()))
            except OSError as error:
                return Proposal(reason=f"agent.command cannot be started: {error.strerror}", rests=False)
            found = checkout.found(context.rules.edit)
            if runs[-1].exit_code is None or not isinstance(found, str):
                break
            objections = check_edit(context, found)
            if not objections or deadline - self._clock() < SHORTEST:
                break
        return self._proposal(context, checkout, runs, (found, objections))

    def _run(self, command: str, checkout: Checkout, seconds: float) -> Ran:
        words = [PROMPT if word == PLACE else word for word in shlex.split(command)]
        said = "" if PLACE in shlex.split(command) else PROMPT
        environment = {
            "PATH": os.environ.get("PATH", PATH),
            "LANG": "C.UTF-8",
            "HOME": str(checkout.home),
            "TMPDIR": str(checkout.temporary),
            **self._means.command_environment,
        }
        return run_program(words, checkout.work, environment, said, seconds, self._clock)

    def _proposal(
        self,
        context: Context,
        checkout: Checkout,
        runs: list[Ran],
        end: tuple[str | Exception, tuple[str, ...]],
    ) -> Proposal:
        """What has come of it: the file as it was left, or why there is none, and what speaks against it."""
        found, objections = end
        agent, last = context.rules.agent, runs[-1]
        reports = [report_of(run.output) for run in runs]
        models = tuple(dict.fromkeys(model for report in reports for model in report.models))
        redactor = Redactor(self._means.command_environment.values())
        answer = checkout.answer()
        said = redactor.text(readable(last.output))
        outcome = Proposal(
            trace=self._trace(context, runs, redactor, models),
            spend=_spend(reports, models, sum(run.seconds for run in runs)),
            rests=False,
        )
        if agent.pin is not None and models and models != (agent.pin,):
            halt = f"agent.pin is {agent.pin}, and the agent says that it used {', '.join(models)}"
            return replace(outcome, reason=halt, halt=halt)
        if last.exit_code is None:
            return replace(
                outcome,
                reason=f"agent.command was killed when its time was over ({agent.time:g} s, agent.time)",
            )
        if not isinstance(found, str):
            return replace(outcome, reason=f"agent.command left no edit: {found}")
        if objections:
            ended = (
                f" (exit code {last.exit_code}; its last words: {line(_last(said))})"
                if last.exit_code
                else ""
            )
            return replace(
                outcome, reason=f"the edit of agent.command may not be made: {objections[0]}{ended}"
            )
        hypothesis = redactor.text(answer.hypothesis or _last(said))[:4000]
        edit = Edit(found, hypothesis, self.name, answer.predicted)
        notes = checkout.dropped(context.rules.edit)
        if last.exit_code:
            notes.append(f"the agent ended with exit code {last.exit_code}")
        return replace(outcome, edit=edit, notes=tuple(notes))

    def _trace(
        self, context: Context, runs: list[Ran], redactor: Redactor, models: tuple[str, ...]
    ) -> Trajectory:
        steps = [Step(step_id=1, source="user", message=checkout_text(context))]
        for run in runs:
            said = redactor.text(readable(run.output))
            steps.append(
                Step(step_id=1, source="agent", message=said, model_name=models[0] if models else None)
            )
        command = redactor.text(context.rules.agent.command or "")
        agent = AtifAgent(name="pawl/command", model_name=models[0] if models else None)
        return Trajectory(agent=agent, steps=numbered(steps), notes=f"command: {command}")


def _spend(reports: list[Report], models: tuple[str, ...], seconds: float) -> Spend:
    money = [report.money for report in reports if report.money is not None]
    return Spend(
        models=models,
        requests=sum(report.requests for report in reports),
        tokens_in=sum(report.tokens_in for report in reports),
        tokens_cached=sum(report.tokens_cached for report in reports),
        tokens_out=sum(report.tokens_out for report in reports),
        money=sum(money) if money else None,
        seconds=round(seconds, 3),
    )


def _last(said: str) -> str:
    """The last paragraph of what was said."""
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", said.strip()) if part.strip()]
    return paragraphs[-1][-2000:] if paragraphs else ""
