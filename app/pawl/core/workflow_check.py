"""What is wrong with the measuring workflow, and which other workflows an experiment's branch could start."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pawl.core.config import WORKFLOW_PATH, Config
from pawl.core.digest import matches
from pawl.core.remarks import Level, Remark

WORKFLOWS = WORKFLOW_PATH.rsplit("/", 1)[0]
"""Where GitHub looks for workflows."""

_TITLE = re.compile(r"\$\{\{\s*(?:github\.event\.)?inputs\.title\s*(?:\|\|\s*'[^']*'\s*)?\}\}")
_REQUEST = re.compile(r"\$\{\{[^}]*\binputs\.request\b")
_LABELS = re.compile(r"\$\{\{[^}]*\binputs\.labels\b")
_SECRET = re.compile(r"\$\{\{[^}]*\bsecrets\b")


def workflow_remarks(
    workflows: Mapping[str, str | None], config: Config, unsaved: Callable[[str], str]
) -> Iterator[Remark]:
    """Everything to know of `.github/workflows`.

    Args:
        workflows: their texts by path; none in the place of one that cannot be read.
        config: the loops.
        unsaved: how a working tree differs from the commit in a file; empty where it does not.
    """
    if WORKFLOW_PATH not in workflows:
        yield Remark(
            "warning",
            "there is no measuring workflow, which `pawl try` does not need, and GitHub does. `pawl init` writes it",
            file=WORKFLOW_PATH,
        )
    for name, text in sorted(workflows.items()):
        workflow = _read(text)
        if workflow is None or text is None:
            level: Level = "error" if name == WORKFLOW_PATH else "warning"
            yield Remark(level, "this is no workflow that can be read", file=name)
        elif name == WORKFLOW_PATH:
            yield from _measuring(unsaved(name), config, name, text, workflow)
        else:
            yield from _other(name, workflow, config)


def _read(text: str | None) -> Mapping[str, Any] | None:
    try:
        found = YAML(typ="safe", pure=True).load(text) if text is not None else None
    except (YAMLError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def triggers(workflow: Mapping[str, Any]) -> dict[str, Any]:
    """The events of a workflow with their filters. A YAML 1.1 reader takes the key `on` for true."""
    found = workflow.get("on", workflow.get(True))  # type: ignore[call-overload]
    if isinstance(found, dict):
        return {str(name): rule for name, rule in found.items()}
    return dict.fromkeys(map(str, found if isinstance(found, list) else [found]))


def labels_asked_for(text: str | None) -> tuple[str, ...]:
    """The labels that the measuring workflow's job asks for where a request names none; none where that cannot be told."""
    workflow = _read(text) or {}
    dispatch = triggers(workflow).get("workflow_dispatch")
    inputs = dispatch.get("inputs") if isinstance(dispatch, dict) else None
    jobs = [job for job in _jobs(workflow) if _REQUEST.search(str(job))]
    asked = jobs[0].get("runs-on") if jobs else None
    if isinstance(asked, str) and _LABELS.search(asked):
        given = inputs.get("labels") if isinstance(inputs, dict) else None
        try:
            asked = json.loads(given["default"]) if isinstance(given, dict) else None
        except (KeyError, TypeError, ValueError):
            asked = None
    if isinstance(asked, dict):
        asked = asked.get("labels")
    found = asked if isinstance(asked, list) else [asked]
    labels = tuple(label for label in found if isinstance(label, str) and "${{" not in label)
    return labels if len(labels) == len(found) else ()


def _measuring(
    unsaved: str, config: Config, name: str, text: str, workflow: Mapping[str, Any]
) -> Iterator[Remark]:
    """The workflow that Pawl starts. Its job runs candidates, so it should be able to do nothing else."""
    yield from _starting(config, name, text, workflow)
    if unsaved:
        yield Remark("advice", f"it {unsaved}; GitHub runs the one on the default branch", file=name)
    yield from _powers(name, text, workflow)


