"""The overlay: the base's tree with one file replaced, less what is private. No candidate is ever checked out."""

from __future__ import annotations

import contextlib
import os
import posixpath
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pawl.core.canary import claim_of
from pawl.core.cheats import plant
from pawl.core.digest import TreeEntry, matches, sha256
from pawl.core.measurement import Arm, Request
from pawl.lab.errors import MeasureError, Refused
from pawl.lab.objects import SUBMODULE, SYMLINK, Repository
from pawl.lab.sandbox import Folder


@dataclass(frozen=True)
class Overlay:
    """Everything the trees of one request are made of."""

    base: Path
    """The base's whole tree, as files. Never handed to a job: jobs get copies."""
    entries: tuple[TreeEntry, ...]
    edit: str
    bytes_of: dict[Arm, bytes]
    private: tuple[str, ...]
    """Globs of what is never where a candidate runs."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of this tree."""
        modules = [entry.path for entry in self.entries if entry.mode == SUBMODULE]
        return (f"submodules are left empty: {', '.join(modules)}",) if modules else ()

    @property
    def private_files(self) -> tuple[str, ...]:
        """Those files of the tree that no candidate may see."""
        return tuple(entry.path for entry in self.entries if matches(entry.path, self.private))

    @property
    def own(self) -> bytes:
        """The base's own bytes of the editable file."""
        return (self.base / self.edit).read_bytes()

    def lay(self, folder: Folder, content: bytes | None, private: bool) -> None:
        """Fill a job's private folder with a fresh copy.

        Args:
            folder: must not exist yet.
            content: the bytes of the editable file; None for no editable file at all.
            private: whether what is private is there too.
        """
        for part in (folder.tree, folder.home, folder.temporary):
            part.mkdir(parents=True)
        made: set[str] = set()
        for entry in self.entries:
            if entry.path == self.edit or (not private and matches(entry.path, self.private)):
                continue
            target = folder.tree / entry.path
            parent = posixpath.dirname(entry.path)
            if parent not in made:
                target.parent.mkdir(parents=True, exist_ok=True)
                made.add(parent)
            if entry.mode == SUBMODULE:
                target.mkdir()
            else:
                shutil.copy(self.base / entry.path, target, follow_symlinks=False)
        edit = folder.tree / self.edit
        edit.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            edit.write_bytes(content)
            mode = next(entry.mode for entry in self.entries if entry.path == self.edit)
            edit.chmod(0o755 if mode == "100755" else 0o644)


def build(repository: Repository, request: Request, base: Path) -> Overlay:
    """Read the base's tree and the bytes of both arms.

    Args:
        repository: where the commits are.
        request: which they are.
        base: an empty folder for the base's tree.

    Raises:
        MeasureError: a commit cannot be had.
        Refused: the tree or the bytes are not what the request says, or cannot be laid out safely.
    """
    commits = [request.base, request.baseline, *([request.candidate] if request.candidate else [])]
    repository.ensure(commits)
    entries = repository.entries(request.base)
    edit = request.rules.edit
    mode = next((entry.mode for entry in entries if entry.path == edit), "")
    if mode not in ("100644", "100755"):
        what = "a symbolic link" if mode == SYMLINK else "a submodule" if mode else "no file"
        raise Refused(f"{edit} is {what} in the base {request.base[:12]}, so there is nothing to replace.")
    bytes_of = {Arm.BASELINE: _bytes(repository, request.baseline, edit)}
    if request.candidate is not None:
        bytes_of[Arm.CANDIDATE] = _candidate(repository, request, request.candidate)
        found = sha256(bytes_of[Arm.CANDIDATE])
        if found != request.candidate_digest:
            raise Refused(
                f"{edit} of the candidate {request.candidate[:12]} has digest {found[:12]}, but "
                f"{str(request.candidate_digest)[:12]} was asked for: these are not the bytes that would be merged."
            )
    _write(repository, entries, base)
    private = request.rules.private_globs(frozenset(entry.path for entry in entries))
    if matches(edit, private):
        raise Refused(
            f"{edit} is the editable file and private to the evaluator at once; change evaluate.private."
        )
    return Overlay(base, entries, edit, bytes_of, private)


