"""One repository's git objects, and what GitHub computes from them: ancestry, differences, merges."""

from __future__ import annotations

import difflib
import stat
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from dulwich.diff_tree import tree_changes
from dulwich.graph import can_fast_forward, find_merge_base
from dulwich.merge import three_way_merge
from dulwich.object_store import commit_tree_changes
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tree
from dulwich.refs import DictRefsContainer, Ref
from dulwich.repo import Repo

from pawl.localhub.errors import HubError, not_found


@dataclass(frozen=True)
class Person:
    """Author or committer: name, address and time in seconds since 1970."""

    name: str
    email: str
    when: int
    offset: int = 0


@dataclass(frozen=True)
class FileChange:
    """One file of a difference; `patch` is None for binary files and empty changes."""

    path: str
    status: str
    sha: str | None
    additions: int
    deletions: int
    patch: str | None


@dataclass(frozen=True)
class Entry:
    """One entry of a tree: path from the tree's root, octal mode, and the object's SHA."""

    path: str
    mode: int
    sha: str

    @property
    def type(self) -> str:
        """`tree`, `blob`, or `commit` for a submodule."""
        if stat.S_ISDIR(self.mode):
            return "tree"
        return "commit" if self.mode == 0o160000 else "blob"


def _id(sha: str) -> ObjectID:
    return cast(ObjectID, sha.encode())