def _starting(config: Config, name: str, text: str, workflow: Mapping[str, Any]) -> Iterator[Remark]:
    """What Pawl starts it with, and finds its jobs by."""
    dispatch = triggers(workflow).get("workflow_dispatch")
    inputs = dispatch.get("inputs") if isinstance(dispatch, dict) else None
    fleets = any(rules.fleets for rules in config.loops.values())
    if fleets and "labels" not in (inputs or {}):
        yield Remark(
            "error",
            "`fleets` names runners by their labels, and this file has no input labels to be told them by. "
            "`pawl init --force` writes it anew",
            file=name,
        )
    missing = [key for key in ("title", "request") if key not in (inputs or {})]
    if missing:
        yield Remark(
            "error",
            f"Pawl starts it with workflow_dispatch and the inputs title and request; {' and '.join(missing)} missing. "
            "`pawl init --force` writes it anew",
            file=name,
        )
    if not _TITLE.search(str(workflow.get("run-name") or "")):
        yield Remark(
            "error",
            "its run-name must be ${{ inputs.title }}: Pawl finds its jobs by that title",
            file=name,
            line=_line(text, "run-name:"),
        )


def _powers(name: str, text: str, workflow: Mapping[str, Any]) -> Iterator[Remark]:
    """What its measuring job could do with GitHub's token, and with secrets."""
    # In a loop without a server, other jobs of this file may write or hold a key: none of them is handed the request.
    jobs = [job for job in _jobs(workflow) if _REQUEST.search(str(job))] or _jobs(workflow)
    parts = [workflow, *jobs]
    given = [part.get("permissions") for part in parts if isinstance(part, dict)]
    if all(permissions is None for permissions in given):
        yield Remark(
            "warning",
            "it sets no permissions, so its token may be able to write: set `permissions: {}`, and contents: read and "
            "checks: read for the job",
            file=name,
        )
    for permissions in given:
        writes = permissions == "write-all" or (
            isinstance(permissions, dict) and any(level == "write" for level in permissions.values())
        )
        if writes:
            yield Remark(
                "warning",
                "it asks for write permissions on a machine that runs candidates; contents: read and checks: read will do",
                file=name,
                line=_line(text, "write"),
            )
    everywhere = [workflow.get("env"), *jobs]
    if any(_SECRET.search(str(part)) for part in everywhere) and (secret := _SECRET.search(text)):
        yield Remark(
            "warning",
            "it reads secrets on a machine that runs candidates; a measuring job needs none",
            file=name,
            line=text.count("\n", 0, secret.start()) + 1,
        )


def _jobs(workflow: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    jobs = workflow.get("jobs")
    return [job for job in jobs.values() if isinstance(job, dict)] if isinstance(jobs, dict) else []


def _line(text: str, word: str) -> int:
    """The first line outside comments with a word; 0 if there is none."""
    lines = (line.split("#", 1)[0] for line in text.splitlines())
    return next((number for number, line in enumerate(lines, start=1) if word in line), 0)


def _other(name: str, workflow: Mapping[str, Any], config: Config) -> Iterator[Remark]:
    """A workflow of the repository's own: would an experiment's branch or pull request start it?"""
    events = triggers(workflow)
    heads = [f"pawl/{loop}/1" for loop in config.loops]
    bases = [rules.branch for rules in config.loops.values()]
    by = [
        event
        for event, names in (("push", heads), ("pull_request", bases), ("pull_request_target", bases))
        if event in events and any(_runs_on(events[event], branch) for branch in names)
    ]
    if "pull_request_target" in by:
        yield Remark(
            "warning",
            "it runs on pull_request_target, which [skip ci] does not stop: it would start for every experiment, with the "
            "base's secrets. Make sure that it never checks a candidate out",
            file=name,
        )
    by = [event for event in by if event != "pull_request_target"]
    if by:
        yield Remark(
            "advice",
            f"it runs on {' and '.join(by)}: not for candidates, whose commits carry [skip ci], but for the final commit of "
            "every keep, before it is merged",
            file=name,
        )


def _runs_on(rule: Any, branch: str) -> bool:
    """Whether the branch filters of an event let a branch through."""
    if not isinstance(rule, dict):
        return True
    if "branches" in rule:
        hit = False
        for pattern in _list(rule["branches"]):
            negated = pattern.startswith("!")
            if matches(branch, (pattern.removeprefix("!"),)):
                hit = not negated
        return hit
    if "branches-ignore" in rule:
        return not matches(branch, _list(rule["branches-ignore"]))
    return not ("tags" in rule or "tags-ignore" in rule)


def _list(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
