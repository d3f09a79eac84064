"""Globs, blob names and the digest that names a base."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.core.digest import (
    FOLDER,
    TreeEntry,
    canonical_json,
    git_blob_sha,
    git_tree_sha,
    inputs_digest,
    matches,
    sha256,
)

TREE = [
    TreeEntry("README.md", "100644", "1" * 40),
    TreeEntry("lab/program.md", "100644", "2" * 40),
    TreeEntry("lab/train.py", "100644", "3" * 40),
]


@pytest.mark.parametrize(
    ("path", "glob", "there"),
    [
        ("lab/train.py", "lab/**", True),
        ("lab/deep/er.py", "lab/**", True),
        ("labs/train.py", "lab/**", False),
        ("lab/train.py", "lab/", True),
        ("lab", "lab/", False),
        ("train.py", "**", True),
        ("a/b/c.py", "**/c.py", True),
        ("c.py", "**/c.py", True),
        ("a/bc.py", "**/c.py", False),
        ("a/b.py", "*.py", False),
        ("b.py", "*.py", True),
        ("ab.py", "?.py", False),
        ("a/b/c", "a/**/c", True),
        ("a/c", "a/**/c", True),
        ("a[1]/x", "a[1]/**", True),
        ("a1/x", "a[1]/**", False),
        ("lab/two\nlines.py", "lab/**", True),
        ("", "**", True),
    ],
)
def test_globs(path: str, glob: str, there: bool) -> None:
    assert matches(path, [glob]) is there


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_glob_can_be_asked(path: str, glob: str) -> None:
    assert matches(path, [glob]) in (True, False)
    assert matches(path, []) is False


def digest(tree: list[TreeEntry], rules: str = "r", replaced: dict[str, str] | None = None) -> str:
    return inputs_digest(tree, ["lab/**"], ["lab/program.md"], rules, replaced)


def test_the_inputs_name_the_base() -> None:
    same = digest(TREE)
    assert digest(TREE[::-1]) == same
    assert digest([*TREE, TreeEntry("docs/a.md", "100644", "9" * 40)]) == same
    program = TreeEntry("lab/program.md", "100644", "9" * 40)
    assert digest([TREE[0], program, TREE[2]]) == same
    for other in (
        digest(TREE, rules="other"),
        digest([*TREE, TreeEntry("lab/new.py", "100644", "9" * 40)]),
        digest([*TREE[:2], TreeEntry("lab/train.py", "100755", "3" * 40)]),
        digest([*TREE[:2], TreeEntry("lab/train.py", "100644", "9" * 40)]),
        digest(TREE[:2]),
    ):
        assert other != same


def test_the_digest_after_a_merge_is_that_of_the_merged_tree() -> None:
    merged = [*TREE[:2], TreeEntry("lab/train.py", "100644", "9" * 40)]
    assert digest(TREE, replaced={"lab/train.py": "9" * 40}) == digest(merged)
    assert digest(TREE, replaced={"elsewhere.py": "9" * 40}) == digest(TREE)


def test_no_name_of_a_file_stands_for_two_files() -> None:
    """Git allows line breaks in names; a digest over lines would take one crafted name for two entries."""
    two = [TreeEntry("lab/a", "100644", "1" * 40), TreeEntry("lab/b", "100644", "2" * 40)]
    one = [TreeEntry(f"lab/a\n100644 {'2' * 40} lab/b", "100644", "1" * 40)]
    assert digest(two) != digest(one)


def test_a_blob_has_the_name_git_gives_it() -> None:
    assert git_blob_sha(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert git_blob_sha(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_a_folder_has_the_name_git_gives_it() -> None:
    """Git sorts a folder as if its name ended in a slash: ``a-b``, ``a.d/``, ``a/``."""
    entries = [
        TreeEntry("a", FOLDER, "fd43cc879db368e808a98b81005d6f21a8852a15"),
        TreeEntry("a-b", "100755", "00750edc07d6415dcc07ae0351e9397b0222b7ba"),
        TreeEntry("a.d", FOLDER, "5956ee4903fed69449888bcf55ff90c287160c8b"),
    ]
    assert git_tree_sha(entries) == "f3a7c0d7a83200e5df69b0e7e43d7e7b967b9b9c"
    assert git_tree_sha([]) == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def test_sha256_of_text_is_that_of_its_utf8() -> None:
    assert sha256("é") == hashlib.sha256("é".encode()).hexdigest()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_canonical_json_is_one_line_and_comes_back(value: object) -> None:
    text = canonical_json(value)
    assert "\n" not in text
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


def test_canonical_json_refuses_what_json_has_no_word_for() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError):
            canonical_json({"x": value})
