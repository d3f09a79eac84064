"""The branch ``pawl/ledger``: read segment by segment, appended to only on top of what was seen."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from pawl.core.chain import (
    LEDGER_BRANCH,
    LedgerError,
    check_chain,
    head_of,
    parse_lines,
    segment_path,
    written_digests,
)
from pawl.core.ledger import AnyLine, AskLine
from pawl.github.client import Repository
from pawl.github.errors import Conflict, Moved, NotFound, Unobservable, Unprocessable, in_the_way
from pawl.github.facet_refs import Refs
from pawl.github.objects import Commit, Objects

_SEGMENT = re.compile(r"ledger-[0-9]{4,}\.jsonl")


@dataclass(frozen=True)
class _Seen:
    """A loop's lines as they were on one tip of the branch."""

    tip: str
    segments: Mapping[str, str]
    """Names of the segments, with the names of their content."""
    lines: tuple[AnyLine, ...]


@dataclass(frozen=True)
class _Segment:
    """A segment that was read: its lines, and the digest of each as it stands there."""

    lines: list[AnyLine]
    digests: list[str]


class LedgerBranch:
    """The ledgers of a repository's loops, as far as they were read. A full segment never changes, so it is read once.

    Args:
        client: the repository.
        refs: its branches.
        objects: its objects.
        writer: names who appends. Two that append the same lines in the same second would make the same commit, and both
            take it for their own.
    """

    def __init__(self, client: Repository, refs: Refs, objects: Objects, writer: str) -> None:
        self._client, self._refs, self._objects = client, refs, objects
        self._writer = writer
        self._seen: dict[str, _Seen] = {}
        self._parsed: dict[str, dict[str, _Segment]] = {}

    def lines(self, loop: str) -> tuple[AnyLine, ...]:
        """A loop's ledger, oldest line first; empty before the first one.

        Raises:
            LedgerError: the branch is not what Pawl wrote.
        """
        tip = self._refs.own().get(LEDGER_BRANCH)
        if tip is None:
            return ()
        seen = self._seen.get(loop)
        if seen is None or seen.tip != tip:
            segments = self._segments(loop, tip)
            if seen is not None and seen.segments == segments:
                seen = replace(seen, tip=tip)
            else:
                seen = _Seen(tip, segments, self._read(loop, segments))
            self._seen[loop] = seen
        return seen.lines

    def asked(self, loops: Iterable[str]) -> tuple[AskLine, ...]:
        """What people asked these loops for. A ledger that cannot be read says nothing: its own loop tells of that."""
        found = list[AskLine]()
        for loop in loops:
            with suppress(LedgerError):
                found += (line for line in self.lines(loop) if isinstance(line, AskLine))
        return tuple(found)

    def append(self, loop: str, lines: Sequence[AnyLine], files: Mapping[str, str], message: str) -> bool:
        """Add lines, and files beside them, in one commit; whether any line was not there already.

        Args:
            loop: whose ledger.
            lines: in order, chained behind the ledger as it was seen.
            files: text by path on the branch.
            message: of the commit.

        Raises:
            Moved: the ledger has gone on since it was seen.
        """
        known = self.lines(loop)
        keys = {line.key for line in known}
        fresh = [line for line in lines if line.key not in keys]
        if not fresh:
            return False
        seq, prev = head_of(known)
        if (fresh[0].seq, fresh[0].prev) != (seq + 1, prev):
            raise Moved(f"the ledger of {loop} has gone on to line {seq} since it was looked at")
        texts = dict(files)
        changed = {segment_path(loop, line.seq) for line in fresh}
        lasting = [*known, *fresh]
        for path in changed:
            here = [line for line in lasting if segment_path(loop, line.seq) == path]
            texts[path] = "".join(f"{line.text}\n" for line in here)
        old = self._refs.own().get(LEDGER_BRANCH)
        segments = dict(self._seen[loop].segments) if loop in self._seen else {}
        message = f"{message}\n\nPawl-Writer: {self._writer}"
        commit = self._appended(old, texts, segments, message)
        self._objects.put_commit(commit)
        self._refs.put(LEDGER_BRANCH, commit.sha)
        if old is not None and commit.parents != (old,):
            return True  # other loops have written in between: what they wrote is read
        # The new lines are what was written: nothing of this needs to be read back.
        names = {path: self._objects.put_blob(text.encode()) for path, text in texts.items()}
        self._objects.put_files(commit, old, names)
        for path in changed:
            segments[_name(path)] = names[path]
        for other, seen in self._seen.items():
            if seen.tip == old:
                self._seen[other] = replace(seen, tip=commit.sha)
        self._seen[loop] = _Seen(commit.sha, segments, tuple(lasting))
        return True

    def _appended(
        self, parent: str | None, texts: Mapping[str, str], segments: Mapping[str, str], message: str
    ) -> Commit:
        """The commit that adds these texts.

        One text alone is put in place by one request, which GitHub refuses where that segment is no longer what was seen.
        A new segment has no content that could tell of the lines before it: there the branch's tip is the guard. What else
        keeps a text out is told by the longer way, too.
        """
        (path, text), *more = texts.items()
        if parent is not None and not more and (seen := segments.get(_name(path))) is not None:
            body = {
                "message": message,
                "content": base64.b64encode(text.encode()).decode(),
                "branch": LEDGER_BRANCH,
                "sha": seen,
            }
            with suppress(Conflict, NotFound, Unprocessable):
                return Commit.read(self._client.put(f"contents/{path}", body)["commit"])
        return self._commit(parent, texts, message)

    def _commit(self, parent: str | None, texts: Mapping[str, str], message: str) -> Commit:
        """One commit on top of the parent, or the branch's first."""
        client, objects = self._client, self._objects
        files = [
            {"path": path, "mode": "100644", "type": "blob", "content": text} for path, text in texts.items()
        ]
        body: dict[str, Any] = {"tree": files}
        if parent is not None:
            body["base_tree"] = objects.commit(parent).tree
        tree = client.post("git/trees", body)["sha"]
        parents = (parent,) if parent else ()
        body = {"message": message, "tree": tree, "parents": list(parents)}
        commit = client.post("git/commits", body)["sha"]
        try:
            if parent is None:
                client.post("git/refs", {"ref": f"refs/heads/{LEDGER_BRANCH}", "sha": commit})
            else:
                client.patch(f"git/refs/heads/{LEDGER_BRANCH}", {"sha": commit, "force": False})
        except Unprocessable as error:
            if error.in_the_way:
                raise Unobservable(in_the_way(LEDGER_BRANCH)) from error
            if not (error.not_fast_forward or error.already_exists):
                raise
            raise Moved(f"the branch {LEDGER_BRANCH} has moved: {error.message}") from error
        return Commit(commit, tree, parents, message)

    def _segments(self, loop: str, tip: str) -> dict[str, str]:
        objects = self._objects
        folder = objects.folder(tip).get(loop)
        if folder is None:
            return {}
        inside = objects.folder(folder.sha)
        return {name: entry.sha for name, entry in inside.items() if _SEGMENT.fullmatch(name)}

    def _read(self, loop: str, segments: Mapping[str, str]) -> tuple[AnyLine, ...]:
        before, parsed = self._parsed.get(loop, {}), dict[str, _Segment]()
        with ThreadPoolExecutor(
            1
        ) as ahead:  # one request after the other still, and the answers read meanwhile
            texts = ahead.map(self._text, [sha for _, sha in sorted(segments.items()) if sha not in before])
            for name, sha in sorted(segments.items()):
                parsed[sha] = before[sha] if sha in before else _parsed(next(texts), f"{loop}/{name}")
        lines = tuple(line for part in parsed.values() for line in part.lines)
        check_chain(lines, [digest for part in parsed.values() for digest in part.digests])
        self._parsed[loop] = parsed
        return lines

    def _text(self, sha: str) -> str:
        return self._objects.blob(sha).decode("utf-8", errors="replace")


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _parsed(text: str, path: str) -> _Segment:
    return _Segment(parse_lines(text, f"{path} on {LEDGER_BRANCH}"), written_digests(text))
