"""Takes the one declared file out of a dead run's folder, and checks that it is only data."""

from __future__ import annotations

import ast
import json
import os
import re
import stat
import struct
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from pawl.core.config_parts import Artifact
from pawl.core.digest import sha256
from pawl.lab.output import one_line
from pawl.lab.readings import strict_json

MAX_HEADER = 16 * 2**20
_NPY_TYPE = re.compile(r"[<>|=]?(?:b1|[iufc][1-9]\d?|[SU]\d{1,4})")
_NPY_SIZES = {1: ("<H", 2), 2: ("<I", 4), 3: ("<I", 4)}
_SAFETENSORS_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64, "F4": 4,
}  # fmt: skip


class Invalid(Exception):
    """The file is missing, or is not what was declared; in words for a person."""


def take(tree: Path, path: str, target: Path, limit: int) -> int:
    """Copy one regular file out of a tree that hostile code has written to. Follows no link anywhere on the way.

    Args:
        tree: the folder the path is relative to; this one is trusted.
        path: with ``/`` between folders, and no ``..``.
        target: a file to make.
        limit: bytes.

    Returns:
        The file's size in bytes.

    Raises:
        Invalid: there is no such regular file, a link stands in the way, or it is too large.
    """
    *folders, name = PurePosixPath(path).parts
    here = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
        # O_NONBLOCK: opening a FIFO must not wait for a writer.
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
    except FileNotFoundError:
        raise Invalid(f"the run left no file {path}") from None
    except OSError:
        raise Invalid(
            f"{path} is no regular file reached through real folders (links are not followed)"
        ) from None
    finally:
        os.close(here)
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise Invalid(f"{path} is no regular file")
    with os.fdopen(handle, "rb") as source:
        if status.st_size > limit:
            raise Invalid(f"{path} has {status.st_size:,} bytes, {limit:,} are allowed")
        with target.open("xb") as copy:
            copied = 0
            while copied <= limit and (data := source.read(2**20)):
                copied += copy.write(data)
    if copied > limit:
        raise Invalid(f"{path} has more than the {limit:,} bytes that are allowed")
    return copied


def check(path: Path, declared: Artifact) -> str:
    """The digest of an artifact that is what its format says.

    Raises:
        Invalid: it is not.
    """
    try:
        _CHECKS[declared.format](path)
    except (ValueError, SyntaxError, RecursionError, MemoryError, OverflowError, struct.error) as error:
        raise Invalid(
            f"{declared.path} is no valid {declared.format} file: {one_line(str(error), 200)}"
        ) from None
    return sha256(path.read_bytes())


def _json(path: Path) -> None:
    strict_json(path.read_bytes().decode("utf-8"))


def _npy(path: Path) -> None:
    """A plain array of numbers (format: numpy.lib.format). Object arrays are pickles, so they are refused."""
    with path.open("rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise ValueError("the magic bytes are missing")
        layout, size = _NPY_SIZES.get(file.read(2)[0], ("", 0))
        if not layout:
            raise ValueError("unknown version")
        (length,) = struct.unpack(layout, file.read(size))
        if length > 10_000:
            raise ValueError("the header is too long")
        header = ast.literal_eval(file.read(length).decode("utf-8").strip())
        if not isinstance(header, dict) or header.keys() != {"descr", "fortran_order", "shape"}:
            raise ValueError("the header has other keys than descr, fortran_order and shape")
        descr, shape = header["descr"], header["shape"]
        if not isinstance(descr, str) or not _NPY_TYPE.fullmatch(descr):
            raise ValueError(f"arrays of type {descr!r} are not allowed")
        if not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
            raise ValueError("the shape is no tuple of sizes")
        kind, width = re.sub(r"^[<>|=]", "", descr)[0], int(re.sub(r"\D", "", descr))
        expected = width * (4 if kind == "U" else 1)
        for side in shape:
            expected *= side
        if path.stat().st_size - file.tell() != expected:
            raise ValueError("the data is not as long as the header says")


def _safetensors(path: Path) -> None:
    """Header sanity (format: huggingface/safetensors README): tensors lie end to end and fill the file."""
    total = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(MAX_HEADER, total - 8):
            raise ValueError("the header is longer than the file, or than is allowed")
        header = strict_json(file.read(length).decode("utf-8"))
    if not isinstance(header, dict):
        raise ValueError("the header is no JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("__metadata__ is no mapping of strings")
    spans = []
    for name, tensor in header.items():
        bits, (begin, end) = _SAFETENSORS_BITS.get(tensor["dtype"], 0), tensor["data_offsets"]
        for side in tensor["shape"]:
            if type(side) is not int or side < 0:
                raise ValueError("a shape is no list of sizes")
            bits *= side
        if type(begin) is not int or type(end) is not int or _SAFETENSORS_BITS.get(tensor["dtype"]) is None:
            raise ValueError(f"the tensor {json.dumps(name)} is not described as agreed")
        if bits % 8 or end - begin != bits // 8:
            raise ValueError(f"the tensor {json.dumps(name)} is not as long as its shape says")
        spans.append((begin, end))
    reached = 0
    for begin, end in sorted(spans):
        if begin != reached:
            raise ValueError("tensors overlap, or leave gaps")
        reached = end
    if reached != total - 8 - length:
        raise ValueError("the tensors do not fill the file")


def _safetensors_shape(path: Path) -> None:
    try:
        _safetensors(path)
    except (KeyError, TypeError, AttributeError):
        raise ValueError("the header is not as agreed") from None


_CHECKS: dict[str, Callable[[Path], None]] = {
    "json": _json,
    "npy": _npy,
    "safetensors": _safetensors_shape,
    "binary": lambda path: None,
}