def build_candidate(
    repository: Repository, request: Request, restored: Iterable[str], folder: Path
) -> Overlay:
    """The candidate's own whole tree, but for what is taken from the base: for a comparison, which nothing is merged by.

    Args:
        repository: where the commits are.
        request: which they are.
        restored: globs of what is as in the base, whatever the candidate made of it.
        folder: an empty folder for the tree.

    Raises:
        MeasureError: a commit cannot be had.
        Refused: the tree cannot be laid out safely.
    """
    globs = tuple(restored)
    if request.candidate is None:
        raise Refused("there is no candidate to compare with.")
    own = [entry for entry in repository.entries(request.candidate) if not matches(entry.path, globs)]
    kept = [entry for entry in repository.entries(request.base) if matches(entry.path, globs)]
    entries = tuple(sorted([*own, *kept], key=lambda entry: entry.path))
    _write(repository, entries, folder)
    private = request.rules.private_globs(frozenset(entry.path for entry in entries))
    content = _bytes(repository, request.candidate, request.rules.edit)
    return Overlay(folder, entries, request.rules.edit, {Arm.CANDIDATE: content}, private)


def _candidate(repository: Repository, request: Request, commit: str) -> bytes:
    """The candidate arm's bytes; of a canary with the cheat in them, by this machine's own hand."""
    content = _bytes(repository, commit, request.rules.edit)
    if not request.cheat:
        return content
    try:
        return plant(request.cheat, content, request.rules, claim_of(request.rules, request.calibration))
    except ValueError as error:
        raise Refused(f"The cheat {request.cheat} cannot be planted: {error}.") from None


def _bytes(repository: Repository, commit: str, path: str) -> bytes:
    content = repository.file(commit, path)
    if content is None:
        raise Refused(f"{path} is not in commit {commit[:12]}.")
    return content


def _write(repository: Repository, entries: Iterable[TreeEntry], base: Path) -> None:
    base.mkdir(parents=True, exist_ok=True)
    entries = list(entries)
    by_name: dict[str, list[TreeEntry]] = {}
    for entry in entries:
        if entry.mode != SUBMODULE:
            by_name.setdefault(entry.sha, []).append(entry)
    made: set[str] = set()
    for name, content in repository.blobs(by_name):
        if content is None:
            raise MeasureError(
                f"object {name} of the base is not here",
                "the clone is partial",
                "fetch with all blobs of the base",
            )
        for entry in by_name[name]:
            parent = posixpath.dirname(entry.path)
            if parent not in made:
                (base / parent).mkdir(parents=True, exist_ok=True)
                made.add(parent)
            if entry.mode == SYMLINK:
                target = os.fsdecode(content)
                _stays_inside(entry.path, target)
                (base / entry.path).symlink_to(target)
            else:
                (base / entry.path).write_bytes(content)
                (base / entry.path).chmod(0o755 if entry.mode == "100755" else 0o644)


def _stays_inside(path: str, target: str) -> None:
    reached = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if posixpath.isabs(target) or PurePosixPath(reached).parts[:1] == ("..",):
        raise Refused(
            f"the symbolic link {path} of the base leaves the tree ({target}); remove it from the repository."
        )


def remove(folder: Path) -> None:
    """Delete a folder, whatever a job made of it: unreadable folders, or nested deeper than Python can follow."""
    if not folder.exists():
        return
    try:
        shutil.rmtree(folder)
    except (OSError, RecursionError):
        with contextlib.suppress(OSError):
            subprocess.run(["chmod", "-R", "u+rwX", str(folder)], check=False, capture_output=True)
            subprocess.run(["rm", "-rf", "--", str(folder)], check=False, capture_output=True)
