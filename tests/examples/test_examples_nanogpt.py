from __future__ import annotations

import json
import subprocess
import sys
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_module import EXAMPLES, example_module
from numpy.typing import NDArray

evaluate = example_module("nanogpt", "evaluate")
prepare = example_module("nanogpt", "prepare")

TEXT = np.frombuffer((EXAMPLES / "nanogpt" / "evaluate.py").read_bytes() * 6, dtype=np.uint8)
EXAM = evaluate.set_exam(TEXT, "7")

# A header that promises far more numbers than memory holds.
VAST = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (%d,), }" % 10**30
VAST = VAST.ljust(10 + 0x76) + b"\n"

Logits = NDArray[np.float32]


def honest(tokens: NDArray[np.uint8]) -> Logits:
    """Answers of a bigram model: legal, and better than knowing nothing."""
    counts = np.full((256, 256), 0.1, dtype=np.float32)
    np.add.at(counts, (TEXT[:-1], TEXT[1:]), 1)
    return np.log(counts)[tokens]


def peeking(tokens: NDArray[np.uint8]) -> Logits:
    """Answers that favour the byte that comes next."""
    answers = honest(tokens)
    following = np.roll(tokens, -1, axis=1)[:, :, None].astype(np.intp)
    np.put_along_axis(answers, following, 9.0, axis=-1)
    return answers


def carrying(tokens: NDArray[np.uint8]) -> Logits:
    """Answers that depend on the row before."""
    answers = honest(tokens)
    return answers + 0.01 * np.roll(answers, 1, axis=0)


def counting_rows(tokens: NDArray[np.uint8]) -> Logits:
    """Answers that drift from row to row, as those of a model that goes on learning."""
    return honest(tokens) * np.linspace(1, 1.5, len(tokens), dtype=np.float32)[:, None, None]


def saved(folder: Path, answers: object) -> Path:
    path = folder / "logits.npy"
    np.save(path, np.asarray(answers))
    return path


def test_examples_the_score_is_the_bits_per_byte_of_the_windows_alone() -> None:
    answers = honest(EXAM.tokens)
    probabilities = np.exp(answers.astype(np.float64))
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    bits = [
        -np.log2(probabilities[at, place, target])
        for at, targets in zip(EXAM.window_at, EXAM.targets, strict=True)
        for place, target in enumerate(targets)
    ]
    assert isclose(evaluate.mark(answers, EXAM), sum(bits) / len(bits), rel_tol=1e-5)
    assert isclose(evaluate.mark(np.zeros_like(answers), EXAM), 8, abs_tol=1e-5)


def test_examples_adding_to_all_logits_of_a_token_changes_nothing() -> None:
    """A model that says it is sure of every byte gains nothing: the softmax is the evaluator's."""
    answers = honest(EXAM.tokens)
    assert isclose(evaluate.mark(answers + 100, EXAM), evaluate.mark(answers, EXAM), abs_tol=1e-4)


def test_examples_the_windows_stay_and_the_tricks_move_with_the_seed() -> None:
    other = evaluate.set_exam(TEXT, "8")
    assert (other.targets == EXAM.targets).all()
    assert (other.tokens[other.window_at] == EXAM.tokens[EXAM.window_at]).all()
    assert not (other.window_at == EXAM.window_at).all()
    assert not (other.trick_same == EXAM.trick_same).all()
    assert (evaluate.set_exam(TEXT, "7").tokens == EXAM.tokens).all()


def test_examples_who_knows_the_seed_but_not_the_text_cannot_tell_the_tricks() -> None:
    text = TEXT.copy()
    text[-1] ^= 1  # a target that no question shows
    other = evaluate.set_exam(text, "7")
    assert (other.tokens[other.window_at] == EXAM.tokens[EXAM.window_at]).all()
    assert not (other.window_at == EXAM.window_at).all()


def test_examples_a_trick_row_is_its_window_until_it_is_not() -> None:
    for at, of, same in zip(EXAM.trick_at, EXAM.trick_of, EXAM.trick_same, strict=True):
        alike = EXAM.tokens[at] == EXAM.tokens[EXAM.window_at[of]]
        assert alike[:same].all()
        assert not alike[same:].any()


@pytest.mark.parametrize(
    ("model", "reason"),
    [(peeking, "not causal"), (carrying, "elsewhere|causal"), (counting_rows, "elsewhere")],
)
def test_examples_a_model_that_peeks_or_remembers_is_a_violation(model: Any, reason: str) -> None:
    with pytest.raises(evaluate.Violation, match=reason):
        evaluate.mark(model(EXAM.tokens), EXAM)


def test_examples_rounding_of_float32_is_no_violation() -> None:
    answers = honest(EXAM.tokens)
    noise = np.random.default_rng(1).normal(0, 1e-5, answers.shape).astype(np.float32)
    evaluate.mark(answers + noise, EXAM)


