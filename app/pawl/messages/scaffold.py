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


def files(layout: Layout, labels: tuple[str, ...], existing_program: bool) -> dict[str, str]:
    """Path to text of everything to write.

    Raises:
        LayoutError: a runner label that GitHub would not accept, or wishes that make no valid configuration.
    """
    config = _environment().get_template("pawl.yml.j2").render(layout=layout)
    try:
        parse_config(config)
    except ConfigError as error:
        raise LayoutError("; ".join(problem.message for problem in error.problems)) from None
    written = {CONFIG_PATH: config, WORKFLOW_PATH: workflow(labels)}
    if not existing_program:
        written[layout.program] = _environment().get_template("program.md.j2").render(layout=layout)
    return written


def workflow(labels: tuple[str, ...] = ("self-hosted",)) -> str:
    """The text of the measuring workflow.

    Raises:
        LayoutError: a runner label that GitHub would not accept.
    """
    for label in labels:
        if not LABEL.fullmatch(label):
            raise LayoutError(f"{label!r} is no runner label")
    return _environment().get_template("workflow.yml.j2").render(labels=json.dumps(list(labels)))


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
