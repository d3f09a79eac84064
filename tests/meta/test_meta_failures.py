"""Failures by rule: running out of memory is told as that, a crash has its exception and its line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pawl.core.measurement import RunStatus
from pawl.meta.failures import SAID, failure_of
from pawl.meta.history import failure_text
from pawl.meta.proposer import Failure

STEADY = settings(deadline=None, derandomize=True)

TRACE = """\
step 1 loss 0.5
Traceback (most recent call last):
  File "/tree/lab/train.py", line 40, in <module>
    main()
  File "/tree/lab/train.py", line 31, in main
    value = divide(1, 0)
  File "/tree/lab/other.py", line 3, in divide
    return a / b
           ~~^~~
"""


def crash(last: str, status: RunStatus = RunStatus.CRASH, **more: float) -> Failure:
    found = failure_of(status, "it exited with 1", TRACE + last, "lab/train.py", more.get("peak"))
    assert found is not None
    return found


def test_a_crash_has_its_exception_and_its_line() -> None:
    """The innermost line of the editable file: that is what the next edit can change."""
    assert crash("ZeroDivisionError: division by zero\n") == Failure(
        "crash", "ZeroDivisionError", "train.py:31", "division by zero"
    )


@pytest.mark.parametrize(
    ("last", "exception", "said"),
    [
        ("AssertionError\n", "AssertionError", ""),
        ("KeyError: 'x'\n", "KeyError", "'x'"),
        ("some.module.CustomFault: no\n", "CustomFault", "no"),
        ("ValueError: one\nof two lines\n", "ValueError", "one"),
        ("zlib.error: Error -3\n", "error", "Error -3"),
        ("KeyboardInterrupt\n", "KeyboardInterrupt", ""),
        ("ValueError: x\n[the run was killed]\n", "ValueError", "x"),
    ],
)
def test_exceptions_as_python_prints_them(last: str, exception: str, said: str) -> None:
    found = crash(last)
    assert (found.kind, found.exception, found.said) == ("crash", exception, said)


@pytest.mark.parametrize(
    "last",
    [
        "MemoryError\n",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n",
        "torch.cuda.OutOfMemoryError: CUDA out of memory.\n",
        "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB\n",
        "RuntimeError: CUDA error: out of memory\n",
        "RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED\n",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`\n",
        "RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes\n",
        "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 7.45 GiB\n",
        "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate\n",
        "OSError: [Errno 12] Cannot allocate memory\n",
    ],
)
def test_out_of_memory_is_that_and_no_crash(last: str) -> None:
    found = crash(last, peak=8123.0)
    assert (found.kind, found.peak_memory_mb, found.where) == ("oom", 8123.0, "train.py:31")
    assert "It ran out of memory" in failure_text(found)
    assert "Peak memory: 8123 MB." in failure_text(found)


def test_a_run_that_was_killed_for_its_memory() -> None:
    reason = "the run used more than 4000 MB of memory"
    found = failure_of(RunStatus.MEMORY, reason, "step 1\nstep 2\n", "train.py", 4001.5)
    assert found == Failure("oom", "", "", reason, 4001.5)


def test_words_about_memory_are_no_proof() -> None:
    """A program may well speak of memory and then die of something else."""
    log = "warning: nearly out of memory\n" + TRACE + "ValueError: x\n"
    found = failure_of(RunStatus.CRASH, "", log, "lab/train.py")
    assert found is not None
    assert found.kind == "crash"


def test_a_timeout_is_told_in_the_runners_words() -> None:
    reason = "the run was killed after 7m, all the time it has"
    found = failure_of(RunStatus.TIMEOUT, reason, "step 1\nstep 2\n", "train.py", 12.0)
    assert found == Failure("timeout", "", "", reason, 12.0)
    assert "killed when its time was over" in failure_text(found)


@pytest.mark.parametrize(
    ("status", "kind"), [(RunStatus.INVALID, "invalid"), (RunStatus.VIOLATION, "violation")]
)
def test_what_the_evaluator_objects_to(status: RunStatus, kind: str) -> None:
    found = failure_of(status, "two circles overlap", "done\n", "train.py")
    assert found == Failure(kind, "", "", "two circles overlap")


@pytest.mark.parametrize("status", [RunStatus.OK, RunStatus.INTERRUPTED, RunStatus.STARTED])
def test_what_is_no_failure(status: RunStatus) -> None:
    assert failure_of(status, "", TRACE + "ValueError: caught\n", "train.py") is None


def test_a_syntax_error_has_no_traceback_but_a_line() -> None:
    log = "  File \"/tree/train.py\", line 7\n    x = (\n        ^\nSyntaxError: '(' was never closed\n"
    found = failure_of(RunStatus.CRASH, "it exited with 1", log, "train.py")
    assert found == Failure("crash", "SyntaxError", "train.py:7", "'(' was never closed")


def test_the_last_of_several_tracebacks_counts() -> None:
    log = (
        TRACE
        + "ValueError: the first\n\nDuring handling of the above exception, another exception occurred:\n\n"
        'Traceback (most recent call last):\n  File "/tree/lab/train.py", line 99, in x\nTypeError: the second\n'
    )
    found = failure_of(RunStatus.CRASH, "", log, "lab/train.py")
    assert found == Failure("crash", "TypeError", "train.py:99", "the second")


def test_a_crash_outside_of_the_editable_file_has_the_innermost_line() -> None:
    log = (
        'Traceback (most recent call last):\n  File "/tree/lab/other.py", line 3, in divide\nTypeError: no\n'
    )
    assert failure_of(RunStatus.CRASH, "", log, "lab/train.py") == Failure(
        "crash", "TypeError", "other.py:3", "no"
    )


def test_no_traceback_leaves_the_runners_words() -> None:
    found = failure_of(RunStatus.CRASH, "it was ended by signal 11", "step 1\n", "train.py")
    assert found == Failure("crash", "", "", "it was ended by signal 11")


@STEADY
@given(st.sampled_from(list(RunStatus)), st.text(max_size=400), st.text(max_size=400))
def test_any_log_gives_a_bounded_answer(status: RunStatus, reason: str, log: str) -> None:
    found = failure_of(status, reason, log, "train.py", 1.0)
    if found is not None:
        assert len(found.said) <= SAID
        assert "\n" not in failure_text(found)


def test_a_hostile_log_takes_no_time() -> None:
    """Patterns are linear: the whole tail of one character, or of nothing but the beginnings of frames."""
    for log in ("A." * 10**5, "A" * 10**6, '  File "' * 10**5, TRACE + "a." * 10**5, "Traceback " * 10**5):
        assert failure_of(RunStatus.CRASH, "", log, "train.py") is not None
