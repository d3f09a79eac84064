"""The proposer `command`: any coding agent, in a throw-away checkout of the base that holds no credential."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pawl.core.edit import MAX_BYTES, Edit
from pawl.meta.atif import AtifAgent, Step, Trajectory, numbered
from pawl.meta.checking import check_edit
from pawl.meta.context import TRACES, checkout_text
from pawl.meta.means import Means
from pawl.meta.program import Ran, run_program
from pawl.meta.proposer import Context, NoProposal, NotThere, Proposal, Spend
from pawl.meta.quoted import line, readable
from pawl.meta.redaction import Redactor
from pawl.meta.reports import Report, report_of

CONTEXT_FILE = "PAWL_CONTEXT.md"
ANSWER_FILE = "PAWL_PROPOSAL.json"
OWN_FILES = frozenset({CONTEXT_FILE, ANSWER_FILE, TRACES})
PROMPT = f"Read {CONTEXT_FILE} in this folder. Make the one edit that it asks for, write {ANSWER_FILE} as it says, and stop."
PLACE = "{prompt}"
"""A word of the command that stands for the prompt; without one the prompt comes on standard input."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ANSWER_LIMIT = 64 * 1024
SHOWN = 12
"""Dropped files that are named."""
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
            desk = Path(folder)
            work = desk / "work"
            for name in ("work", "home", "tmp"):
                (desk / name).mkdir()
            try:
                context.library.checkout(work)
            except NotThere as error:
                return Proposal(reason=f"the base cannot be checked out: {error}", rests=False)
            _write(work, context.rules.edit, context.source)
            _make_repository(work, desk / "home")
            _lay_traces(work, context)
            return self._rounds(context, work, desk)

    def _rounds(self, context: Context, work: Path, desk: Path) -> Proposal:
        agent, before = context.rules.agent, dict(_digests(work))
        deadline = self._clock() + agent.time
        told = checkout_text(context)
        runs: list[Ran] = []
        objections: tuple[str, ...] = ()
        for _ in range(ROUNDS):
            if objections:
                told += "\n# Your edit may not be made as it is\n\n" + "\n".join(
                    f"- {each}" for each in objections
                )
            _write(work, CONTEXT_FILE, told)
            try:
                runs.append(self._run(agent.command or "", work, desk, deadline - self._clock()))
            except OSError as error:
                return Proposal(reason=f"agent.command cannot be started: {error.strerror}", rests=False)
            found = _found(work, context.rules.edit)
            content = found if isinstance(found, str) else ""
            if runs[-1].exit_code is None or not isinstance(found, str):
                break
            objections = check_edit(context, content)
            if not objections or deadline - self._clock() < SHORTEST:
                break
        return self._proposal(context, work, before, runs, (found, objections))

    def _run(self, command: str, work: Path, desk: Path, seconds: float) -> Ran:
        words = [PROMPT if word == PLACE else word for word in shlex.split(command)]
        said = "" if PLACE in shlex.split(command) else PROMPT
        environment = {
            "PATH": os.environ.get("PATH", PATH),
            "LANG": "C.UTF-8",
            "HOME": str(desk / "home"),
            "TMPDIR": str(desk / "tmp"),
            **self._means.command_environment,
        }
        return run_program(words, work, environment, said, seconds, self._clock)

    def _proposal(
        self,
        context: Context,
        work: Path,
        before: Mapping[str, str],
        runs: list[Ran],
        end: tuple[str | Exception, tuple[str, ...]],
    ) -> Proposal:
        """What has come of it: the file as it was left, or why there is none, and what speaks against it."""
        found, objections = end
        agent, last = context.rules.agent, runs[-1]
        reports = [report_of(run.output) for run in runs]
        models = tuple(dict.fromkeys(model for report in reports for model in report.models))
        redactor = Redactor(self._means.command_environment.values())
        answer = _answer(work)
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
        notes = [*_dropped(before, dict(_digests(work)), context.rules.edit)]
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


@dataclass(frozen=True)
class _Answer:
    """What the agent says about its edit."""

    hypothesis: str = ""
    predicted: float | None = None


