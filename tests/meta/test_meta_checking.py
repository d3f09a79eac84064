"""Edits are checked before anything is spent on them, and what is wrong is said so that it can be mended."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meta.meta_kit import SOURCE, context, rules
from pawl.core.config import Loop
from pawl.core.digest import sha256
from pawl.core.meaning import meaning_of
from pawl.meta.checking import Block, DoesNotApply, apply_blocks, check_edit
from pawl.meta.proposer import Context, InFlight, Tried

STEADY = settings(deadline=None, derandomize=True)

BETTER = SOURCE.replace("AIM = 1.0", "AIM = 2.0")


def shown(source: str = SOURCE, edit: str = "aim.py", **more: object) -> Context:
    loop = Loop.model_validate({**rules().model_dump(mode="json", exclude_unset=True), "edit": edit})
    return context(loop, source=source, **more)


# --- Blocks ---


@pytest.mark.parametrize(
    ("blocks", "after"),
    [
        ([("b", "x")], "a\nx\nc\na\n"),
        ([("a\nb", "x\ny")], "x\ny\nc\na\n"),
        ([("b\n", "")], "a\nc\na\n"),
        ([("b", "b\nb2")], "a\nb\nb2\nc\na\n"),
        ([("b", "x"), ("c", "y")], "a\nx\ny\na\n"),
        ([("b", "x"), ("x\nc", "z")], "a\nz\na\n"),
        ([("c\na\n", "c\n")], "a\nb\nc\n"),
        ([("b", "\\1 \\g<0> $& {0}")], "a\n\\1 \\g<0> $& {0}\nc\na\n"),
    ],
)
def test_blocks_are_replaced_one_after_the_other(blocks: list[tuple[str, str]], after: str) -> None:
    assert apply_blocks("a\nb\nc\na\n", [Block(*block) for block in blocks]) == after


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([], "there is no block"),
        ([("", "x")], "block 1 searches for nothing"),
        ([(" \n\t", "x")], "block 1 searches for nothing"),
        ([("a", "x")], "block 1 searches for a passage that is there more than once"),
        ([("nowhere", "x")], "block 1 searches for a passage that is not there"),
        ([("b", "x"), ("b", "y")], "block 2 searches for a passage that is not there"),
        ([("b", "c"), ("c", "y")], "block 2 searches for a passage that is there more than once"),
    ],
)
def test_a_block_that_does_not_fit_is_named(blocks: list[tuple[str, str]], said: str) -> None:
    with pytest.raises(DoesNotApply) as reason:
        apply_blocks("a\nb\nc\na\n", [Block(*block) for block in blocks])
    assert said in str(reason.value)


def test_places_that_overlap_are_two_places() -> None:
    with pytest.raises(DoesNotApply, match="more than once"):
        apply_blocks("step()\nstep()\nstep()\n", [Block("step()\nstep()\n", "step()\n")])


def test_the_line_most_like_a_missing_passage_is_shown() -> None:
    with pytest.raises(DoesNotApply, match=r"the line most like it is 3: '    rate = 0\.5'"):
        apply_blocks("def f():\n    x = 1\n    rate = 0.5\n", [Block("\trate = 0.5\n", "\trate = 1\n")])


@pytest.mark.parametrize("told", ["a\nb", "a\r\nb"])
def test_line_ends_of_the_file_are_kept(told: str) -> None:
    """A model is not shown them, so it cannot know."""
    assert apply_blocks("a\r\nb\r\nc\r\n", [Block(told, "x\ny")]) == "x\r\ny\r\nc\r\n"
    assert apply_blocks("a\nb\nc\n", [Block(told, "x\r\ny")]) == "x\ny\nc\n"


def test_line_ends_of_both_kinds() -> None:
    assert apply_blocks("a\nb\nc\r\nd\r\n", [Block("a\nb", "x")]) == "x\nc\r\nd\r\n"


@STEADY
@given(st.text(st.sampled_from("ab\n "), max_size=40), st.text(max_size=5), st.text(max_size=5))
def test_a_block_replaces_one_passage_or_nothing(source: str, search: str, replace: str) -> None:
    try:
        after = apply_blocks(source, [Block(search, replace)])
    except DoesNotApply:
        return
    if "\r" not in search + replace:
        assert after == source.replace(search, replace, 1)


def test_a_long_file_is_searched_in_no_time() -> None:
    source = "".join(f"value_{number} = {number}  # {'x' * 250}\n" for number in range(5000))
    with pytest.raises(DoesNotApply, match="not there"):
        apply_blocks(source, [Block("value_17 = 18", "")])


# --- The whole file ---


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (BETTER, ""),
        (SOURCE + "\n\ndef more():\n    return AIM\n", ""),
        (SOURCE, "changes nothing"),
        ("", "the file would be empty"),
        (" \n\n", "the file would be empty"),
        (SOURCE.replace("AIM = 1.0", "AIM = (1.0"), "aim.py:3: it is no Python"),
        (SOURCE.replace("    return AIM", "return AIM"), "it is no Python"),
        (SOURCE + "x = '\0'\n", "U+0000 does not show"),
        (SOURCE.replace("AIM = 1.0", "AIM = 1.0  # nearer"), "changes only comments or layout"),
        (SOURCE.replace("\n\n\n", "\n\n"), "changes only comments or layout"),
        (BETTER.replace("\n", "\n" + "# x\n" * 200), "limits.changed_lines"),
        (BETTER + f"x = '{'a' * 2000}'\n", "characters"),
        (BETTER + "# \u202e\n", "U+202E does not show"),
        (BETTER + "# \ud800\n", "a character that UTF-8 cannot"),
        (BETTER + "# " + "x" * 600_000 + "\n", "bytes"),
    ],
)
def test_a_whole_file(content: str, said: str) -> None:
    found = check_edit(shown(), content)
    assert (any(said in each for each in found) and bool(found)) if said else found == ()


def test_an_edit_of_seeds_alone_is_luck() -> None:
    source = "import random\n\nrandom.seed(1)\nRATE = 1\n"
    assert "luck is no gain" in check_edit(shown(source), source.replace("seed(1)", "seed(2)"))[0]
    both = source.replace("seed(1)", "seed(2)").replace("RATE = 1", "RATE = 2")
    assert check_edit(shown(source), both) == ()


def test_a_docstring_is_more_than_a_comment() -> None:
    """In a harness it is often what the task's model is told of a tool."""
    source = 'def read(path):\n    """Read a file."""\n    return open(path).read()\n'
    assert (
        check_edit(shown(source), source.replace("Read a file.", "Read a file; never guess what it says."))
        == ()
    )