def test_examples_answers_that_cannot_be_scored_are_refused(tmp_path: Path) -> None:
    good = honest(EXAM.tokens)
    for wrong in (np.nan, np.inf, -np.inf, 1e30):
        bad = good.copy()
        bad[3, 4, 5] = wrong
        with pytest.raises(evaluate.InvalidAnswer, match="not finite"):
            evaluate.read_logits(saved(tmp_path, bad), EXAM)
    small = good[:, :1, :1]
    for shape in (good[1:], good[:, 1:], good[..., :255], good[0], small, np.float32(1)):
        with pytest.raises(evaluate.InvalidAnswer, match="shape"):
            evaluate.read_logits(saved(tmp_path, shape), EXAM)
    for dtype in (np.float64, np.float16, np.int32, np.complex64, ">f4"):
        with pytest.raises(evaluate.InvalidAnswer, match="float32"):
            evaluate.read_logits(saved(tmp_path, good.astype(dtype)), EXAM)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04", b"not a file of numbers", VAST])
def test_examples_an_artifact_that_is_no_npy_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "logits.npy"
    path.write_bytes(content)
    with pytest.raises(evaluate.InvalidAnswer, match="npy"):
        evaluate.read_logits(path, EXAM)


def test_examples_a_pickle_in_the_artifact_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "logits.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(evaluate.InvalidAnswer, match="plain numbers"):
        evaluate.read_logits(path, EXAM)


def test_examples_splits_share_no_file_and_do_not_move(tmp_path: Path) -> None:
    names = [f"package{n}/module{n}.py" for n in range(60)]
    for name in (*names, "test/test_left_out.py", "site-packages/left_out.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"<{name}>")
    texts = prepare.corpus(tmp_path)
    found = [name for split in texts for name in texts[split].decode()[1:-1].split("><")]
    assert sorted(found) == sorted(names)
    assert all(f"<{name}>".encode() in texts[prepare.split_of(name)] for name in names)
    assert prepare.split_of("argparse.py") == "train"
    assert all(texts.values())


def test_examples_prepare_wants_to_know_which_half() -> None:
    ended = subprocess.run(
        [sys.executable, EXAMPLES / "nanogpt" / "prepare.py"], env={}, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert "usage" in ended.stderr


@pytest.fixture
def phases(tmp_path: Path) -> Any:
    """Starts a command of the example as Pawl does, with folders for the data of both sides."""
    for name in ("train", "holdout", "inputs", "run", "answer"):
        (tmp_path / name).mkdir()
    np.save(tmp_path / "train" / "train.npy", TEXT)
    for split in ("select", "seal"):
        np.save(tmp_path / "holdout" / f"{split}.npy", TEXT)

    def start(script: Path, *words: str, cwd: str, **variables: str) -> list[str]:
        ended = subprocess.run(
            [sys.executable, script, *words],
            cwd=tmp_path / cwd,
            env={"PAWL_SPLIT": "seal", "PAWL_SEED": "9", "OMP_NUM_THREADS": "1", **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.splitlines()

    return start


def test_examples_the_evaluator_asks_scores_and_says_violation(tmp_path: Path, phases: Any) -> None:
    script = EXAMPLES / "nanogpt" / "evaluate.py"
    places = {
        "PAWL_SETUP": str(tmp_path / "holdout"),
        "PAWL_INPUTS": str(tmp_path / "inputs"),
        "PAWL_ARTIFACT": str(tmp_path / "logits.npy"),
    }
    phases(script, cwd="run", PAWL_PHASE="ask", **places)
    tokens = np.load(tmp_path / "inputs" / "tokens.npy")
    said = []
    for answers in (honest(tokens), peeking(tokens), honest(tokens)[1:]):
        saved(tmp_path, answers)
        said.append(json.loads(phases(script, cwd="run", PAWL_PHASE="score", **places)[-1]))
    assert said[0].keys() == {"val_bpb"}
    assert 1 < said[0]["val_bpb"] < 8
    assert said[1].keys() == {"violation"}
    assert said[2].keys() == {"invalid"}


@pytest.mark.torch
def test_examples_a_run_of_nanogpt_learns_and_answers_honestly(tmp_path: Path, phases: Any) -> None:
    """The whole protocol: a short run, a fresh process with the model alone, and the evaluator before and after."""
    for folder in ("run", "answer"):
        (tmp_path / folder / "train.py").write_bytes((EXAMPLES / "nanogpt" / "train.py").read_bytes())
    evaluator = EXAMPLES / "nanogpt" / "evaluate.py"
    places = {"PAWL_SETUP": str(tmp_path / "holdout"), "PAWL_INPUTS": str(tmp_path / "inputs")}

    phases(Path("train.py"), cwd="run", PAWL_BUDGET="20", PAWL_SETUP=str(tmp_path / "train"))
    phases(evaluator, cwd="run", PAWL_PHASE="ask", **places)
    (tmp_path / "run" / "model.pt").rename(tmp_path / "answer" / "model.pt")
    phases(Path("train.py"), "--predict", cwd="answer", PAWL_INPUTS=str(tmp_path / "inputs"))
    artifact = str(tmp_path / "answer" / "logits.npy")
    lines = phases(evaluator, cwd="run", PAWL_PHASE="score", PAWL_ARTIFACT=artifact, **places)
    assert 1 < json.loads(lines[-1])["val_bpb"] < 7.8
