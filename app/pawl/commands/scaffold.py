"""`pawl init`: a first configuration, workflow and program, fitted to what is found in a repository."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from pawl.core.config import CONFIG_PATH, WORKFLOW_PATH
from pawl.core.config_file import ConfigError, parse_config

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*")
"""What YAML reads as the same text without quotes."""
MAIN = ("refs/heads/main", "refs/remotes/origin/main")
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
    branch: str = "main"
    gpus: int = 0


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
        layout = Layout(loop, "train.py", metric, wishes.goal or "minimize", cache)
        return _surroundings(repository, layout)
    if not wishes.edit:
        raise ScaffoldError(
            "say which file may be edited: pawl init --edit train.py --metric val_loss --goal minimize"
        )
    if not (repository / wishes.edit).is_file():
        raise ScaffoldError(f"{wishes.edit} is no file in {repository}; the editable file must exist")
    if not wishes.metric or not wishes.goal:
        raise ScaffoldError("say what is measured: --metric NAME --goal minimize (or maximize)")
    stem = re.sub(r"[^a-z0-9]+", "-", Path(wishes.edit).stem.lower()).strip("-") or "loop"
    return _surroundings(repository, Layout(wishes.loop or stem, wishes.edit, wishes.metric, wishes.goal))


def _surroundings(repository: Path, layout: Layout) -> Layout:
    """The layout with what nobody was asked: the branch, and whether the code wants a GPU, which a run must ask for."""
    text = (repository / layout.edit).read_text(encoding="utf-8", errors="replace")
    return replace(layout, branch=_branch(repository), gpus=int("cuda" in text))


def _branch(repository: Path) -> str:
    """Where keeps go: `main`, or the branch that is checked out where there is no `main`."""
    if any(_git(repository, "rev-parse", "--verify", "--quiet", ref) for ref in MAIN):
        return "main"
    return _git(repository, "symbolic-ref", "--quiet", "--short", "HEAD") or "main"


def _git(repository: Path, *arguments: str) -> str:
    """What git says, without the line's end; nothing where it fails, as outside of a repository."""
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.rstrip("\n")


def files(layout: Layout, labels: tuple[str, ...], existing_program: bool) -> dict[str, str]:
    """Path to text of everything to write.

    Raises:
        ScaffoldError: a runner label that GitHub would not accept, or wishes that make no valid configuration.
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
    environment.filters["scalar"] = _scalar
    config = environment.get_template("pawl.yml.j2").render(layout=layout)
    try:
        parse_config(config)
    except ConfigError as error:
        raise ScaffoldError("; ".join(problem.message for problem in error.problems)) from None
    written = {
        CONFIG_PATH: config,
        WORKFLOW_PATH: environment.get_template("workflow.yml.j2").render(labels=json.dumps(list(labels))),
    }
    folder = str(Path(layout.edit).parent)
    program = "program.md" if folder == "." else f"{folder}/program.md"
    if not existing_program:
        written[program] = environment.get_template("program.md.j2").render(layout=layout)
    return written


def _scalar(text: str) -> str:
    """A text as YAML writes it: as it is where that is safe, quoted elsewhere."""
    return text if PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _must_be_top(folder: Path, edit: str) -> None:
    """The configuration is only read at a repository's top; written elsewhere it would never be found.

    Raises:
        ScaffoldError: the folder lies below the top.
    """
    if below := _git(folder, "rev-parse", "--show-prefix"):
        raise ScaffoldError(
            f"{folder} is the folder {below} of a repository, and {CONFIG_PATH} belongs at its top. "
            f"Go there, and name files from there: --edit '{below}{edit}'"
        )


def init(repository: Path, wishes: Wishes, force: bool = False) -> list[Path]:
    """Write the files; those that are there already are kept unless `force`.

    Raises:
        ScaffoldError: nothing could be found out, or there is nothing to write, or it cannot be written.
    """
    _must_be_top(repository, wishes.edit or "train.py")
    layout = recognise(repository, wishes)
    program = repository / Path(layout.edit).parent / "program.md"
    written: list[Path] = []
    for name, text in files(layout, wishes.labels, program.is_file()).items():
        path = repository / name
        if path.exists() and not force:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ScaffoldError(f"{path} cannot be written: {error.strerror}") from None
        written.append(path)
    if not written:
        raise ScaffoldError("everything is there already; --force writes it again")
    return written


def workflow(labels: tuple[str, ...] = ("self-hosted",)) -> str:
    """The text of the measuring workflow."""
    return files(Layout("loop", "train.py", "metric", "minimize"), labels, existing_program=True)[
        WORKFLOW_PATH
    ]
