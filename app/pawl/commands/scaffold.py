"""`pawl init`: a first configuration, workflow and program, fitted to what is found in a repository."""

from __future__ import annotations

import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pawl.core.config import CONFIG_PATH, WORKFLOW_PATH
from pawl.core.layout import LayoutError, Wishes, recognise
from pawl.messages.scaffold import any_workflow, files

MAIN = ("refs/heads/main", "refs/remotes/origin/main")


@dataclass(frozen=True)
class Folder:
    """The files of a folder on disk, whether they are committed or not."""

    top: Path

    @cached_property
    def paths(self) -> Collection[str]:
        """What git does not ignore; outside of a repository what lies at the top."""
        listed = _git(self.top, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        return listed.split("\0")[:-1] or [path.name for path in self.top.iterdir() if path.is_file()]

    def text(self, path: str) -> str | None:
        """What a file says; none where there is no such file."""
        try:
            return (self.top / path).read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError):
            return None


def init(repository: Path, wishes: Wishes, force: bool = False, uses: str = "") -> list[Path]:
    """Write the files; those that are there already are kept unless `force`.

    Rules that are there are kept in any case where nothing is said of a loop: then it is the workflow that is wanted.

    Args:
        repository: its top folder.
        wishes: what the user said of the loop.
        force: write over what is there.
        uses: for a loop without a server, the Action that its jobs use.

    Raises:
        LayoutError: nothing could be found out, or there is nothing to write, or it cannot be written.
    """
    if not repository.is_dir():
        raise LayoutError(
            f"{repository} is no folder; give that of your repository, or go there and leave it out"
        )
    _must_be_top(repository, wishes.edit or "train.py")
    if (repository / CONFIG_PATH).is_file() and wishes == Wishes(labels=wishes.labels):
        wanted = {WORKFLOW_PATH: any_workflow(wishes.labels, uses)}
    else:
        layout = recognise(Folder(repository), wishes, _branch(repository))
        wanted = files(layout, wishes.labels, (repository / layout.program).is_file(), uses)
    written: list[Path] = []
    for name, text in wanted.items():
        path = repository / name
        if path.exists() and not force:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise LayoutError(f"{path} cannot be written: {error.strerror}") from None
        written.append(path)
    if not written:
        raise LayoutError("everything is there already; --force writes it again")
    return written


def _branch(repository: Path) -> str:
    """Where keeps go: `main`, or the branch that is checked out where there is no `main`."""
    if any(_git(repository, "rev-parse", "--verify", "--quiet", ref) for ref in MAIN):
        return "main"
    return _git(repository, "symbolic-ref", "--quiet", "--short", "HEAD") or "main"


def _git(repository: Path, *arguments: str) -> str:
    """What git says, without the line's end; nothing where it fails, as outside of a repository."""
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False
    ).stdout.rstrip("\n")


def _must_be_top(folder: Path, edit: str) -> None:
    """The configuration is only read at a repository's top; written elsewhere it would never be found.

    Raises:
        LayoutError: the folder lies below the top.
    """
    if below := _git(folder, "rev-parse", "--show-prefix"):
        raise LayoutError(
            f"{folder} is the folder {below} of a repository, and {CONFIG_PATH} belongs at its top. "
            f"Go there, and name files from there: --edit '{below}{edit}'"
        )
