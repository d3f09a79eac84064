"""Durations, sizes and bounds as people write them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.core.quantities import Bound, format_duration, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5m", 300),
        ("1h30m", 5400),
        ("90s", 90),
        ("1.5m", 90),
        ("300", None),
        (300, 300),
        (0.5, 0.5),
        (" 2m ", 120),
    ],
)
def test_a_duration_in_seconds(text: str | float, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError, match="write for example 300s"):
            parse_duration(text)
    else:
        assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "5", "m", "5m5h", "-5m", "0s", 0, -1, "8d", "200h", float("nan"), float("inf"), True, None, "5 m"],
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(9.81, "9.81s"), (60, "1m"), (90, "1m 30s"), (3600, "1h"), (5400, "1h 30m"), (3725, "1h 2m")],
)
def test_a_duration_for_people(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), (12, 12), ("200MB", 200_000_000), ("2 GiB", 2**31), ("1.5kB", 1500), ("1KB", 1000), ("3B", 3)],
)
def test_a_size_in_bytes(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "MB", "1TB", "0.4B", True, None, "9" * 400 + "GiB", 1e20])
def test_what_is_no_size(text: object) -> None:
    """A size of four hundred digits is an infinity on the way, which used to end in an OverflowError."""
    with pytest.raises(ValueError, match="is no size"):
        parse_size(text)  # type: ignore[arg-type]


@given(st.one_of(st.text(max_size=20), st.integers(), st.floats(), st.booleans()))
def test_anything_is_read_or_refused(value: object) -> None:
    parsers: list[Callable[[Any], object]] = [parse_duration, parse_size, Bound.parse]
    for parse in parsers:
        with suppress(ValueError):
            parse(value)


@pytest.mark.parametrize(
    ("bound", "candidate", "baseline", "admitted"),
    [
        ("+10%", 110, 100, True),
        ("+10%", 110.2, 100, False),
        ("+10%", 50, 100, True),
        ("-5%", 95, 100, True),
        ("-5%", 94, 100, False),
        ("+0%", 100, 100, True),
        ("+10%", -90, -100, True),
        ("+10%", -89, -100, False),
        ("+10%", 1, None, False),
        ("<=4000", 4000, None, True),
        ("<= 4000", 4001, 1.0, False),
        (">=0.9", 0.9, None, True),
        (">=-2", -3, None, False),
    ],
)
def test_what_a_bound_admits(bound: str, candidate: float, baseline: float | None, admitted: bool) -> None:
    assert Bound.parse(bound).admits(candidate, baseline) is admitted


@pytest.mark.parametrize("text", ["10%", "+10", "<4000", "=5", "", "+-5%", "<=1e3"])
def test_what_is_no_bound(text: str) -> None:
    with pytest.raises(ValueError, match="write for example"):
        Bound.parse(text)