class GitStore:
    """The objects of one bare repository folder. Refs are given from outside (they live in the hub's database)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.mkdir(parents=True)
            Repo.init_bare(str(path)).close()
        self._repo = Repo(str(path))
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close open packs."""
        self._repo.close()

    def open_for(self, refs: dict[str, str], head: str) -> Repo:
        """A handle of its own for one git client, which sees exactly these refs and `head` as the default branch."""
        repo = Repo(str(self.path))
        table: dict[Ref, bytes] = {cast(Ref, name.encode()): sha.encode() for name, sha in refs.items()}
        if f"refs/heads/{head}" in refs:
            table[cast(Ref, b"HEAD")] = f"ref: refs/heads/{head}".encode()
        repo.refs = DictRefsContainer(table)
        return repo

    def mirror(self, refs: dict[str, str], head: str) -> None:
        """Write refs down where plain git looks for them. Nothing here reads them: the store has the word."""
        lines = [f"{sha} {name}\n" for name, sha in sorted(refs.items())]
        for name, text in (("packed-refs", "".join(lines)), ("HEAD", f"ref: refs/heads/{head}\n")):
            fresh = self.path / f"{name}.new"
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(self.path / name)

    # -- reading -------------------------------------------------------------------------------------------------

    def _object(self, sha: str) -> ShaFile:
        with self._lock:
            try:
                return self._repo.object_store[_id(sha)]
            except (KeyError, ValueError, AssertionError):
                pass
            try:  # A pack may have arrived through another handle.
                self._repo.object_store._update_pack_cache()
                return self._repo.object_store[_id(sha)]
            except (KeyError, ValueError, AssertionError):
                raise not_found() from None

    def commit(self, sha: str) -> Commit:
        """The commit; HubError 404 where there is none of that SHA."""
        found = self._object(sha)
        if not isinstance(found, Commit):
            raise not_found()
        return found

    def is_tree(self, sha: str) -> bool:
        """Whether this names a tree, or a commit that stands for its own."""
        try:
            self.tree(sha)
        except HubError:
            return False
        return True

    def tree(self, sha: str) -> Tree:
        """The tree, also where the SHA is a commit's."""
        found = self._object(sha)
        if isinstance(found, Commit):
            found = self._object(found.tree.decode())
        if not isinstance(found, Tree):
            raise not_found()
        return found

    def blob(self, sha: str) -> bytes:
        """The bytes of a blob."""
        found = self._object(sha)
        if not isinstance(found, Blob):
            raise not_found()
        return found.data

    def has(self, sha: str, kind: type[ShaFile] = Commit) -> bool:
        """Whether the object is there and of that kind."""
        try:
            return isinstance(self._object(sha), kind)
        except HubError:
            return False

    def entries(self, tree: str, recursive: bool = False, prefix: str = "") -> list[Entry]:
        """What a tree holds, folders before what is in them."""
        found = []
        for item in self.tree(tree).items():
            entry = Entry(prefix + item.path.decode("utf-8", "replace"), item.mode, item.sha.decode())
            found.append(entry)
            if recursive and entry.type == "tree":
                found += self.entries(entry.sha, True, entry.path + "/")
        return found

    def entry(self, tree: str, path: str) -> Entry | None:
        """The entry at a path; the root for an empty path."""
        at = Entry("", stat.S_IFDIR, self.tree(tree).id.decode())
        for part in filter(None, path.split("/")):
            if at.type != "tree":
                return None
            try:
                mode, sha = self.tree(at.sha)[part.encode()]
            except KeyError:
                return None
            at = Entry(f"{at.path}/{part}".lstrip("/"), mode, sha.decode())
        return at

    # -- ancestry ------------------------------------------------------------------------------------------------

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` holds `older` in its history (or is it)."""
        if older == newer:
            return True
        self.commit(older), self.commit(newer)
        with self._lock:
            return can_fast_forward(self._repo, _id(older), _id(newer))

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor."""
        self.commit(one), self.commit(other)
        with self._lock:
            found = find_merge_base(self._repo, [_id(one), _id(other)])
        return found[0].decode() if found else None

    def log(self, head: str, exclude: Iterable[str] = (), limit: int | None = None) -> list[str]:
        """SHAs reachable from `head` and not from `exclude`, newest first."""
        self.commit(head)
        with self._lock:
            walker = self._repo.get_walker(
                include=[_id(head)], exclude=[_id(sha) for sha in exclude], max_entries=limit
            )
            return [entry.commit.id.decode() for entry in walker]

    # -- difference and merge --------------------------------------------------------------------------------------

    def changes(self, old_tree: str | None, new_tree: str) -> list[FileChange]:
        """What differs between two trees (or commits), file by file."""
        old = self.tree(old_tree).id if old_tree else None
        with self._lock:
            found = list(
                tree_changes(self._repo.object_store, old, self.tree(new_tree).id, change_type_same=True)
            )
        return [self._change(change) for change in found]

    def _change(self, change: Any) -> FileChange:
        before = self._content(change.old)
        after = self._content(change.new)
        path = (change.new or change.old).path
        if change.new is None or change.new.path is None:
            path = change.old.path
        status = {"add": "added", "delete": "removed"}.get(change.type, "modified")
        sha = change.new.sha if status != "removed" else change.old.sha
        patch, additions, deletions = None, 0, 0
        if b"\0" not in before[:8000] and b"\0" not in after[:8000]:
            lines = _unified(before.decode("utf-8", "replace"), after.decode("utf-8", "replace"))
            additions = sum(line.startswith("+") for line in lines)
            deletions = sum(line.startswith("-") for line in lines)
            patch = "\n".join(lines) or None
        return FileChange(path.decode("utf-8", "replace"), status, sha.decode(), additions, deletions, patch)

    def _content(self, entry: Any) -> bytes:
        if entry is None or entry.sha is None or not stat.S_ISREG(entry.mode):
            return b""
        return self.blob(entry.sha.decode())

    def merge(self, ours: str, theirs: str) -> str | None:
        """The tree of `theirs` merged into `ours`, or None where they conflict."""
        base = self.merge_base(ours, theirs)
        if base == ours:
            return str(self.commit(theirs).tree.decode())
        with self._lock:
            tree, conflicts = three_way_merge(
                self._repo.object_store,
                self.commit(base) if base else None,
                self.commit(ours),
                self.commit(theirs),
            )
            if conflicts:
                return None
            self._repo.object_store.add_object(tree)
        return str(tree.id.decode())

    # -- writing -------------------------------------------------------------------------------------------------

    def write_blob(self, data: bytes) -> str:
        """Store bytes and return the blob's SHA."""
        return self._add(Blob.from_string(data))

    def write_tree(self, base: str | None, changes: Iterable[tuple[str, int | None, str | None]]) -> str:
        """A tree that is `base` with (path, mode, SHA) put in place; SHA None deletes the path."""
        tree = self.tree(base) if base else Tree()
        with self._lock:
            self._repo.object_store.add_object(tree)
            result = commit_tree_changes(
                self._repo.object_store,
                cast(Tree, tree.copy()),
                [(path.encode(), mode, _id(sha) if sha else None) for path, mode, sha in changes],
            )
        return result.decode()

    def write_commit(
        self, tree: str, parents: list[str], message: str, author: Person, committer: Person
    ) -> str:
        """Store a commit and return its SHA."""
        commit = Commit()
        commit.tree = _id(tree)
        commit.parents = [_id(sha) for sha in parents]
        commit.message = message.encode()
        commit.author = f"{_line(author.name)} <{_line(author.email)}>".encode()
        commit.committer = f"{_line(committer.name)} <{_line(committer.email)}>".encode()
        commit.author_time, commit.author_timezone = author.when, author.offset
        commit.commit_time, commit.commit_timezone = committer.when, committer.offset
        commit.encoding = b"UTF-8"
        return self._add(commit)

    def _add(self, item: ShaFile) -> str:
        with self._lock:
            self._repo.object_store.add_object(item)
        return item.id.decode()


def person(text: bytes, when: float, offset: int = 0) -> Person:
    """Git's `Name <address>` with its time."""
    name, _, rest = text.decode("utf-8", "replace").partition(" <")
    return Person(name, rest.rstrip(">"), int(when), offset)


def moment(when: float) -> str:
    """Seconds since 1970 as GitHub writes a time."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _line(text: str) -> str:
    return "".join(c for c in text if c not in "<>\n\r\0").strip()


def _unified(before: str, after: str) -> list[str]:
    """The hunks of a unified difference, without file names, as GitHub's `patch` has them."""
    old, new = before.split("\n"), after.split("\n")
    no_newline = "\\ No newline at end of file"
    if old and old[-1] == "":
        old.pop()
    elif old:
        old[-1] += "\n" + no_newline
    if new and new[-1] == "":
        new.pop()
    elif new:
        new[-1] += "\n" + no_newline
    return list(difflib.unified_diff(old, new, lineterm=""))[2:]
