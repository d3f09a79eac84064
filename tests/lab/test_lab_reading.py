"""Numbers and files that hostile code may have written are read strictly."""

from __future__ import annotations

import contextlib
import json
import math
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.core.config_parts import Artifact, Metric
from pawl.lab import artifact
from pawl.lab.output import HEAD_BYTES, TAIL_BYTES, Capture, last_complaint, one_line, plain, tail
from pawl.lab.readings import evaluator_answer, printed_guards, printed_metric, strict_json

BPB = Metric(name="val_bpb", goal="minimize")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("val_bpb:          0.997900\npeak_vram_mb:     45060.2", 0.9979),
        ("val_bpb=0.5", 0.5),
        ("val_bpb 1e-3", 0.001),
        ("  val_bpb: -2.5, better", -2.5),
        ("step 3\rstep 4\rval_bpb: 3", 3.0),
        ("val_bpb: 1\nval_bpb: 2\nbest val_bpb: 0", 2.0),
        ("my_val_bpb: 1", None),
        ("val_bpb: ", None),
        ("val_bpb: 1.0x", None),
    ],
)
def test_the_printed_metric_is_the_last_line_that_names_it(text: str, value: float | None) -> None:
    assert printed_metric(text, BPB) == value


def test_nan_is_read_as_nan() -> None:
    value = printed_metric("val_bpb: 1\nval_bpb: NaN", BPB)
    assert value is not None
    assert math.isnan(value)


def test_only_guards_that_are_named_are_read() -> None:
    assert printed_guards("peak_vram_mb: 45060.2\nmfu: 39\nloss: nan", ["peak_vram_mb", "loss"]) == {
        "peak_vram_mb": 45060.2
    }


@given(st.text(max_size=200))
def test_no_text_breaks_the_readers(text: str) -> None:
    printed_metric(text, BPB)
    assert evaluator_answer(text, "val_bpb").status in ("ok", "invalid", "violation", "failed")
    last_complaint(text)
    assert len(one_line(text)) <= 300
    assert plain(plain(text)) == plain(text)


VALUES = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)


@given(st.dictionaries(st.text(max_size=8), VALUES))
def test_strict_json_reads_what_json_writes(value: dict[str, object]) -> None:
    assert strict_json(json.dumps(value)) == value


@pytest.mark.parametrize("text", ["NaN", "[1e400]", '{"a": 1, "a": 1}', "Infinity", "[" * 100_000, "", "1 2"])
def test_strict_json_refuses_the_rest(text: str) -> None:
    with pytest.raises(ValueError):
        strict_json(text)


def test_a_capture_keeps_head_and_tail_and_counts_the_rest() -> None:
    capture = Capture()
    for _ in range(100):
        capture.feed(b"a" * 9_999 + b"\n")
    capture.feed(b"the end")
    assert capture.text.endswith("the end")
    assert len(capture.text) < HEAD_BYTES + TAIL_BYTES + 100
    assert f"[{1_000_007 - HEAD_BYTES - TAIL_BYTES:,} bytes not kept]" in capture.text
    assert tail(capture.text, 7) == "the end"


def test_a_crash_is_explained_by_its_exception() -> None:
    log = "Traceback (most recent call last):\n  File x\ntorch.cuda.OutOfMemoryError: CUDA out of memory.\ncleaning up\n"
    assert last_complaint(log) == "torch.cuda.OutOfMemoryError: CUDA out of memory."
    assert last_complaint("sh: 1: pyhton: not found\n") == "sh: 1: pyhton: not found"


def npy(descr: str = "<f4", shape: str = "(2, 3)", data: int = 24, version: bytes = b"\x01\x00") -> bytes:
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + b"\0" * data


def safetensors(header: object, data: int = 8) -> bytes:
    text = header.encode() if isinstance(header, str) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * data


TENSOR = {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("json", b'{"a": [1, 2.5, null]}'),
        ("npy", npy()),
        ("npy", npy("|b1", "()", 1)),
        ("npy", npy("<U3", "(2,)", 24)),
        ("safetensors", safetensors(TENSOR)),
        ("safetensors", safetensors({**TENSOR, "__metadata__": {"format": "pt"}})),
        ("safetensors", safetensors({}, 0)),
        ("binary", b"\x80\x04anything"),
    ],
)
def test_good_artifacts_pass(tmp_path: Path, kind: str, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    assert len(artifact.check(path, Artifact.model_validate({"path": "x", "format": kind}))) == 64


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("json", b"\xff"),
        ("npy", b""),
        ("npy", npy()[:-1]),
        ("npy", npy() + b"x"),
        ("npy", npy("|O", "(1,)", 8)),
        ("npy", npy(shape="(-1,)")),
        ("npy", npy(shape="(True,)", data=4)),
        ("npy", npy(shape="__import__('os')")),
        ("npy", npy(version=b"\x09\x00")),
        ("npy", b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31)),
        ("safetensors", b"\0" * 7),
        ("safetensors", struct.pack("<Q", 2**60) + b"{}"),
        ("safetensors", safetensors(TENSOR, 9)),
        ("safetensors", safetensors({"w": {**TENSOR["w"], "data_offsets": [0, 4]}}, 4)),
        ("safetensors", safetensors({"w": {**TENSOR["w"], "dtype": "OBJECT"}})),
        ("safetensors", safetensors({"w": {"dtype": "F32"}})),
        ("safetensors", safetensors([1])),
        ("safetensors", safetensors({**TENSOR, "v": TENSOR["w"]})),
        ("safetensors", safetensors('{"w": 1, "w": 2}', 0)),
        ("safetensors", safetensors({"__metadata__": {"a": 1}}, 0)),
    ],
)
def test_bad_artifacts_are_invalid_and_nothing_else(tmp_path: Path, kind: str, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(artifact.Invalid):
        artifact.check(path, Artifact.model_validate({"path": "x", "format": kind}))


@given(st.binary(max_size=300), st.sampled_from(["json", "npy", "safetensors"]))
def test_any_bytes_pass_or_are_invalid(content: bytes, kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes((b"\x93NUMPY\x01\x00" if kind == "npy" else b"") + content)
        with contextlib.suppress(artifact.Invalid):
            artifact.check(path, Artifact.model_validate({"path": "x", "format": kind}))
