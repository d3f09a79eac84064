"""What a repository looks like to somebody who wants to start a loop in it: the editable file, the metric, the branch."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Protocol

from pawl.core.config_values import IN_WORDS, METRIC_NAME, RESERVED_NAMES, SHORT_NAME

AUTORESEARCH = frozenset({"prepare.py", "train.py", "program.md"})
"""The files of karpathy/autoresearch."""
AUTOAGENT = frozenset({"agent.py", "program.md", "Dockerfile.base"})
"""The files of kevinrgu/autoagent: one agent, measured on Harbor's tasks."""
CACHE = "~/.cache/autoresearch"
"""Where autoresearch's prepare.py puts its data."""
PYTHON = frozenset({".py", ""})
"""Endings of what `python` may run; whatever has another one needs a command of its own."""

_TRAIN = re.compile(r"train(?:ing)?(?:_[a-z0-9_]+)?\.py")
_NOT_CODE = frozenset(
    {"tests", "test", "docs", "doc", "node_modules", "vendor", "third_party", "site-packages"}
)
_PRINTED = re.compile(r"([A-Za-z_][A-Za-z0-9_./-]*)([ ]?[:=][ ]*|[ ]+)(?:\{|%[.0-9]*[efg])")
_LOWER = re.compile(r"loss|bpb|ppl|perplexity|err|mse|mae|latency|seconds", re.IGNORECASE)
_HIGHER = re.compile(r"acc|score|f1|auc|reward|bleu|rouge|pass|return|throughput", re.IGNORECASE)
_HELD_OUT = re.compile(r"val|test|eval|dev", re.IGNORECASE)


class LayoutError(Exception):
    """No first configuration can be written; the text says why, and what to do."""


class Tree(Protocol):
    """The files of a repository."""

    @property
    def paths(self) -> Collection[str]:
        """Paths of its files, from the top."""
        ...

    def text(self, path: str) -> str | None:
        """What a file says, with U+FFFD for what is no UTF-8; none where there is no such file."""
        ...


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
    """A repository's layout, as far as a loop needs it. What could not be found out is empty."""

    loop: str
    edit: str
    metric: str
    goal: str
    kind: str = ""
    """``autoresearch``, ``autoagent``, ``script``, or nothing that is known."""
    data: str = ""
    branch: str = "main"
    gpus: int = 0
    command: str = ""
    """An example of how a run is started, where that cannot be by ``python`` and the editable file."""
    requirements: str = ""
    """pip's requirements file nearest above the editable file, from the top of the repository."""
    unknown: tuple[str, ...] = ()
    """Keys of the configuration that hold examples, for a person to replace."""

    @property
    def program(self) -> str:
        """Where the program belongs: beside the editable file."""
        return str(PurePosixPath(self.edit).parent / "program.md")

    @property
    def setup(self) -> str:
        """The line of shell that installs the requirements from where commands start; empty where there are none."""
        if not self.requirements:
            return ""
        folder = str(PurePosixPath(self.edit).parent)
        return f"pip install -r {shlex.quote(posixpath.relpath(self.requirements, folder))}"

    @property
    def inputs(self) -> tuple[str, ...]:
        """What a measurement depends on, where the requirements lie outside of the editable file's folder."""
        folder = PurePosixPath(self.edit).parent
        above = self.requirements and PurePosixPath(self.requirements).parent != folder
        return (f"{folder}/**", self.requirements) if above else ()


def find(tree: Tree, wishes: Wishes, branch: str) -> Layout:
    """Everything that can be found out about a loop in this repository; wishes win over what is found.

    Args:
        tree: the repository's files.
        wishes: what is said already.
        branch: where keeps go.
    """
    layout = _known(tree) if not wishes.edit else Layout("", wishes.edit, "", "", kind="script")
    text = tree.text(layout.edit) or "" if layout.edit else ""
    metric = wishes.metric or layout.metric or printed_metric(text)
    return replace(
        layout,
        loop=wishes.loop or layout.loop or _name_for(layout.edit),
        metric=metric,
        goal=wishes.goal or layout.goal or goal_of(metric),
        branch=branch,
        command=layout.command or ("sh run.sh" if PurePosixPath(layout.edit).suffix not in PYTHON else ""),
        gpus=int("cuda" in text),  # a run sees a GPU only if it asks for one
        requirements=_requirements(tree.paths, layout.edit),
    )


