"""Git's immutable objects, by name: fetched once, kept in memory, and in a store where one is given."""

from __future__ import annotations

import base64
import json
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self, cast

from pawl.core.digest import FOLDER, TreeEntry, git_blob_sha, git_tree_sha
from pawl.github.client import Repository
from pawl.github.errors import GitHubError, Unobservable

COMMITS, TREES, FOLDERS, BLOBS = 2048, 64, 256, 256
"""How many objects of each kind stay in memory."""
REPLACED = 32
"""Folders that stay there though Pawl has put others in their place: what began a moment ago reads these. A loop's own is
long, and replaced by each line; one of an experiment is short, and lasts."""
ARCHIVE_KEPT = 8 * 2**20
"""Bytes of the largest archive that stays in memory."""


class BlobStore(Protocol):
    """Bytes by name, kept across restarts. What is put under a name never changes, and may be dropped at any time."""

    def get(self, sha: str) -> bytes | None:
        """The bytes, or None."""
        ...

    def put(self, sha: str, data: bytes) -> None:
        """Keep them."""
        ...


@dataclass(frozen=True)
class Commit:
    """A commit: its tree, its parents and its message."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    message: str

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """From ``GET git/commits/{sha}``."""
        parents = tuple(str(parent["sha"]) for parent in data["parents"])
        return cls(data["sha"], data["tree"]["sha"], parents, data["message"])


class Objects:
    """The objects of one repository. Looks and proposals share them, from threads of their own."""

    def __init__(self, client: Repository, store: BlobStore | None = None) -> None:
        self._client, self._store = client, store
        self._guard = threading.Lock()
        self._kept: dict[str, OrderedDict[str, Any]] = {"commit": OrderedDict()}
        self._archive = ("", b"")
        self._replaced = deque[str]()
        self._kept |= {"tree": OrderedDict(), "folder": OrderedDict(), "blob": OrderedDict()}

    def commit(self, sha: str) -> Commit:
        """A commit by name.

        Raises:
            NotFound: there is none.
        """

        def fetch() -> Commit:
            data = self._json(
                "commit", sha, lambda: asdict(Commit.read(self._client.get(f"git/commits/{sha}")))
            )
            return Commit(**{**data, "parents": tuple(data["parents"])})

        return cast(Commit, self._once("commit", sha, fetch, COMMITS))

    def entries(self, tree: str) -> tuple[TreeEntry, ...]:
        """Every file below a tree, submodules and links included.

        Raises:
            NotFound: there is no such tree.
            Unobservable: the tree is larger than GitHub tells in one answer.
        """

        def fetch() -> tuple[TreeEntry, ...]:
            listed = self._json("tree", tree, lambda: self._listing(tree, recursive="1"))
            return tuple(TreeEntry(path, mode, sha) for kind, path, mode, sha in listed if kind != "tree")

        return cast(tuple[TreeEntry, ...], self._once("tree", tree, fetch, TREES))

    def folder(self, tree: str) -> Mapping[str, TreeEntry]:
        """What is in one folder, by name; a commit's name stands for its tree."""

        def fetch() -> dict[str, TreeEntry]:
            listed = self._json("folder", tree, lambda: self._listing(tree))
            return {path: TreeEntry(path, mode, sha) for _, path, mode, sha in listed}

        return cast(Mapping[str, TreeEntry], self._once("folder", tree, fetch, FOLDERS))

    def blob(self, sha: str) -> bytes:
        """The bytes of a file by the name of its content."""

        def fetch() -> bytes:
            data = self._store.get(sha) if self._store else None
            if data is None:
                data = base64.b64decode(self._client.get(f"git/blobs/{sha}")["content"])
                if self._store:
                    self._store.put(sha, data)
            return data

        return cast(bytes, self._once("blob", sha, fetch, BLOBS))

    def archive(self, commit: str, limit: int) -> bytes:
        """The packed files of a commit. The last one is kept, for most proposals are made on the base of the one before.

        Args:
            commit: its name.
            limit: bytes of the largest one that is taken.

        Raises:
            GitHubError: it is larger, or could not be had.
        """
        with self._guard:
            kept, data = self._archive
        if kept != commit:
            data = self._client.download(f"tarball/{commit}", limit)
            with self._guard:
                self._archive = (commit, data) if len(data) <= ARCHIVE_KEPT else ("", b"")
        return data

    # What Pawl itself has just written needs no reading.

    def put_commit(self, commit: Commit) -> None:
        """Know a commit."""
        self._keep("commit", commit.sha, commit, COMMITS)

    def put_tree_like(self, tree: str, like: str, path: str, blob: str) -> None:
        """Know a tree that is another one with one file's content replaced."""
        entries = tuple(
            TreeEntry(path, entry.mode, blob) if entry.path == path else entry for entry in self.entries(like)
        )
        self._keep("tree", tree, entries, TREES)

    def put_files(self, commit: Commit, before: str | None, files: Mapping[str, str]) -> None:
        """Know the folders of a commit that is another one with these files put in place.

        Those of the other one that are not known are read, once: or else nothing would be known of any commit after it.

        Args:
            commit: the new one.
            before: name of the other one; none where there was nothing.
            files: names of contents by path.
        """
        tree = self._put_folder(before, files)
        with self._guard:
            known = self._kept["folder"].get(tree) if tree == commit.tree else None
        if known is not None:
            self._keep("folder", commit.sha, known, FOLDERS)
        if tree is not None:
            self._replace(tree)  # it is asked for by its commit's name

    def _put_folder(self, before: str | None, files: Mapping[str, str]) -> str | None:
        """Know one folder with these files in place, and those below it; its name, or none where it cannot be read."""
        try:
            entries = dict(self.folder(before)) if before is not None else {}
        except (GitHubError, Unobservable):
            return None  # what was written is there all the same
        below = dict[str, dict[str, str]]()
        for path, blob in files.items():
            name, _, rest = path.partition("/")
            if rest:
                below.setdefault(name, {})[rest] = blob
            else:
                entries[name] = TreeEntry(name, "100644", blob)
        for name, inside in below.items():
            tree = self._put_folder(entries[name].sha if name in entries else None, inside)
            if tree is None:
                return None
            entries[name] = TreeEntry(name, FOLDER, tree)
        sha = git_tree_sha(entries.values())
        self._keep("folder", sha, entries, FOLDERS)
        if before is not None and before != sha:
            self._replace(before)
        return sha

    def _replace(self, folder: str) -> None:
        """Forget a folder in a while, for another one has taken its place."""
        with self._guard:
            self._replaced.append(folder)
            while len(self._replaced) > REPLACED:
                self._kept["folder"].pop(self._replaced.popleft(), None)

    def put_blob(self, data: bytes) -> str:
        """Know a file's bytes; returns the name git gives them."""
        sha = git_blob_sha(data)
        self._keep("blob", sha, data, BLOBS)
        return sha

    def _once(self, kind: str, sha: str, fetch: Callable[[], Any], limit: int) -> Any:
        kept = self._kept[kind]
        with self._guard:
            if sha in kept:
                kept.move_to_end(sha)
                return kept[sha]
        value = fetch()  # without the guard: nobody waits for another one's request
        self._keep(kind, sha, value, limit)
        return value

    def _keep(self, kind: str, sha: str, value: Any, limit: int) -> None:
        kept = self._kept[kind]
        with self._guard:
            kept[sha] = value
            kept.move_to_end(sha)
            while len(kept) > limit:
                kept.popitem(last=False)

    def _json(self, kind: str, sha: str, fetch: Callable[[], Any]) -> Any:
        if self._store is None:
            return fetch()
        name = f"{kind}:{sha}"
        stored = self._store.get(name)
        if stored is not None:
            return json.loads(stored)
        value = fetch()
        self._store.put(name, json.dumps(value, separators=(",", ":")).encode())
        return value

    def _listing(self, tree: str, **parameters: str) -> list[tuple[str, str, str, str]]:
        data = self._client.get(f"git/trees/{tree}", **parameters)
        if data.get("truncated"):
            raise Unobservable(
                f"{self._client.name} has more files than GitHub lists in one answer (100,000): Pawl cannot name what "
                "a measurement depends on. Keep the loop in a smaller repository"
            )
        return [(item["type"], item["path"], item["mode"], item["sha"]) for item in data["tree"]]
