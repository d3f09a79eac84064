"""Workflow files: read as data, and the few expressions that a dispatch fills in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pawl.localhub.errors import HubError

_EXPRESSION = re.compile(
    r"\$\{\{\s*(fromJSON\()?\s*(?:github\.event\.)?inputs\.([\w-]+)\s*(?:\|\|\s*'([^']*)')?\s*\)?\s*\}\}",
    re.IGNORECASE,
)
_EMPTY = re.compile(r"(?:\$\{\{)?\s*inputs\.([\w-]+)\s*([!=]=)\s*''\s*(?:\}\})?")
# GitHub's limits of `on.workflow_dispatch.inputs`.
INPUT_CHARACTERS = 65_535
INPUTS = 25


@dataclass(frozen=True)
class WorkflowFile:
    """A parsed workflow."""

    name: str
    run_name: str | None
    triggers: dict[str, Any]
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    permissions: Any = None

    def inputs(self, given: Mapping[str, Any]) -> dict[str, str]:
        """The inputs of a dispatch with defaults filled in; HubError 422 in GitHub's words."""
        if "workflow_dispatch" not in self.triggers:
            raise HubError(422, "Workflow does not have 'workflow_dispatch' trigger")
        declared = (self.triggers["workflow_dispatch"] or {}).get("inputs") or {}
        unknown = [name for name in given if name not in declared]
        if unknown:
            raise HubError(422, f"Unexpected inputs provided: {json.dumps(unknown)}")
        if len(json.dumps(dict(given))) > INPUT_CHARACTERS or len(given) > INPUTS:
            raise HubError(422, "inputs are too large.")
        values = {}
        for name, rule in declared.items():
            rule = rule or {}
            if name in given:
                value = given[name]
                values[name] = value if isinstance(value, str) else json.dumps(value)
            elif rule.get("required") and "default" not in rule:
                raise HubError(422, f"Required input '{name}' not provided")
            else:
                default = rule.get("default", "")
                values[name] = default if isinstance(default, str) else json.dumps(default)
            if rule.get("type") == "choice" and values[name] not in [str(o) for o in rule.get("options", [])]:
                raise HubError(
                    422,
                    f"Provided value '{values[name]}' for input '{name}' not in the list of allowed values",
                )
        return values


def parse(data: bytes, path: str) -> WorkflowFile:
    """Read a workflow file; HubError 422 where it is none."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        found = YAML(typ="safe", pure=True).load(data.decode())
    except (YAMLError, UnicodeDecodeError) as error:
        raise HubError(422, f"Invalid workflow file {path}: {str(error).splitlines()[0]}") from None
    if not isinstance(found, dict) or not isinstance(found.get("jobs"), dict):
        raise HubError(422, f"Invalid workflow file {path}: it has no jobs")
    on = found.get("on", found.get(True))
    triggers = dict(on) if isinstance(on, dict) else dict.fromkeys(on if isinstance(on, list) else [on])
    return WorkflowFile(str(found.get("name") or path), found.get("run-name"), triggers, found["jobs"],
                        found.get("permissions"))  # fmt: skip


def fill(value: Any, inputs: Mapping[str, str]) -> Any:
    """A value with `${{ inputs.X || 'else' }}` replaced; a text that is one `fromJSON(inputs.X)` becomes what it holds."""
    if not isinstance(value, str):
        return value
    whole = _EXPRESSION.fullmatch(value.strip())
    if whole and whole[1]:
        return json.loads(inputs.get(whole[2]) or whole[3] or "null")
    return _EXPRESSION.sub(lambda match: inputs.get(match[2]) or match[3] or "", value)


def wanted(job: Mapping[str, Any], inputs: Mapping[str, str]) -> bool:
    """Whether a job's condition lets it run, where that asks for an input being empty or not; any other one does."""
    asked = _EMPTY.fullmatch(str(job.get("if", "")).strip())
    return asked is None or (inputs.get(asked[1], "") == "") == (asked[2] == "==")


def concurrency(job: Mapping[str, Any], inputs: Mapping[str, str]) -> dict[str, Any]:
    """The group of which one job runs at a time, empty for none, and whether all others wait (`queue: max`)."""
    given = job.get("concurrency") or {}
    rules = given if isinstance(given, dict) else {"group": given}
    return {"group": str(fill(rules.get("group", ""), inputs)), "all_wait": rules.get("queue") == "max"}


def labels(job: Mapping[str, Any], inputs: Mapping[str, str]) -> list[str]:
    """The runner labels a job asks for."""
    wanted = fill(job.get("runs-on"), inputs)
    if isinstance(wanted, dict):
        wanted = wanted.get("labels") or []
    if isinstance(wanted, str):
        wanted = [wanted]
    return [str(fill(item, inputs)) for item in wanted or []]