def _answer(work: Path) -> _Answer:
    """The agent's answer file, as far as it is one."""
    text = _regular(work, ANSWER_FILE, ANSWER_LIMIT)
    if not isinstance(text, bytes):
        return _Answer()
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return _Answer()
    if not isinstance(told, dict):
        return _Answer()
    hypothesis, predicted = told.get("hypothesis"), told.get("predicted")
    number = predicted if isinstance(predicted, (int, float)) and not isinstance(predicted, bool) else None
    if number is not None and not abs(number) < 1e300:
        number = None
    return _Answer(readable(hypothesis) if isinstance(hypothesis, str) else "", number)


def _found(work: Path, path: str) -> str | Exception:
    """The editable file as it is now, or why it is none."""
    data = _regular(work, path, MAX_BYTES)
    if not isinstance(data, bytes):
        return data
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return ValueError(f"{path} is not UTF-8 any more")


def _regular(work: Path, name: str, limit: int) -> bytes | Exception:
    """A file's bytes, if no link is on the way to it and it is not too large; else why not."""
    path = work / name
    try:
        if path.resolve(strict=True) != work.resolve(strict=True) / name:
            return ValueError(f"{path.name} is a link, or behind one")
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            if not path.is_file():
                return ValueError(f"{path.name} is no regular file")
            data = file.read(limit + 1)
    except OSError as error:
        return ValueError(f"{path.name} cannot be read ({error.strerror})")
    return data if len(data) <= limit else ValueError(f"{path.name} has more than {limit:,} bytes")


def _digests(work: Path) -> Iterator[tuple[str, str]]:
    """Every file of the checkout by a name of its content. Its .git is the agent's, and tells nothing."""
    for folder, folders, files in os.walk(work, followlinks=False):
        folders[:] = [name for name in folders if not (name == ".git" and Path(folder) == work)]
        for name in [*files, *(name for name in folders if (Path(folder) / name).is_symlink())]:
            path = Path(folder) / name
            relative = str(path.relative_to(work))
            if relative.partition("/")[0] in OWN_FILES:
                continue
            try:
                if path.is_symlink():
                    yield relative, f"link {path.readlink()}"
                elif path.is_file():
                    status = path.stat()
                    large = status.st_size > 16 * 2**20
                    digest = (
                        f"{status.st_size} bytes" if large else hashlib.sha256(path.read_bytes()).hexdigest()
                    )
                    yield relative, f"{status.st_mode & 0o111} {digest}"
                else:
                    yield relative, "no file"
            except OSError:
                yield relative, "unreadable"


def _dropped(before: Mapping[str, str], after: Mapping[str, str], edit: str) -> list[str]:
    """What the agent did to other files, in a sentence."""
    names = before.keys() | after.keys()
    changed = sorted(name for name in names if before.get(name) != after.get(name) and name != edit)
    if not changed:
        return []
    more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
    named = ", ".join(line(name, 80) for name in changed[:SHOWN])
    return [f"changes of other files were dropped: {named}{more}"]


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


def _write(work: Path, name: str, text: str) -> None:
    """Write a file, whatever the agent has put in its place."""
    path = work / name
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _lay_traces(work: Path, context: Context) -> None:
    """The trajectories of failed practice tasks, under names that are no paths."""
    for failed in context.failed:
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", failed.name).lstrip(".")[:80]
        _write(work, f"{TRACES}/{name}.json", failed.trajectory)


def _make_repository(work: Path, home: Path) -> None:
    """A repository of one commit, since coding agents like to look at one: no remote, no other ref, no key."""
    if shutil.which("git") is None:
        return
    environment = {"PATH": os.environ.get("PATH", PATH), "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}
    person = ["-c", "user.name=base", "-c", "user.email=base@invalid", "-c", "commit.gpgsign=false"]
    for words in (
        ["init", "--quiet", "--initial-branch=base"],
        ["add", "--all", "--force"],
        [*person, "commit", "--quiet", "--allow-empty", "--message", "The base"],
    ):
        subprocess.run(
            ["git", "-C", str(work), *words], env=environment, check=False, capture_output=True, timeout=120
        )
    with (work / ".git" / "info" / "exclude").open("a", encoding="utf-8") as exclude:
        exclude.write("".join(f"/{name}\n" for name in sorted(OWN_FILES)))