@pytest.mark.parametrize(
    "content", [BETTER, "AIM=2.0 # the same\n" + SOURCE.replace("AIM = 1.0\n", ""), BETTER + "\n# x\n"]
)
def test_one_program_is_not_tried_twice(content: str) -> None:
    """Found by what it says, whatever its comments and layout."""
    meaning = meaning_of("aim.py", content.encode())
    tried = Tried(4, "discard", {}, -1.0, "up", "", meaning)
    assert check_edit(shown(tried=(tried,)), content) == (
        "experiment 4 has tried this very program before; its verdict was discard",
    )
    spaced = content.replace("\n\n", "\n# once more\n\n", 1)
    assert "experiment 4" in check_edit(shown(tried=(tried,)), spaced)[0]
    flying = InFlight(5, "up", {}, meaning)
    assert "experiment 5 is trying this very program now" in check_edit(shown(in_flight=(flying,)), spaced)[0]
    assert "tried before" in check_edit(shown(sources=frozenset({sha256(content)})), content)[0]
    assert check_edit(shown(tried=(Tried(4, "discard", {}, None),)), content) == (), (
        "a line without a meaning"
    )


@pytest.mark.parametrize(
    ("path", "before", "after", "said"),
    [
        ("prompt.md", "Be brief.\n", "Be thorough.\n", ""),
        ("rules.yaml", "rate: 1\n", "rate: 2\n", ""),
        ("rules.yaml", "seed: 1\n", "seed: 2\n", ""),
        ("rules.yaml", "a:\n  b: 1\n", "a:\nb: 1\n", ""),
        ("kernel.cu", "int x = 1;\n", "int x = (;\n", ""),
        ("kernel.cu", "int x = 1;\n", "int x = 1;  \n\n", "changes only comments or layout"),
        ("rules.yaml", "rate: 1\n", "rate: 1\n", "changes nothing"),
        ("rules.yaml", "rate: 1\n", "", "empty"),
        ("rules.yaml", "rate: 1\n", "rate: 2 \u200b\n", "U+200B"),
        ("train.py", "def (\n", "rate = 1\n", ""),
    ],
)
def test_files_of_other_languages(path: str, before: str, after: str, said: str) -> None:
    found = check_edit(shown(before, path), after)
    assert (bool(found) and said in found[0]) if said else found == ()


@STEADY
@given(st.text(max_size=300))
def test_any_content_is_answered_in_sentences(content: str) -> None:
    for path in ("aim.py", "aim.txt"):
        assert all(isinstance(each, str) and each for each in check_edit(shown(SOURCE, path), content))
