"""Commit messages: what Pawl writes, and what it reads back from anybody's."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages_samples import HOSTILE, golden, request, verdict, with_gain

from pawl.core.edit import Edit
from pawl.messages.commits import EditNotes, edit_commit, final_commit, read_edit_commit
from pawl.messages.pull_requests import pull_request_title
from pawl.messages.quoting import one_line

SKIPS = re.compile(
    r"\[\s*(skip ci|ci skip|no ci|skip actions|actions skip)\s*\]|skip-checks\s*:", re.IGNORECASE
)
METRIC = request().rules.metric


def edit(hypothesis: str = "Warm up for 200 steps.\n\nThe loss spikes early.", **changes: object) -> Edit:
    values: dict[str, object] = {
        "proposer": "search",
        "predicted": 0.0125,
        "parameters": {"lr": 3e-4, "warmup": 200.0},
    }
    return Edit(content="x", hypothesis=hypothesis, **{**values, **changes})  # type: ignore[arg-type]


def test_edit_commit() -> None:
    message = edit_commit("nanogpt", 12, edit())
    golden("commit_edit.txt", message)
    assert read_edit_commit(message) == EditNotes(
        "Warm up for 200 steps.\n\nThe loss spikes early.",
        "search",
        0.0125,
        {"lr": 3e-4, "warmup": 200.0},
        names=("nanogpt", "12"),
    )


def test_edit_commit_hostile() -> None:
    message = edit_commit(
        "nanogpt", 12, edit(HOSTILE, proposer="llm\nPawl-Loop: other", parameters={"a\nPawl-Loop": 1.0})
    )
    golden("commit_edit_hostile.txt", message)
    notes = read_edit_commit(message)
    assert notes.proposer == "llm Pawl-Loop: other"
    assert message.count("[skip ci]") == 1
    assert [line for line in message.splitlines() if line.startswith("Pawl-Loop")] == ["Pawl-Loop: nanogpt"]


def test_an_edit_without_a_reason_still_has_a_subject() -> None:
    message = edit_commit("nanogpt", 12, Edit(content="x", hypothesis=" ", proposer=""))
    assert message == "Experiment 12 of nanogpt\n\n[skip ci]\n\nPawl-Loop: nanogpt\nPawl-Experiment: 12\n"
    assert read_edit_commit(message).parameters == {}


def test_final_commit() -> None:
    line, _ = verdict(request(), with_gain(3.5))
    golden("commit_final.txt", final_commit("nanogpt", line, METRIC))


def test_final_commit_hostile() -> None:
    line, _ = verdict(request(), with_gain(3.5), hypothesis=HOSTILE, proposer=HOSTILE)
    message = final_commit("nanogpt", line, METRIC)
    golden("commit_final_hostile.txt", message)
    assert not SKIPS.search(message)


@given(
    st.lists(
        st.one_of(
            st.text(max_size=8),
            st.sampled_from(["[skip", " ci]", "[no ci]", "skip-checks", ": true", "[", "]", "\n"]),
        )
    )
)
def test_no_hypothesis_stops_the_workflows_of_a_final_commit(parts: list[str]) -> None:
    line, _ = LINE
    message = final_commit("nanogpt", line.model_copy(update={"hypothesis": "".join(parts)}), METRIC)
    assert not SKIPS.search(message)
    trailers = message.rstrip().split("\n\n")[-1].split("\n")
    names = ["Loop", "Experiment", "Pull-Request", "Effect", "Sigma", "Runs", "Record", "Content"]
    assert [trailer.split(": ")[0] for trailer in trailers] == [f"Pawl-{name}" for name in names]


LINE = verdict(request(), with_gain(3.5))


@given(st.text(max_size=400), st.text(max_size=40), st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_written_is_read_back(hypothesis: str, proposer: str, predicted: float) -> None:
    first = read_edit_commit(
        edit_commit("nanogpt", 1, Edit("x", hypothesis, proposer, predicted, {"lr": predicted}))
    )
    again = read_edit_commit(
        edit_commit(
            "nanogpt", 1, Edit("x", first.hypothesis, first.proposer, first.predicted, first.parameters)
        )
    )
    assert first.predicted == predicted
    assert first.parameters == {"lr": predicted}
    assert again.predicted == first.predicted
    assert again.proposer == first.proposer


@pytest.mark.parametrize(
    ("model", "written"),
    [
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5-20250929"),
        ("accounts/x/models/qwen3:4b", "accounts/x/models/qwen3:4b"),
        ("claude-sonnet-4-5@20250929", '"claude\\u002dsonnet\\u002d4\\u002d5\\u004020250929"'),
        ("x #12 [skip ci] é", '"x\\u0020\\u002312\\u0020\\u005bskip\\u0020ci\\u005d\\u0020\\u00e9"'),
    ],
)
def test_models_stand_in_the_commit_to_the_letter(model: str, written: str) -> None:
    message = edit_commit("nanogpt", 12, edit(), ["first-1", model])
    assert f"Pawl-Model: first-1\nPawl-Model: {written}\n" in message
    assert read_edit_commit(message).models == ("first-1", model)


@given(st.lists(st.text(max_size=40), max_size=12))
def test_models_are_read_back_whatever_they_call_themselves(models: list[str]) -> None:
    message = edit_commit("nanogpt", 12, edit(), models)
    read = read_edit_commit(message).models
    assert read == tuple(name for model in models[:8] if (name := one_line(model)))
    assert read_edit_commit(message).parameters == {"lr": 3e-4, "warmup": 200.0}
    assert len(SKIPS.findall(message)) == 1
    assert not re.search(r"@\w|#\d", message)
    assert read_edit_commit(edit_commit("nanogpt", 12, edit(), read)).models == read


@given(st.text(max_size=300))
def test_reading_never_raises(message: str) -> None:
    read_edit_commit(message)


@pytest.mark.parametrize(
    "value",
    [
        "[" * 100_000,
        '{"a": 1e999}',
        '{"a": NaN}',
        '{"a": ' + "9" * 5000 + "}",
        '{"a": true, "b": "x", "": 1}',
        '{"a":{}}',
        "[]",
        "{",
    ],
    ids=lambda value: value[:12],
)
def test_parameters_that_are_none_are_left_out(value: str) -> None:
    assert read_edit_commit(f"subject\n\nPawl-Parameters: {value}\nPawl-Predicted: inf\n").parameters == {}
    assert read_edit_commit(f"subject\n\nPawl-Predicted: inf\nPawl-Parameters: {value}\n").predicted is None


def test_a_commit_by_a_person_is_its_own_hypothesis() -> None:
    notes = read_edit_commit("Try a cosine schedule\n\nIt worked elsewhere.\n")
    assert notes == EditNotes("Try a cosine schedule\n\nIt worked elsewhere.")


def test_what_is_read_back_is_bounded() -> None:
    many = "{" + ",".join(f'"p{i}":{i}' for i in range(500)) + "}"
    notes = read_edit_commit("x" * 10_000 + f"\n\nPawl-Parameters: {many}\n")
    assert len(notes.hypothesis) == 4000
    assert len(notes.parameters) == 64


def test_pull_request_title() -> None:
    assert (
        pull_request_title("nanogpt", 12, "Warm up for longer\nBecause.")
        == "nanogpt 12: Warm up for longer Because."
    )
    assert pull_request_title("nanogpt", 12, "") == "nanogpt 12: an edit without a hypothesis"
    assert len(pull_request_title("nanogpt", 12, "@a" * 500)) < 256
