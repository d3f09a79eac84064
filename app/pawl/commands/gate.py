"""What a comparison is of: the pull request that an event names, and the rules by which its two versions are measured."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pawl.commands.action import ActionStep, Trouble
from pawl.core.config import CONFIG_PATH, Loop
from pawl.core.config_file import ConfigError, parse_config
from pawl.core.digest import matches, sha256
from pawl.core.measurement import Calibration, Purpose, Request
from pawl.core.seeds import draw_seeds
from pawl.lab import MeasureError
from pawl.lab.objects import Repository

RUNS = 5
"""Runs of each version, unless the input says another number: the noise then rests on eight degrees of freedom."""
LEAST, MOST = 3, 32
"""With two runs of each version the noise is known too badly to call anything a difference."""
ALWAYS = (".github/**", ".gitmodules")
"""Restored from the base whatever else is: what governs the repository."""


@dataclass(frozen=True)
class PullRequest:
    """The pull request of a job's event."""

    number: int
    base: str
    head: str
    fork: bool


def pull_request_of(step: ActionStep) -> PullRequest:
    """The pull request that started the job.

    Raises:
        Trouble: none did, or it comes from a fork.
    """
    try:
        event = json.loads(Path(step.environment.get("GITHUB_EVENT_PATH", "")).read_text(encoding="utf-8"))
        found = event["pull_request"]
        source = found["head"]["repo"] or {}
        pull = PullRequest(
            int(found["number"]),
            str(found["base"]["sha"]),
            str(found["head"]["sha"]),
            source.get("id") != found["base"]["repo"]["id"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise Trouble(
            "this command is for workflows on pull_request: the event that started this one names none"
        ) from None
    if pull.fork:
        raise Trouble(
            f"pull request {pull.number} comes from a fork, and nothing of it was run: anybody can open one, and comparing "
            "it runs its code on your runner. Push its branch to this repository to have it compared"
        )
    return pull


def request_for(step: ActionStep, pull: PullRequest) -> tuple[Request, tuple[str, ...]]:
    """The comparison as a measuring request, and the globs of what is as in the base in both versions.

    Raises:
        Trouble: the inputs or the base's rules cannot be used.
    """
    try:
        repository = Repository(step.workspace, os.environ)
        repository.ensure([pull.base, pull.head])
        paths = {commit: frozenset(_files(repository, commit)) for commit in (pull.base, pull.head)}
        protected = tuple(word for line in step.given("protect").split("\n") for word in line.split())
        both = paths[pull.base] & paths[pull.head]
        name, rules = _rules(step, repository, pull, sorted(both), protected)
        content = repository.file(pull.head, rules.edit)
    except MeasureError as error:
        raise Trouble(error) from None
    if content is None:
        raise Trouble(f"{rules.edit}, the loop's editable file, is not in the pull request's version")
    runs = _runs(step.given("runs"))
    restored = (*ALWAYS, *protected, *rules.private_globs(paths[pull.base]))
    identity = f"{step.repository}|{pull.base}|{pull.head}|{step.run}"
    request = Request(
        repository=step.repository,
        loop=name,
        rules=rules,
        purpose=Purpose.AUDIT,
        number=pull.number,
        base=pull.base,
        inputs=sha256("\n".join(restored)),
        baseline=pull.base,
        candidate=pull.head,
        candidate_digest=sha256(content),
        seeds=draw_seeds(b"comparison", identity, runs),
        calibration=Calibration(sigma=0.0, dof=0, pool=()),
        runs_wanted=runs,
    )
    return request, restored


def _files(repository: Repository, commit: str) -> list[str]:
    return [entry.path for entry in repository.entries(commit) if entry.mode.startswith("100")]


def _runs(text: str) -> int:
    if not text:
        return RUNS
    if not text.isdecimal() or not LEAST <= int(text) <= MOST:
        raise Trouble(f"the input runs is {text!r}; it is a number from {LEAST} to {MOST}")
    return int(text)


def _rules(
    step: ActionStep, repository: Repository, pull: PullRequest, both: list[str], protected: tuple[str, ...]
) -> tuple[str, Loop]:
    """The loop's name and rules: one of the base's configuration, or what the inputs say."""
    loop, metric = step.given("loop"), step.given("metric")
    if metric:
        return "comparison", _given_rules(step, metric, both, protected)
    text = repository.file(pull.base, CONFIG_PATH)
    if text is None:
        raise Trouble(
            f"say what is measured: the inputs metric, goal and run, or a loop of {CONFIG_PATH}, and the base has none"
        )
    try:
        loops = parse_config(text.decode("utf-8", errors="replace")).loops
    except ConfigError as error:
        problem = error.problems[0]
        raise Trouble(f"{problem.key}: {problem.message}", CONFIG_PATH, problem.line) from None
    if not loop and len(loops) == 1:
        loop = next(iter(loops))
    if loop not in loops:
        raise Trouble(f"the input loop is {loop!r}; {CONFIG_PATH} of the base has {', '.join(loops)}")
    if loops[loop].task_agent:
        raise Trouble(
            f"{loop} is a loop over an agent's harness, whose versions are not compared by single runs"
        )
    return loop, loops[loop]


def _given_rules(step: ActionStep, metric: str, both: list[str], protected: tuple[str, ...]) -> Loop:
    # Rules name one editable file. Here both versions are whole trees, and any file that they share will stand for it.
    shared = next(
        (path for path in both if _can_stand(path) and not matches(path, (*ALWAYS, *protected))), None
    )
    if shared is None:
        raise Trouble("the two versions share no file that is not protected, so there is nothing to compare")
    entry: dict[str, Any] = {
        "edit": shared,
        "program": CONFIG_PATH,  # nobody reads one here, and by default a `program.md` could not be the editable file
        "metric": {"name": metric, "goal": step.given("goal")},
        "run": {"command": step.given("run"), "cwd": "."},
    }
    if budget := step.given("budget"):
        entry["budget"] = budget
    return _validated(entry)


def _can_stand(path: str) -> bool:
    """Whether rules can name a path: those with a backslash or a control character they refuse."""
    return path.isprintable() and "\\" not in path


def _validated(entry: Mapping[str, Any]) -> Loop:
    from pydantic import ValidationError

    try:
        return Loop.model_validate(entry)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][-1]).replace("command", "run") if first["loc"] else "metric"
        raise Trouble(f"the input {name} cannot be used: {first['msg']}") from None
