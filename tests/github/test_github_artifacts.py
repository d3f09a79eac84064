"""The zip that a runner uploads may have been written by the candidate."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from pawl.core.measurement import RECORD_LIMIT, Environment, Record
from pawl.github.artifacts import BadRecord, read_record

RECORD = Record(request="a" * 64, key="1.1", environment=Environment(device="cpu", sandbox="process"))


def packed(files: dict[str, bytes | str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_record_is_read_with_its_text() -> None:
    text = RECORD.model_dump_json(indent=1)
    assert read_record(packed({"record.json": text})) == (RECORD, text)


def changed(**values: object) -> str:
    return json.dumps({**RECORD.model_dump(mode="json"), **values})


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no zip"),
        (b"PK\x03\x04 and then nothing", "no zip"),
        (packed({}), "0 files"),
        (packed({"../record.json": "{}"}), "1 files"),
        (packed({"record.json": "{}", "more": ""}), "2 files"),
        (packed({"record.json": b"\xff"}), "not UTF-8"),
        (packed({"record.json": "{"}), "no record"),
        (packed({"record.json": changed(extra=1)}), "extra"),
        (packed({"record.json": changed(seconds_total=1).replace("1}", "NaN}")}), "no record"),
        (packed({"record.json": "1" * (RECORD_LIMIT + 1)}), "unpack to 4,194,305 bytes"),
    ],
)
def test_everything_else_is_refused_with_a_reason(data: bytes, why: str) -> None:
    with pytest.raises(BadRecord, match=why):
        read_record(data)


def test_a_member_that_lies_about_its_size_is_not_unpacked() -> None:
    """A bomb: the directory says a hundred bytes, the stream holds gigabytes."""
    data = bytearray(packed({"record.json": b"0" * (RECORD_LIMIT + 10)}))
    true = (RECORD_LIMIT + 10).to_bytes(4, "little")
    assert data.count(true) == 2
    for _ in range(2):
        at = data.index(true)
        data[at : at + 4] = (100).to_bytes(4, "little")
    with pytest.raises(BadRecord):
        read_record(bytes(data))


def test_an_encrypted_member_is_refused() -> None:
    data = bytearray(packed({"record.json": "{}"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    with pytest.raises(BadRecord, match="no zip"):
        read_record(bytes(data))
