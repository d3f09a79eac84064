"""Reads for a proposer: the base's files and the public history, fixed to one moment and apart from the facets of looks."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from pawl.core.chain import experiment_folder
from pawl.core.measurement import RECORD_LIMIT, Record
from pawl.github.client import Repository
from pawl.github.errors import NotFound
from pawl.github.objects import Objects
from pawl.github.traces import trace_ref

FILE_LIMIT = 10**6
"""Bytes of one file that is read."""
ARCHIVE_LIMIT = 100 * 10**6
"""Bytes of the packed base."""


@dataclass(frozen=True)
class Moment:
    """A loop at one moment."""

    loop: str
    """Its name."""
    base: str
    """Commit whose files are read."""
    ledger: str | None
    """Tip of the ledger's branch; none before the first line."""


class Reading:
    """What can be read of a repository at one moment.

    Args:
        client: the repository.
        objects: its immutable objects, which looks share.
        moment: which loop, and when.
        hidden: whether a path of the base is kept from proposers.
    """

    def __init__(
        self, client: Repository, objects: Objects, moment: Moment, hidden: Callable[[str], bool]
    ) -> None:
        self._client, self._objects = client, objects
        self._moment, self._hidden = moment, hidden

    def blobs(self) -> dict[str, str]:
        """Regular files of the base that may be shown, with the names of their contents."""
        entries = self._objects.entries(self._objects.commit(self._moment.base).tree)
        regular = (entry for entry in entries if entry.mode in ("100644", "100755"))
        return {entry.path: entry.sha for entry in regular if not self._hidden(entry.path)}

    def blob(self, sha: str) -> bytes:
        """A file's bytes."""
        return self._objects.blob(sha)

    def archive(self) -> Iterator[tuple[str, bytes, bool]]:
        """The base's regular files that may be shown: path, bytes, whether it can be executed. One request for all."""
        data = self._objects.archive(self._moment.base, ARCHIVE_LIMIT)
        shown = self.blobs()
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as packed:
            for member in packed:
                # GitHub puts everything into one folder, named after the repository and the commit.
                path = str(PurePosixPath(*PurePosixPath(member.name).parts[1:]))
                if not member.isreg() or path not in shown or member.size > FILE_LIMIT:
                    continue
                file = packed.extractfile(member)
                if file is not None:
                    yield path, file.read(FILE_LIMIT), bool(member.mode & 0o100)

    def concluded(self, number: int, name: str) -> bytes | None:
        """A file that the ledger's branch keeps beside an experiment's verdict; none where there is none."""
        here = self._moment.ledger
        for part in (*PurePosixPath(experiment_folder(self._moment.loop, number)).parts, name):
            entry = self._objects.folder(here).get(part) if here is not None else None
            here = entry.sha if entry is not None else None
        return self._objects.blob(here) if here is not None else None

    def record(self, number: int) -> Record | None:
        """The record behind an experiment's last verdict."""
        data = self.concluded(number, "record.json")
        return Record.model_validate_json(data) if data is not None and len(data) <= RECORD_LIMIT else None

    def traces(self, number: int) -> dict[str, str]:
        """Traces that are kept of an experiment, by path, with the names of their contents."""
        try:
            tip = self._client.get(f"git/{trace_ref(self._moment.loop, number).replace('refs/', 'ref/', 1)}")[
                "object"
            ]["sha"]
        except NotFound:
            return {}
        return {entry.path: entry.sha for entry in self._objects.entries(self._objects.commit(tip).tree)}
