"""`pawl init`: a first configuration, workflow and program, fitted to what is found in a repository."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from pawl.core.config import CONFIG_PATH, WORKFLOW_PATH

LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class ScaffoldError(Exception):
    """Nothing was written; the text says why, and what to do."""


@dataclass(frozen=True)
class Wishes:
    """What the user said of the loop; empty parts are found out."""

    loop: str = ""
    edit: str = ""
    metric: str = ""
    goal: str = ""
    labels: tuple[str, ...] = ("self-hosted",)


@dataclass(frozen=True)
class Layout:
    """A repository's layout, as far as a loop needs it."""

    loop: str
    edit: str
    metric: str
    goal: str
    data: str = ""
    known: str = ""
    """Name of a layout that Pawl knows; empty if this is none."""


def recognise(repository: Path, wishes: Wishes) -> Layout:
    """Find the editable file and the metric.

    Raises:
        ScaffoldError: what is not said cannot be found out.
    """
    autoresearch = all((repository / name).is_file() for name in ("prepare.py", "train.py", "program.md"))
    if autoresearch and not wishes.edit:
        text = (repository / "train.py").read_text(encoding="utf-8", errors="replace")
        metric = wishes.metric or ("val_bpb" if "val_bpb" in text else "val_loss")
        loop = wishes.loop or "autoresearch"
        cache = "~/.cache/autoresearch"
        return Layout(loop, "train.py", metric, wishes.goal or "minimize", cache, "karpathy/autoresearch")
    if not wishes.edit:
        raise ScaffoldError(
            "say which file may be edited: pawl init --edit train.py --metric val_loss --goal minimize"
        )
    if not (repository / wishes.edit).is_file():
        raise ScaffoldError(f"{wishes.edit} is no file in {repository}; the editable file must exist")
    if not wishes.metric or not wishes.goal:
        raise ScaffoldError("say what is measured: --metric NAME --goal minimize (or maximize)")
    stem = re.sub(r"[^a-z0-9]+", "-", Path(wishes.edit).stem.lower()).strip("-") or "loop"
    return Layout(wishes.loop or stem, wishes.edit, wishes.metric, wishes.goal)


def files(layout: Layout, labels: tuple[str, ...], existing_program: bool) -> dict[str, str]:
    """Path to text of everything to write.

    Raises:
        ScaffoldError: a runner label that GitHub would not accept.
    """
    for label in labels:
        if not LABEL.fullmatch(label):
            raise ScaffoldError(f"{label!r} is no runner label")
    environment = Environment(
        loader=PackageLoader("pawl.commands", "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML and Markdown for the user's own repository, from checked values
        trim_blocks=True,
        variable_start_string="<<",
        variable_end_string=">>",
    )
    written = {
        CONFIG_PATH: environment.get_template("pawl.yml.j2").render(layout=layout),
        WORKFLOW_PATH: environment.get_template("workflow.yml.j2").render(labels=", ".join(labels)),
    }
    folder = str(Path(layout.edit).parent)
    program = "program.md" if folder == "." else f"{folder}/program.md"
    if not existing_program:
        written[program] = environment.get_template("program.md.j2").render(layout=layout)
    return written


def init(repository: Path, wishes: Wishes, force: bool = False) -> list[Path]:
    """Write the files; those that are there already are kept unless `force`.

    Raises:
        ScaffoldError: nothing could be found out, or there is nothing to write.
    """
    layout = recognise(repository, wishes)
    program = repository / Path(layout.edit).parent / "program.md"
    written: list[Path] = []
    for name, text in files(layout, wishes.labels, program.is_file()).items():
        path = repository / name
        if path.exists() and not force:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    if not written:
        raise ScaffoldError("everything is there already; --force writes it again")
    return written


def workflow(labels: tuple[str, ...] = ("self-hosted",)) -> str:
    """The text of the measuring workflow."""
    return files(Layout("loop", "train.py", "metric", "minimize"), labels, existing_program=True)[
        WORKFLOW_PATH
    ]
