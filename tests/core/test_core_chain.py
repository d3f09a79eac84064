"""Ledger lines: numbered, chained, each said once, and the same after any number of journeys through text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from core_builders import History, run_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pawl.core.chain import (
    GENESIS,
    LedgerError,
    check_chain,
    experiment_folder,
    head_of,
    parse_lines,
    segment_path,
    written_digests,
)
from pawl.core.digest import sha256
from pawl.core.ledger import AnyLine, IncidentLine, ResumeLine
from pawl.core.measurement import LARGEST, Arm, RunStatus, Stage


def history() -> History:
    """A calibration, two experiments, an incident and its end."""
    ledger = History()
    ledger.calibration([1.0, 2.0, 3.0])
    ledger.verdict(1, (run_of(Arm.CANDIDATE, Stage.SCREEN, 0, 1.5),), effect=-0.5, predicted=0.1)
    ledger.outcome(1)
    ledger.add(IncidentLine, "incident:x", experiment=2, reason="printed 1, evaluated 2")
    ledger.add(ResumeLine, "resume:4", by="ada")
    ledger.verdict(2, verdict="inconclusive", hypothesis="“Größer” 🙂")
    ledger.outcome(2, "superseded")
    return ledger


def text_of(lines: list[AnyLine]) -> str:
    return "".join(f"{line.text}\n" for line in lines)


def test_lines_come_back_as_they_were_written() -> None:
    lines = history().lines
    again = parse_lines(text_of(lines), "x")
    assert again == lines
    assert text_of(again) == text_of(lines)
    check_chain(again)
    assert parse_lines("", "x") == []


def test_a_line_is_canonical_json_with_its_kind() -> None:
    line = history().lines[0]
    said = json.loads(line.text)
    assert (said["kind"], said["seq"], said["prev"]) == ("calibration", 1, GENESIS)
    assert line.text == json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e", "\r", "\n"])
def test_what_looks_like_a_line_end_to_python_ends_no_line(end: str) -> None:
    """A proposal with a U+2028 in its hypothesis once made its loop's whole ledger unreadable."""
    ledger = History()
    ledger.verdict(1, hypothesis=f"bigger{end}better", reason=end)
    ledger.outcome(1)
    again = parse_lines(text_of(ledger.lines), "x")
    assert again == ledger.lines
    check_chain(again)


@settings(deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.text(max_size=20),
    st.floats(-LARGEST, LARGEST),
    st.dictionaries(st.text(max_size=5), st.floats(-LARGEST, LARGEST), max_size=3),
    st.sampled_from(list(RunStatus)),
    st.floats(0, 1e9),
)
def test_any_line_survives_text(
    text: str, number: float, numbers: dict[str, float], status: RunStatus, seconds: float
) -> None:
    ledger = History()
    run = run_of(Arm.CANDIDATE, Stage.SCREEN, 0, number, status=status, guards=numbers, seconds=seconds)
    ledger.verdict(1, (run,), hypothesis=text, parameters=numbers, effect=number, proposer=text)
    ledger.outcome(1)
    again = parse_lines(text_of(ledger.lines), "x")
    assert again == ledger.lines
    assert [line.text for line in again] == [line.text for line in ledger.lines]
    check_chain(again)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "loop/ledger-0001.jsonl:1: no ledger line ("),
        ("nonsense", "loop/ledger-0001.jsonl:1: no ledger line ("),
        ('{"kind":"rumour"}', "rumour"),
        ("\n", "loop/ledger-0001.jsonl:1: no ledger line"),
    ],
)
def test_a_line_that_is_none_is_named(text: str, said: str) -> None:
    with pytest.raises(LedgerError) as caught:
        parse_lines(text, "loop/ledger-0001.jsonl")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seq", 0),
        ("seq", "x"),
        ("prev", "0"),
        ("v", 2),
        ("base", "main"),
        ("runs", None),
        ("more", 1),
        ("ok", 2),
    ],
)
def test_a_field_that_is_wrong_is_named(field: str, value: object) -> None:
    said: dict[str, Any] = json.loads(history().lines[0].text)
    said[field] = value
    good = text_of(history().lines[:1])
    with pytest.raises(LedgerError, match=f"^where:2: no ledger line .*{field}"):
        parse_lines(good + json.dumps(said) + "\n", "where")


def test_numbers_that_json_has_no_word_for_are_no_metric() -> None:
    text = history().lines[1].text
    assert '"effect":-0.5' in text
    for number in ("NaN", "Infinity", "1e999"):
        with pytest.raises(LedgerError):
            parse_lines(text.replace('"effect":-0.5', f'"effect":{number}'), "x")


def test_a_line_that_is_missing_changed_moved_or_doubled_breaks_the_chain() -> None:
    lines = history().lines
    for broken, said in (
        (lines[1:], "line 1 is missing: the ledger goes on with line 2"),
        (lines[:2] + lines[3:], "line 3 is missing: the ledger goes on with line 4"),
        ([lines[0], lines[2], lines[1]], "line 2 is missing"),
        ([*lines, lines[-1]], "line 8 is missing: the ledger goes on with line 7"),
        ([lines[0].model_copy(update={"at": "later"}), *lines[1:]], "line 2 does not follow line 1"),
    ):
        with pytest.raises(LedgerError, match=said):
            check_chain(broken)


def test_the_chain_is_of_lines_as_they_were_written() -> None:
    """Reading a long history, nobody writes each line anew to see that it is the same; another form is noticed."""
    lines = history().lines
    text = text_of(lines)
    assert written_digests(text) == [sha256(line.text) for line in lines]
    assert written_digests("") == []
    check_chain(lines, written_digests(text))
    other = text.replace('"kind":"calibration"', '"kind": "calibration"', 1)
    assert parse_lines(other, "x") == lines
    with pytest.raises(LedgerError, match="line 2 does not follow line 1"):
        check_chain(parse_lines(other, "x"), written_digests(other))


def test_nothing_is_said_twice() -> None:
    ledger = history()
    ledger.outcome(1)
    with pytest.raises(LedgerError, match="line 8 says 'outcome:1' a second time"):
        check_chain(ledger.lines)


def test_what_the_next_line_follows() -> None:
    lines = history().lines
    assert head_of([]) == (0, GENESIS)
    assert head_of(lines) == (7, sha256(lines[-1].text))


@pytest.mark.parametrize(("seq", "file"), [(1, 1), (500, 1), (501, 2), (1000, 2), (1001, 3)])
def test_segments_hold_five_hundred_lines(seq: int, file: int) -> None:
    assert segment_path("tune", seq) == f"tune/ledger-{file:04d}.jsonl"


def test_an_experiment_has_a_folder() -> None:
    assert experiment_folder("tune", 12) == "tune/12"
