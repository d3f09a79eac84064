"""The zip that a runner uploads may have been written by the candidate."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import suppress

import pytest

from pawl.core.measurement import RECORD_LIMIT, TRAJECTORIES_LIMIT, TRAJECTORY_LIMIT, Environment, Record
from pawl.github.artifacts import BadRecord, Handed, read_handed

RECORD = Record(request="a" * 64, key="1.1", environment=Environment(device="cpu", sandbox="process"))


def packed(files: dict[str, bytes | str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_record_is_read_with_its_text() -> None:
    text = RECORD.model_dump_json(indent=1)
    assert read_handed(packed({"record.json": text})) == Handed(RECORD, text)


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
        (packed({"record.json": changed(seconds_total="1.0")}), "seconds_total"),
        (packed({"record.json": changed(seconds_total=True)}), "seconds_total"),
        (packed({"record.json": "1" * (RECORD_LIMIT + 1)}), "unpack to 4,194,305 bytes"),
    ],
)
def test_everything_else_is_refused_with_a_reason(data: bytes, why: str) -> None:
    with pytest.raises(BadRecord, match=why):
        read_handed(data)


def test_a_member_that_lies_about_its_size_is_not_unpacked() -> None:
    """A bomb: the directory says a hundred bytes, the stream holds gigabytes."""
    data = bytearray(packed({"record.json": b"0" * (RECORD_LIMIT + 10)}))
    true = (RECORD_LIMIT + 10).to_bytes(4, "little")
    assert data.count(true) == 2
    for _ in range(2):
        at = data.index(true)
        data[at : at + 4] = (100).to_bytes(4, "little")
    with pytest.raises(BadRecord):
        read_handed(bytes(data))


@pytest.mark.parametrize("way", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_is_packed_as_github_never_does_is_not_unpacked(way: int) -> None:
    """The header of LZMA says how much memory is wanted, and its errors are of a kind of their own."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", way) as archive:
        archive.writestr("record.json", RECORD.model_dump_json())
    with pytest.raises(BadRecord, match="no zip"):
        read_handed(buffer.getvalue())


@pytest.mark.parametrize("byte", [0, 7, 255])
def test_no_damage_makes_more_than_a_bad_record(byte: int) -> None:
    """One wrong byte in the list of members is a place before the first byte, or a name that is no text. Neither was
    expected: each look at the loop ended in a traceback, for as long as the artifact was there."""
    whole = packed({"record.json": RECORD.model_dump_json()})
    for place in range(len(whole)):
        with suppress(BadRecord):
            read_handed(whole[:place] + bytes([byte]) + whole[place + 1 :])


def test_an_encrypted_member_is_refused() -> None:
    data = bytearray(packed({"record.json": "{}"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    with pytest.raises(BadRecord, match="no zip"):
        read_handed(bytes(data))


TOLD = {"candidate/sum-3": '{"steps": []}', "baseline/sum-3": "{}"}


def test_trajectories_come_beside_the_record() -> None:
    files = {"record.json": RECORD.model_dump_json(), "trajectories.json": json.dumps(TOLD)}
    assert read_handed(packed(files)).trajectories == TOLD


@pytest.mark.parametrize(
    "told",
    [
        "no json",
        "[]",
        '{"candidate/sum-3": {"steps": []}}',
        '{"candidate/../../x": "{}"}',
        '{"seal/sum-3": "{}"}',
        '{"candidate/sum-3": "\\ud800"}',
        json.dumps({"candidate/a": "x" * (TRAJECTORY_LIMIT + 1)}),
        json.dumps({f"candidate/a{number}": "x" * 2**20 for number in range(9)}),
        "[" * 100_000,
    ],
)
def test_trajectories_that_are_none_are_left_out_and_the_record_counts(told: str) -> None:
    handed = read_handed(packed({"record.json": RECORD.model_dump_json(), "trajectories.json": told}))
    assert (handed.record, handed.trajectories) == (RECORD, {})


def test_trajectories_cannot_fill_the_memory() -> None:
    """They would unpack to more than may be read: then nothing of the artifact is believed."""
    files = {"record.json": RECORD.model_dump_json(), "trajectories.json": "0" * (2 * TRAJECTORIES_LIMIT + 1)}
    with pytest.raises(BadRecord, match=r"trajectories\.json would unpack"):
        read_handed(packed(files))
