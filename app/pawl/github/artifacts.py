"""What a job uploaded: a zip that untrusted code may have written, opened without believing anything in it."""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
from pydantic import ValidationError

from pawl.core.measurement import (
    RECORD_LIMIT,
    TRAJECTORIES_LIMIT,
    TRAJECTORY_LIMIT,
    Record,
    Request,
    Strict,
)
from pawl.github.client import Repository
from pawl.github.errors import NotFound

log = structlog.get_logger(__name__)

ARTIFACT = "pawl-record"
"""The artifact's name."""
MEMBER = "record.json"
PROPOSAL_ARTIFACT = "pawl-proposal"
"""The artifact in which a job that proposes hands its edits over, as one file."""
PROPOSAL_MEMBER = "proposal.json"
COMPARISON_ARTIFACT, REQUEST_MEMBER = "pawl-comparison", "request.json"
"""What a job hands over that compared two versions: what it was to measure, beside the record."""
PROPOSAL_LIMIT = 8 * 2**20
"""Bytes of that file: edits of 512 KiB and traces of 2 MiB, for a few lanes."""
TRAJECTORIES = "trajectories.json"
"""What loops over a harness hand in besides; a record without it is as good."""
UNPACKED = {
    MEMBER: RECORD_LIMIT,
    TRAJECTORIES: 2 * TRAJECTORIES_LIMIT,
    PROPOSAL_MEMBER: PROPOSAL_LIMIT,
    REQUEST_MEMBER: RECORD_LIMIT,
}
"""Bytes of each member; a text takes up to twice its bytes as JSON, unless it is all escapes."""
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""As GitHub packs artifacts; LZMA's own header says how much memory it wants."""
_KEY = re.compile(r"(?:baseline|candidate)/[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


S = TypeVar("S", bound=Strict)


class BadRecord(Exception):
    """An artifact that holds no usable file of the kind that is expected; the text says why, for a person."""


@dataclass(frozen=True)
class Handed:
    """What an ended job handed in."""

    record: Record | None = None
    text: str = ""
    """The record as it was uploaded."""
    trouble: str = ""
    """Why there is no record, for a person."""
    trajectories: Mapping[str, str] = field(default_factory=dict)
    """What the task agent did in practice tasks, by ``<arm>/<task>``."""


def fetch_handed(client: Repository, job: int) -> Handed:
    """What an ended job handed in, or why that is nothing."""
    try:
        # The first one: a job that a person ran again must not replace what it measured before.
        return read_handed(_download(client, job, ARTIFACT, RECORD_LIMIT + TRAJECTORIES_LIMIT, which=min))
    except BadRecord as error:
        return Handed(trouble=str(error))


def fetch_proposals(client: Repository, run: int) -> str:
    """The file of proposals that a job of a workflow run handed over.

    Raises:
        BadRecord: there is none, or it cannot be used.
    """
    members = _members(
        _download(client, run, PROPOSAL_ARTIFACT, PROPOSAL_LIMIT), PROPOSAL_ARTIFACT, ([PROPOSAL_MEMBER],)
    )
    try:
        return members[PROPOSAL_MEMBER].decode("utf-8")
    except UnicodeDecodeError:
        raise BadRecord(f"{PROPOSAL_MEMBER} is not UTF-8") from None


def fetch_comparison(client: Repository, run: int) -> tuple[Request, Record]:
    """What a job of a workflow run was to compare, and what it measured.

    Raises:
        BadRecord: there is none, or it cannot be used.
    """
    data = _download(client, run, COMPARISON_ARTIFACT, 2 * RECORD_LIMIT)
    members = _members(data, COMPARISON_ARTIFACT, ([MEMBER, REQUEST_MEMBER],))
    try:
        request, record = (members[name].decode("utf-8") for name in (REQUEST_MEMBER, MEMBER))
    except UnicodeDecodeError:
        raise BadRecord(f"the artifact {COMPARISON_ARTIFACT} is not UTF-8") from None
    return _parsed(Request, request, REQUEST_MEMBER, "request"), _parsed(Record, record, MEMBER, "record")


def _parsed(kind: type[S], text: str, name: str, what: str) -> S:
    try:
        return kind.model_validate_json(text, strict=True)  # no number out of a text, and no 1 out of true
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadRecord(f"{name} is no {what} ({place or 'top'}: {first['msg']})") from None


def _download(
    client: Repository, job: int, name: str, limit: int, which: Callable[[Iterable[int]], int] = max
) -> bytes:
    """The artifact of a name; GitHub keeps one of each attempt of a workflow run, and `which` says whose it is."""
    found = client.pages(f"actions/runs/{job}/artifacts", "artifacts", name=name)
    mine = {int(item["id"]): item for item in found if item["name"] == name}
    if not mine:
        raise BadRecord(f"the job ended without the artifact {name}")
    artifact = mine[which(mine)]
    if artifact["expired"]:
        raise BadRecord(f"the artifact {name} has expired")
    if artifact["size_in_bytes"] > limit:
        raise BadRecord(f"the artifact {name} is larger than {limit:,} bytes")
    try:
        return client.download(f"actions/artifacts/{artifact['id']}/zip", limit)
    except NotFound:
        raise BadRecord(f"the artifact {name} has expired") from None


def read_handed(data: bytes) -> Handed:
    """The record in an artifact's zip, and what else may be in it.

    Only expected members are read, into memory, by their exact names, up to a limit: nothing is ever extracted. Trajectories
    that are not as agreed are left out, for the record says what was measured without them.

    Raises:
        BadRecord: it is no such zip, or the record's member is no record.
    """
    members = _members(data, ARTIFACT, ([MEMBER], [MEMBER, TRAJECTORIES]))
    try:
        text = members[MEMBER].decode("utf-8")
    except UnicodeDecodeError:
        raise BadRecord(f"{MEMBER} is not UTF-8") from None
    record = _parsed(Record, text, MEMBER, "record")
    return Handed(record, text, "", _trajectories(members.get(TRAJECTORIES, b"{}")))


def _members(data: bytes, artifact: str, expected: tuple[list[str], ...]) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [member.filename for member in archive.infolist()]
            if sorted(names) not in expected:
                more = f", and {TRAJECTORIES} of loops with tasks" if artifact == ARTIFACT else ""
                wanted = " and ".join(expected[0])
                raise BadRecord(
                    f"the artifact {artifact} holds {len(names)} files; exactly {wanted} is expected{more}"
                )
            return {member.filename: _unpacked(archive, member) for member in archive.infolist()}
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError, ValueError):
        # RuntimeError: encrypted; NotImplementedError: packed otherwise; ValueError: a place before all bytes, a bad name.
        raise BadRecord(f"the artifact {artifact} is no zip that can be read") from None


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.compress_type not in PACKED:
        raise NotImplementedError(f"packed by {member.compress_type}")
    limit = UNPACKED[member.filename]
    if member.file_size > limit:  # bounds what unpacks, however well it is packed
        raise BadRecord(f"{member.filename} would unpack to {member.file_size:,} bytes")
    with archive.open(member) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise BadRecord(f"{member.filename} is larger than {limit:,} bytes")
    return content


def _trajectories(data: bytes) -> dict[str, str]:
    try:
        told = json.loads(data)
        if not isinstance(told, dict):
            raise ValueError("no object")
        for key, text in told.items():
            if not _KEY.fullmatch(key) or not isinstance(text, str) or len(text.encode()) > TRAJECTORY_LIMIT:
                raise ValueError("a member that is no trajectory")
        if sum(len(text.encode()) for text in told.values()) > TRAJECTORIES_LIMIT:
            raise ValueError("too many bytes")
    except (ValueError, RecursionError) as error:  # also halves of surrogate pairs, which UTF-8 cannot hold
        log.warning("trajectories left out", why=str(error)[:200])
        return {}
    return told
