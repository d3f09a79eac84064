"""Branches of the user's that are in the way of Pawl's."""

from __future__ import annotations

import pytest

from pawl.github.errors import Unprocessable, in_the_way


@pytest.mark.parametrize(
    ("branch", "names"),
    [("pawl/ledger", "named pawl is"), ("pawl/aim/3", "named pawl or pawl/aim is")],
)
def test_the_person_is_told_which_branch_is_in_the_way(branch: str, names: str) -> None:
    assert names in in_the_way(branch)


def test_only_a_clash_of_names_is_one() -> None:
    assert Unprocessable(422, "Reference update failed", "POST git/refs").in_the_way
    assert not Unprocessable(422, "Reference already exists", "POST git/refs").in_the_way