def recognise(tree: Tree, wishes: Wishes, branch: str) -> Layout:
    """A layout with nothing left to find out.

    Raises:
        LayoutError: what is not said cannot be found out.
    """
    layout = find(tree, wishes, branch)
    if not layout.edit:
        raise LayoutError(
            "say which file may be edited: pawl init --edit train.py --metric val_loss --goal minimize"
        )
    if tree.text(layout.edit) is None:
        raise LayoutError(
            f"--edit {layout.edit}: there is no such file here; name one that exists, from the top of the repository"
        )
    if not layout.metric or not layout.goal:
        raise LayoutError("say what is measured: --metric NAME --goal minimize (or maximize)")
    if layout.goal not in ("minimize", "maximize"):
        raise LayoutError(
            f"--goal is minimize where a smaller {layout.metric} is better, or maximize, not {layout.goal!r}"
        )
    if not re.fullmatch(SHORT_NAME, layout.loop):
        raise LayoutError(
            f"--loop {layout.loop!r} is not allowed here; {IN_WORDS[SHORT_NAME]}, as in --loop small-gpt"
        )
    if not re.fullmatch(METRIC_NAME, layout.metric):
        raise LayoutError(
            f"{layout.metric!r} cannot be a metric's name, which has letters, digits and _ . / -, 64 at most, and starts "
            "with a letter. Name it otherwise; where the run prints it in other words, `metric.pattern` finds it"
        )
    return layout


def _name_for(edit: str) -> str:
    """A name for the loop: the editable file's, or its folder's where that of the file says nothing, or may not be used."""
    path = PurePosixPath(edit)
    for text in (path.stem, path.parent.name):
        name = re.sub(r"[^a-z0-9]+", "-", text.lower())[:39].strip("-")
        if name and name not in RESERVED_NAMES and not text.startswith("__"):
            return name
    return "loop"


def _requirements(paths: Collection[str], edit: str) -> str:
    """The requirements file beside the editable file, or nearest above it; empty where there is none."""
    folders = PurePosixPath(edit).parents if edit else ()
    return next((path for folder in folders if (path := str(folder / "requirements.txt")) in paths), "")


def with_examples(layout: Layout) -> Layout:
    """The layout with an example in the place of everything that was not found, and those places named."""
    unknown = [name for name in ("edit", "metric", "goal") if not getattr(layout, name)]
    if layout.command:
        unknown.append("run")
    return replace(
        layout,
        edit=layout.edit or "train.py",
        metric=layout.metric or "val_loss",
        goal=layout.goal or "minimize",
        unknown=tuple(unknown),
    )


def _known(tree: Tree) -> Layout:
    """A layout that is known, or that of the one training script."""
    top = {path for path in tree.paths if "/" not in path}
    if top >= AUTORESEARCH:
        metric = "val_bpb" if "val_bpb" in (tree.text("train.py") or "") else "val_loss"
        return Layout("autoresearch", "train.py", metric, "minimize", kind="autoresearch", data=CACHE)
    if top >= AUTOAGENT:
        return Layout("agent", "agent.py", "score", "maximize", kind="autoagent", command="python score.py")
    script = train_script(tree.paths)
    return Layout("", script, "", "", kind="script" if script else "")


def train_script(paths: Collection[str]) -> str:
    """The one training script nearest to the top; empty where there is none, or where several lie equally near."""
    found = [
        path
        for path in paths
        if _TRAIN.fullmatch(path.rsplit("/", 1)[-1]) and not _NOT_CODE & set(path.split("/")[:-1])
    ]
    nearest = min((path.count("/") for path in found), default=0)
    near = [path for path in found if path.count("/") == nearest]
    exact = [path for path in near if path.rsplit("/", 1)[-1] == "train.py"]
    return next((only[0] for only in (near, exact) if len(only) == 1), "")


def printed_metric(text: str) -> str:
    """The name of a number that code prints as ``name: number`` and that sounds like a result; empty if there is none.

    The last one wins, and one on held-out data before any other. Without a colon, only such a one is taken for a name: in
    ``val loss {x}`` the last word alone would name the training loss as well.
    """
    printed = [(name, sign.strip()) for name, sign in _PRINTED.findall(text) if goal_of(name)]
    held_out = [name for name, _ in printed if _HELD_OUT.search(name)]
    names = [name for name, sign in printed if sign]
    return next(iter((held_out or names)[::-1]), "")


def goal_of(metric: str) -> str:
    """Which way a metric should move, by its name; empty where that does not say."""
    if _LOWER.search(metric):
        return "minimize"
    return "maximize" if _HIGHER.search(metric) else ""
