"""A clone as `pawl check` sees it: what is committed, and what lies in the working tree."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pawl.core.digest import TreeEntry, git_blob_sha
from pawl.core.workflow_check import WORKFLOWS
from pawl.lab.objects import Repository


class NotUsable(Exception):
    """A folder that no loop can be checked in; the text says why, and what to do."""


@dataclass(frozen=True)
class Checkout:
    """A clone with at least one commit."""

    top: Path
    commit: str
    entries: tuple[TreeEntry, ...]

    @classmethod
    def open(cls, path: Path) -> Checkout:
        """The clone around a folder.

        Raises:
            NotUsable: there is none, or it has no commit.
            MeasureError: git cannot read it.
        """
        top = git(path, "rev-parse", "--show-toplevel") if path.is_dir() else None
        if top is None:
            raise NotUsable(
                f"{path} is no git repository: run `git init -b main` there, and commit your files"
            )
        commit = git(Path(top), "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if commit is None:
            raise NotUsable(
                f"{top} has no commit yet: commit your files, since only committed ones are measured"
            )
        return cls(Path(top), commit, Repository(Path(top), os.environ).entries(commit))

    @cached_property
    def by_path(self) -> Mapping[str, TreeEntry]:
        """The committed files by path."""
        return {entry.path: entry for entry in self.entries}

    def file(self, path: str) -> bytes | None:
        """The committed bytes of a file; none if it is not committed."""
        return Repository(self.top, os.environ).file(self.commit, path) if path in self.by_path else None

    def unsaved(self, path: str) -> str:
        """How a file of the working tree differs from the commit; empty if it does not."""
        on_disk = self.top / path
        if path not in self.by_path:
            return "is not committed" if on_disk.is_file() else ""
        try:
            same = git_blob_sha(on_disk.read_bytes()) == self.by_path[path].sha
        except OSError:
            return "is committed, but missing in the working tree"
        return "" if same else "has changes that are not committed"

    def workflows(self) -> dict[str, str | None]:
        """Every workflow of the working tree by path; none in the place of a text that cannot be read."""
        folder = self.top / WORKFLOWS
        found = sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])
        return {path.relative_to(self.top).as_posix(): _text(path) for path in found}

    def has_branch(self, name: str) -> bool:
        """Whether a branch is known here, as a local one or from any remote."""
        found = git(self.top, "for-each-ref", "--format=%(refname)", f"refs/heads/{name}", "refs/remotes")
        return any(
            ref == f"refs/heads/{name}" or ref.split("/", 3)[3:] == [name]
            for ref in (found or "").split("\n")
        )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def git(folder: Path, *words: str) -> str | None:
    """What a git command says, stripped; none where it fails or there is no git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, stdin=subprocess.DEVNULL, check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None
