"""The record a job uploaded: a zip that untrusted code may have written, opened without believing anything in it."""

from __future__ import annotations

import io
import zipfile
import zlib

from pydantic import ValidationError

from pawl.core.measurement import RECORD_LIMIT, Record
from pawl.github.client import Repository
from pawl.github.errors import NotFound

ARTIFACT = "pawl-record"
"""The artifact's name."""
MEMBER = "record.json"


class BadRecord(Exception):
    """An artifact that holds no usable record; the text says why, for a person."""


def fetch_record(client: Repository, job: int) -> tuple[Record | None, str, str]:
    """What an ended job handed in: the record, its text, and why it has none, for a person."""
    found = client.get(f"actions/runs/{job}/artifacts", name=ARTIFACT)["artifacts"]
    usable = [item for item in found if item["name"] == ARTIFACT and not item["expired"]]
    if not usable:
        return None, "", f"the job ended without the artifact {ARTIFACT}"
    # The first one: a job that a person ran again must not replace what it measured before.
    artifact = min(usable, key=lambda item: int(item["id"]))
    if artifact["size_in_bytes"] > RECORD_LIMIT:
        return None, "", f"the artifact {ARTIFACT} is larger than {RECORD_LIMIT:,} bytes"
    try:
        record, text = read_record(client.download(f"actions/artifacts/{artifact['id']}/zip", RECORD_LIMIT))
    except NotFound:
        return None, "", f"the artifact {ARTIFACT} has expired"
    except BadRecord as error:
        return None, "", str(error)
    return record, text, ""


def read_record(data: bytes) -> tuple[Record, str]:
    """The record in an artifact's zip, and its text as it was uploaded.

    Only the one expected member is read, into memory, by its exact name, up to a limit: nothing is ever extracted.

    Raises:
        BadRecord: it is no such zip, or the member is no record.
    """
    text = _member(data)
    try:
        return Record.model_validate_json(text), text
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadRecord(f"{MEMBER} is no record ({place or 'top'}: {first['msg']})") from None


def _member(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [member.filename for member in archive.infolist()]
            if names != [MEMBER]:
                raise BadRecord(
                    f"the artifact {ARTIFACT} holds {len(names)} files; exactly {MEMBER} is expected"
                )
            member = archive.infolist()[0]
            if member.file_size > RECORD_LIMIT:  # bounds what unpacks, however well it is packed
                raise BadRecord(f"{MEMBER} would unpack to {member.file_size:,} bytes")
            with archive.open(member) as file:
                content = file.read(RECORD_LIMIT + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError):
        # RuntimeError: encrypted; NotImplementedError: a way of packing that zipfile does not know.
        raise BadRecord(f"the artifact {ARTIFACT} is no zip that can be read") from None
    if len(content) > RECORD_LIMIT:
        raise BadRecord(f"{MEMBER} is larger than {RECORD_LIMIT:,} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRecord(f"{MEMBER} is not UTF-8") from None
