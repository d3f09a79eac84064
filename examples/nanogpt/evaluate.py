"""Ask a trained model about text it has not seen, and score its answers in bits per byte. Needs numpy only.

Base code: it owns the targets, the softmax over all 256 bytes and the count of bytes. It runs twice:

    PAWL_PHASE=ask      writes PAWL_INPUTS/tokens.npy: ROWS windows of the split, and some trick rows among them
    PAWL_PHASE=score    reads PAWL_ARTIFACT: logits.npy, float32, for each token asked the logits of the next byte

The windows of a split are the same every time, so that two scores differ by the models alone. The trick rows
are drawn anew for every run. Each is a copy of a window, elsewhere, and must get the same answers again:
unchanged (an answer may not depend on the order or number of the rows), or with other bytes from some place on
(an answer may not depend on bytes that come later).

The last line of the output is one JSON object: {"val_bpb": 2.1}, {"invalid": "the reason"}
or {"violation": "the reason"}.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROWS = 384  # windows per split: 24,576 scored bytes
CONTEXT = 64  # tokens per row; the first target is the second byte of a window
REPEATED = 32  # trick rows that are exact copies
PERTURBED = 96  # trick rows whose end is replaced
BYTES = 256
TOLERANCE = 2e-3  # nats of a log-probability: float32 kernels differ by 1e-5 with the shape of a batch,
#                   and a model that peeks for less than this gains less than 0.003 bits per byte
LARGEST_LOGIT = 1e4  # beyond it float32 leaves rounding errors above TOLERANCE, and no model needs it


class InvalidAnswer(Exception):
    """The artifact cannot be scored. The message says why, to a person."""


class Violation(Exception):
    """The answers show that the model cheats. The message says how, to a person."""


@dataclass(frozen=True)
class Exam:
    """What is asked in one run of one split, and what is needed to mark it."""

    tokens: NDArray[np.uint8]  # (ROWS + REPEATED + PERTURBED, CONTEXT): the questions, in the order asked
    targets: NDArray[np.uint8]  # (ROWS, CONTEXT): the byte after each token of a window
    window_at: NDArray[np.intp]  # (ROWS,): where among the questions a window is
    trick_at: NDArray[np.intp]  # (REPEATED + PERTURBED,): where a trick row is,
    trick_of: NDArray[np.intp]  # the window that it copies,
    trick_same: NDArray[np.intp]  # and how many of its first tokens are the same


def set_exam(text: NDArray[np.uint8], seed: str) -> Exam:
    """Draw the exam of a split. The same text and seed give the same exam, in both phases."""
    starts = np.linspace(0, len(text) - CONTEXT - 1, ROWS).astype(np.intp)
    windows = text[starts[:, None] + np.arange(CONTEXT + 1)]
    tokens, targets = windows[:, :-1], windows[:, 1:]

    # The draw depends on the unseen text too, so that whoever knows the seed cannot tell the trick rows.
    digest = hashlib.sha256(seed.encode() + b"\n" + text.tobytes()).digest()
    draw = np.random.default_rng(int.from_bytes(digest, "big"))
    of = draw.choice(ROWS, REPEATED + PERTURBED, replace=False)
    same = np.full(len(of), CONTEXT)
    same[REPEATED:] = draw.integers(1, CONTEXT, PERTURBED)
    # Later bytes are moved by 1 to 255, so that each one differs from the window's.
    shift = draw.integers(1, BYTES, (len(of), CONTEXT), dtype=np.uint8)
    tricks = np.where(np.arange(CONTEXT) < same[:, None], tokens[of], tokens[of] + shift)

    places = draw.permutation(ROWS + len(of))
    questions = np.empty((len(places), CONTEXT), dtype=np.uint8)
    questions[places] = np.concatenate([tokens, tricks])
    return Exam(questions, targets, places[:ROWS], places[ROWS:], of, same)


def read_logits(path: Path, exam: Exam) -> NDArray[np.float32]:
    """The answers, in the order asked, or raise InvalidAnswer."""
    try:
        logits = np.asarray(np.lib.format.open_memmap(path, mode="r"))  # reads no pickle, trusts no size
    except (ValueError, OSError, OverflowError, RecursionError):
        raise InvalidAnswer("the answer is no .npy file of plain numbers") from None
    shape = (*exam.tokens.shape, BYTES)
    if logits.dtype != np.dtype("<f4") or logits.shape != shape:
        raise InvalidAnswer(f"the answer must be float32 of shape {shape}")
    if not (np.abs(logits) <= LARGEST_LOGIT).all():  # NaN compares false, so it fails too
        raise InvalidAnswer(f"the answer holds a number that is not finite, or beyond {LARGEST_LOGIT:g}")
    return logits


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log-probabilities in nats. The sum over the bytes is taken in float64."""
    shifted: NDArray[np.float32] = logits - logits.max(axis=-1, keepdims=True)
    total: NDArray[np.float64] = np.exp(shifted).sum(axis=-1, keepdims=True, dtype=np.float64)
    return shifted - np.log(total).astype(np.float32)


def mark(logits: NDArray[np.float32], exam: Exam) -> float:
    """Bits per byte of the answers, or raise Violation."""
    answers = log_softmax(logits)
    for at, of, same in zip(exam.trick_at, exam.trick_of, exam.trick_same, strict=True):
        twin = answers[exam.window_at[of]]
        if np.abs(answers[at, :same] - twin[:same]).max() > TOLERANCE:
            if same == CONTEXT:
                raise Violation("the same row got other answers elsewhere: rows are not answered one by one")
            raise Violation(f"other bytes after byte {same} of a row changed answers before: not causal")
    right = np.take_along_axis(answers[exam.window_at], exam.targets[:, :, None].astype(np.intp), axis=-1)
    return float(-right.mean(dtype=np.float64) / np.log(2))


def main() -> None:
    split = {"select": "select", "seal": "seal"}[os.environ["PAWL_SPLIT"]]
    text = np.load(Path(os.environ["PAWL_SETUP"]) / f"{split}.npy")
    exam = set_exam(text, os.environ["PAWL_SEED"])
    if os.environ["PAWL_PHASE"] == "ask":
        np.save(Path(os.environ["PAWL_INPUTS"]) / "tokens.npy", exam.tokens)
        return
    try:
        score = mark(read_logits(Path(os.environ["PAWL_ARTIFACT"]), exam), exam)
        print(json.dumps({"val_bpb": score}))
    except InvalidAnswer as reason:
        print(json.dumps({"invalid": str(reason)}))
    except Violation as reason:
        print(json.dumps({"violation": str(reason)}))


if __name__ == "__main__":
    main()
