"""Digests that name what was measured: canonical JSON, file bytes and the inputs of a loop."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; equal values give equal text. NaN and infinities are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256(data: bytes | str) -> str:
    """Hex SHA-256 of bytes, or of a text's UTF-8."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def git_blob_sha(data: bytes) -> str:
    """The name git gives to these bytes as a blob (SHA-1 object format)."""
    return hashlib.sha1(b"blob %d\x00" % len(data) + data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class TreeEntry:
    """One file of a commit's tree, as ``git ls-tree -r`` shows it, or one entry of a folder."""

    path: str
    mode: str
    sha: str


FOLDER = "040000"
"""Mode of a folder in a tree."""


def git_tree_sha(entries: Iterable[TreeEntry]) -> str:
    """The name git gives to a folder with these entries, whose paths are names in it (SHA-1 object format)."""

    def place(entry: TreeEntry) -> bytes:
        return entry.path.encode() + (b"/" if entry.mode == FOLDER else b"")

    lines = (
        f"{entry.mode.lstrip('0')} {entry.path}".encode() + b"\x00" + bytes.fromhex(entry.sha)
        for entry in sorted(entries, key=place)
    )
    data = b"".join(lines)
    return hashlib.sha1(b"tree %d\x00" % len(data) + data, usedforsecurity=False).hexdigest()


@lru_cache(maxsize=512)
def _pattern(glob: str) -> re.Pattern[str]:
    """A glob over repository paths: ``**`` crosses folders, ``*`` and ``?`` do not, a final ``/`` means all below."""
    if glob.endswith("/"):
        glob += "**"
    out = ""
    position = 0
    while position < len(glob):
        if glob.startswith("**/", position):
            out, position = out + "(?:.*/)?", position + 3
        elif glob.startswith("**", position):
            out, position = out + ".*", position + 2
        elif glob[position] == "*":
            out, position = out + "[^/]*", position + 1
        elif glob[position] == "?":
            out, position = out + "[^/]", position + 1
        else:
            out, position = out + re.escape(glob[position]), position + 1
    return re.compile(out, re.DOTALL)  # a path may hold a line break


def matches(path: str, globs: Iterable[str]) -> bool:
    """Whether a repository path matches one of the globs."""
    return any(_pattern(glob).fullmatch(path) for glob in globs)


def inputs_digest(
    entries: Iterable[TreeEntry],
    include: Iterable[str],
    exclude: Iterable[str],
    rules: str,
    replaced: Mapping[str, str] | None = None,
) -> str:
    """The name of the base a measurement was made on.

    Args:
        entries: every file of the base's tree.
        include: globs of the files that can influence a measurement.
        exclude: globs of those among them that cannot (the program, say).
        rules: digest of the loop's own rules; a changed budget is another measurement.
        replaced: blob names to put in the place of the tree's, by path: the base as it would be after a merge.
    """
    include, exclude = tuple(include), tuple(exclude)
    replaced = replaced or {}
    lines = sorted(
        f"{entry.mode} {replaced.get(entry.path, entry.sha)} {entry.path}"
        for entry in entries
        if matches(entry.path, include) and not matches(entry.path, exclude)
    )
    return sha256("\0".join([rules, *lines]))  # the one character that no path holds
