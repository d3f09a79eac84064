"""An edit on a branch that has moved."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pawl.core.merging import merge_edit

BASE = b"one\ntwo\nthree\nfour\nfive\nsix\n"


@pytest.mark.parametrize(
    ("branch", "edit", "merged"),
    [
        (BASE, BASE.replace(b"two", b"TWO"), BASE.replace(b"two", b"TWO")),
        (BASE.replace(b"six", b"SIX"), BASE.replace(b"one", b"ONE"), b"ONE\ntwo\nthree\nfour\nfive\nSIX\n"),
        (BASE.replace(b"two", b"TWO"), BASE.replace(b"two", b"TWO"), BASE.replace(b"two", b"TWO")),
        (BASE.replace(b"two", b"2"), BASE.replace(b"two", b"TWO"), None),
        (b"", BASE.replace(b"two", b"TWO"), None),
        (BASE + b"\xff\n", BASE.replace(b"one", b"\xfe"), b"\xfe\ntwo\nthree\nfour\nfive\nsix\n\xff\n"),
        (BASE.replace(b"\n", b"\r\n"), BASE, BASE.replace(b"\n", b"\r\n")),
    ],
)
def test_a_merge(branch: bytes, edit: bytes, merged: bytes | None) -> None:
    assert merge_edit(BASE, branch, edit) == merged


BYTES = st.lists(
    st.sampled_from([b"a\n", b"b\n", b"c\n", b"\xff", b"\r\n", b"\x0c", "é\u2028".encode()]), max_size=8
).map(b"".join)


@settings(deadline=None, max_examples=80, derandomize=True)
@given(BYTES, BYTES)
def test_an_edit_of_a_branch_that_stood_still_is_the_edit(base: bytes, edit: bytes) -> None:
    assert merge_edit(base, base, edit) == edit
    assert merge_edit(base, edit, base) == edit
    assert merge_edit(base, edit, edit) == edit
