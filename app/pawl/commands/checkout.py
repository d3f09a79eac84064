"""A clone as `pawl check` sees it: what is committed, and what lies in the working tree."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pawl.core.config import CONFIG_PATH
from pawl.core.digest import TreeEntry, git_blob_sha
from pawl.lab.objects import Repository

Level = Literal["error", "warning", "advice"]


@dataclass(frozen=True)
class Remark:
    """One thing to mend, to know or to think about. `line` and `column` count from 1; 0 where there is none."""

    level: Level
    message: str
    loop: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    @property
    def place(self) -> str:
        """``file:line:column``, as far as it is known."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part)

    def as_json(self) -> dict[str, Any]:
        """The remark as plain values; parts that are not known are null."""
        return {
            "level": self.level,
            "loop": self.loop or None,
            "message": self.message,
            "file": self.file or None,
            "line": self.line or None,
        }


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

    def has_branch(self, name: str) -> bool:
        """Whether a branch is known here, as a local one or from any remote."""
        found = git(self.top, "for-each-ref", "--format=%(refname)", f"refs/heads/{name}", "refs/remotes")
        return any(
            ref == f"refs/heads/{name}" or ref.split("/", 3)[3:] == [name]
            for ref in (found or "").split("\n")
        )


class Places:
    """Where the keys of a configuration that could be read stand in it."""

    def __init__(self, text: str) -> None:
        try:
            self._document: Any = YAML().load(text)
        except (YAMLError, ValueError):
            self._document = None

    def remark(self, level: Level, message: str, loop: str, *keys: str) -> Remark:
        """A remark at the deepest of these keys of a loop that is written out."""
        line, column = 1, 1
        node = self._document
        for key in ("loops", loop, *keys):
            if not isinstance(node, Mapping) or key not in node:
                break
            line, column = (place + 1 for place in node.lc.key(key))  # type: ignore[attr-defined]
            node = node[key]
        return Remark(level, message, loop, CONFIG_PATH, line, column)


def git(folder: Path, *words: str) -> str | None:
    """What a git command says, stripped; none where it fails or there is no git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, stdin=subprocess.DEVNULL, check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None
