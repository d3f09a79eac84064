"""What is said of a configuration: in the check run `pawl/config`, and where a required check would block people."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

from pawl.core.config import WORKFLOW_PATH
from pawl.core.remarks import Remark
from pawl.core.setup_check import Setup
from pawl.messages.checks import CheckOutput
from pawl.messages.figures import count
from pawl.messages.quoting import Safe, clean, code, prose
from pawl.messages.rendering import render
from pawl.messages.scaffold import workflow

ANNOTATIONS = 50
"""Annotations that GitHub takes in one request."""
LONGEST_LINK = 8000
"""Characters of an address that GitHub's servers take."""
_LEVELS = {"error": "failure", "warning": "warning", "advice": "notice"}
_WORDS = {"error": Safe("**Error**"), "warning": Safe("Warning"), "advice": Safe("Advice")}


@dataclass(frozen=True)
class Annotated:
    """A check run's output with annotations at lines of files."""

    output: CheckOutput
    annotations: tuple[dict[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As GitHub takes it."""
        return {**asdict(self.output), "annotations": list(self.annotations)}


def config_output(setup: Setup, troubles: Mapping[str, str], add_workflow: Safe | None = None) -> Annotated:
    """What `pawl/config` says of a configuration.

    Args:
        setup: what was found.
        troubles: why loops cannot be looked at, by loop: what only a look at the repository tells.
        add_workflow: a link that adds the measuring workflow, where it is missing.
    """
    errors = sum(remark.level == "error" for remark in setup.remarks) + len(troubles)
    loops = len(setup.config.loops) if setup.config else 0
    title = f"{count(errors, 'thing')} to mend" if errors else f"Usable: {count(loops, 'loop')}"
    output = CheckOutput(
        title=title,
        summary=render(
            "config_check",
            usable=not errors,
            read=setup.config is not None,
            troubles=[{"loop": code(loop), "why": _said(why)} for loop, why in sorted(troubles.items())],
            remarks=remark_rows(setup.remarks, told_of_workflow=bool(add_workflow)),
            add_workflow=add_workflow or "",
        ),
        text="",
    )
    placed = [remark for remark in setup.remarks if remark.file and remark.line]
    return Annotated(output, tuple(_annotation(remark) for remark in placed[:ANNOTATIONS]))


def config_removed() -> Annotated:
    """What `pawl/config` says where a pull request takes the configuration away."""
    return Annotated(CheckOutput("The configuration is removed", render("config_removed"), ""))


def not_an_experiment(loop: str) -> CheckOutput:
    """What a required check of a loop says on a pull request that is none of its experiments."""
    return CheckOutput(
        "Not an experiment: nothing to measure", render("not_an_experiment", loop=code(loop)), ""
    )


def remark_rows(remarks: Sequence[Remark], told_of_workflow: bool, most: int = 40) -> list[dict[str, object]]:
    """Remarks as rows of a list; foreign text is data.

    Args:
        remarks: in the order of the rows.
        told_of_workflow: whether the page says already that the measuring workflow is missing, and what to do.
        most: rows.
    """
    if told_of_workflow:
        remarks = [remark for remark in remarks if remark.file != WORKFLOW_PATH]
    return [
        {
            "level": _WORDS[remark.level],
            "place": code(remark.place) if remark.place else "",
            "message": _said(remark.message),
        }
        for remark in remarks[:most]
    ]


def prefilled(page: str, branch: str, words: str) -> Safe | None:
    """A link to GitHub's page for a new file on a branch, with the measuring workflow filled in.

    Args:
        page: the repository's own page, as the API gave it.
        branch: where the file is to be committed.
        words: Pawl's own words of the link.
    """
    if not re.fullmatch(r"https?://[A-Za-z0-9.\-:]+/[A-Za-z0-9._\-]+/[A-Za-z0-9._\-]+", page):
        return None
    query = f"filename={quote(WORKFLOW_PATH, safe='')}&value={quote(workflow(), safe='')}"
    address = f"{page}/new/{quote(branch)}?{query}"
    return Safe(f"[{words}]({address})") if len(address) <= LONGEST_LINK else None


def _said(text: str) -> Safe:
    """A remark as a sentence. It names files and words as code, which quoting would take for somebody else's Markdown."""
    return prose(text.replace("`", "'"), 1000)


def _annotation(remark: Remark) -> dict[str, Any]:
    """GitHub shows an annotation's message as text. Columns are taken where it begins and ends on one line."""
    made: dict[str, Any] = {
        "path": remark.file,
        "start_line": remark.line,
        "end_line": remark.line,
        "annotation_level": _LEVELS[remark.level],
        "message": clean(remark.message)[:4000],
        "title": "Pawl's configuration" if remark.level == "error" else f"Pawl: {remark.level}",
    }
    if remark.column:
        made |= {"start_column": remark.column, "end_column": remark.column}
    return made
