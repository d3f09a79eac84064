"""A first configuration, workflow and program: what `pawl init` writes, and what the App offers where it is installed."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING

from pawl.core.config import CONFIG_PATH, WORKFLOW_PATH
from pawl.core.config_file import ConfigError, parse_config
from pawl.core.layout import Layout, LayoutError

if TYPE_CHECKING:
    from jinja2 import Environment

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*")
"""What YAML reads as the same text without quotes."""
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


ACTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+@[0-9a-f]{40}")
"""An action of a repository, pinned by its commit: a tag can be moved to other code."""


def files(layout: Layout, labels: tuple[str, ...], existing_program: bool, uses: str = "") -> dict[str, str]:
    """Path to text of everything to write.

    Args:
        layout: what the repository looks like.
        labels: of the runner that measures.
        existing_program: whether the program is there already.
        uses: for a loop without a server, the Action that its jobs use; empty where an App runs it.

    Raises:
        LayoutError: a runner label that GitHub would not accept, or wishes that make no valid configuration.
    """
    config = _environment().get_template("pawl.yml.j2").render(layout=layout)
    try:
        parse_config(config)
    except ConfigError as error:
        raise LayoutError("; ".join(problem.message for problem in error.problems)) from None
    written = {CONFIG_PATH: config, WORKFLOW_PATH: any_workflow(labels, uses)}
    if not existing_program:
        written[layout.program] = _environment().get_template("program.md.j2").render(layout=layout)
    return written


def any_workflow(labels: tuple[str, ...], uses: str) -> str:
    """The workflow of loops without a server where `uses` names the Action, and else the one that an App starts.

    Raises:
        LayoutError: as the two below.
    """
    return loop_workflow(uses, labels) if uses else workflow(labels)


def workflow(labels: tuple[str, ...] = ("self-hosted",)) -> str:
    """The text of the measuring workflow.

    Raises:
        LayoutError: a runner label that GitHub would not accept.
    """
    return _environment().get_template("workflow.yml.j2").render(labels=_labels(labels))


def loop_workflow(uses: str, labels: tuple[str, ...] = ("self-hosted",)) -> str:
    """The text of the workflow that runs loops without a server.

    Raises:
        LayoutError: a runner label that GitHub would not accept, or an Action that is not pinned by its commit.
    """
    if not ACTION.fullmatch(uses):
        raise LayoutError(
            f"{uses!r} names no Action by its commit; write it as OWNER/NAME@ and the 40 digits of a commit of Pawl"
        )
    return _environment().get_template("loop_workflow.yml.j2").render(uses=uses, labels=_labels(labels))


def _labels(labels: tuple[str, ...]) -> str:
    for label in labels:
        if not LABEL.fullmatch(label):
            raise LayoutError(f"{label!r} is no runner label")
    return json.dumps(list(labels))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pawl.messages", "templates/scaffold"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML and Markdown for the user's own repository, from checked values
        trim_blocks=True,
        variable_start_string="<<",
        variable_end_string=">>",
    )
    environment.filters["scalar"] = _scalar
    return environment


def _scalar(text: str) -> str:
    """A text as YAML writes it: as it is where that is safe, quoted elsewhere."""
    return text if PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
