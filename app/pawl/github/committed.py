"""One commit's files on GitHub, read as far as somebody asks for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property

from pawl.core.digest import TreeEntry
from pawl.core.workflow_check import WORKFLOWS
from pawl.github.errors import NotFound
from pawl.github.view import RepositoryView


class Committed:
    """What `core.remarks.Files` and `core.layout.Tree` ask for, of a commit that has no working tree.

    Args:
        view: the repository.
        commit: name of the commit.
    """

    def __init__(self, view: RepositoryView, commit: str) -> None:
        self._view, self._commit = view, commit

    @cached_property
    def by_path(self) -> Mapping[str, TreeEntry]:
        """The files by path."""
        objects = self._view.objects
        return {entry.path: entry for entry in objects.entries(objects.commit(self._commit).tree)}

    @property
    def paths(self) -> Collection[str]:
        """Paths of regular files, from the top."""
        return [path for path, entry in self.by_path.items() if entry.mode.startswith("100")]

    def file(self, path: str) -> bytes | None:
        """The bytes of a file; none if there is no such file."""
        entry = self.by_path.get(path)
        return self._view.objects.blob(entry.sha) if entry and entry.mode.startswith("100") else None

    def text(self, path: str) -> str | None:
        """What a file says, with U+FFFD for what is no UTF-8; none where there is no such file."""
        data = self.file(path)
        return None if data is None else data.decode("utf-8", errors="replace")

    def unsaved(self, path: str) -> str:
        """Nothing: there is no working tree."""
        return ""

    def has_branch(self, name: str) -> bool:
        """Whether the repository has a branch."""
        try:
            self._view.refs.branch(name)
        except NotFound:
            return False
        return True

    def workflows(self) -> dict[str, str | None]:
        """Every workflow by path, with its text."""
        return {
            path: self.text(path)
            for path in self.paths
            if path.startswith(f"{WORKFLOWS}/") and path.endswith((".yml", ".yaml"))
        }
