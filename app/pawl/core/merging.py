"""Three-way merge of an edit onto a branch that has moved."""

from __future__ import annotations

from merge3 import Merge3


def merge_edit(ancestor: bytes, branch: bytes, edit: bytes) -> bytes | None:
    """The edit applied to the branch's present content; none where the two touch the same lines."""
    merge = Merge3(_lines(ancestor), _lines(branch), _lines(edit))
    merged: list[str] = []
    for group in merge.merge_groups():
        if group[0] == "conflict":
            return None
        merged.extend(group[1])
    return "".join(merged).encode("utf-8", errors="surrogateescape")


def _lines(content: bytes) -> list[str]:
    return content.decode("utf-8", errors="surrogateescape").splitlines(keepends=True)
