"""Whatever foreign text says, it is shown as text and nothing in it comes alive."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from markdown_it import MarkdownIt
from markdown_it.token import Token
from messages_samples import HOSTILE

from pawl.messages.quoting import (
    Safe,
    clean,
    code,
    fence,
    hidden,
    inert,
    link,
    message_line,
    one_line,
    phrase,
    prose,
)
from pawl.messages.rendering import _environment

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

MARKS = r"` `` ``` ~~~ | \ \| < > <!-- --> </details> [ ]( ![ * _ __ &lt; & - 1. 1) + = # --- :x:"
REFERENCES = "@a #1 GH-1 o/r#1 www.a.b https://a.b a@b.c deadbeef A-1 /merge skip-checks: word é 5"
SPACES = ("\n", "\n\n", "    ", " ", "- ", "1. ", "# ", "\r", "\x1b[31m", "\u202e", "\u200b", "[skip ci]")
SPICES = st.sampled_from([*MARKS.split(), *REFERENCES.split(), *SPACES])
FOREIGN = st.lists(st.one_of(SPICES, st.text(max_size=6)), max_size=24).map("".join)


def inline(markdown: str) -> list[Token]:
    """The inline tokens of a text that must be one paragraph."""
    tokens = MARKDOWN.parse(markdown)
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"], markdown
    return tokens[1].children or []


def shown(text: str) -> str:
    return one_line(text).replace("|", "¦")


def assert_asleep(words: str) -> None:
    """Words outside code: nothing GitHub would make a link, a mention, a reference or a picture of."""
    for pattern in (
        r"@\w",
        r"#\d",
        r"://",
        r"www\.",
        r"GH-\d",
        r"[A-Za-z]-\d",
        r":\w+:",
        r"[<>\[\]*_~`|\\&]",
    ):
        assert not re.search(pattern, words), (pattern, words)
    assert not re.search(r"\b[0-9a-f]{7,40}\b", words), words


@given(FOREIGN)
def test_code_is_one_span_with_the_text_in_it(text: str) -> None:
    tokens = inline(f"before {code(text)} after")
    assert [token.type for token in tokens] == ["text", "code_inline", "text"]
    assert tokens[1].content.strip() == shown(text).strip()


@given(FOREIGN)
def test_code_stays_in_its_table_cell(text: str) -> None:
    tokens = MARKDOWN.parse(f"| a | b |\n|---|---|\n| {code(text)} | {prose(text, 200)} |\n")
    cells = [tokens[i + 1] for i, token in enumerate(tokens) if token.type == "td_open"]
    assert len(cells) == 2
    assert [child.type for child in cells[0].children or []] == ["code_inline"]
    assert {child.type for child in cells[1].children or []} <= {"text", "code_inline"}


@given(FOREIGN)
def test_prose_shows_the_words_and_only_code_holds_what_could_wake(text: str) -> None:
    if not shown(text):
        return
    tokens = inline(str(prose(text, 200)))
    assert {token.type for token in tokens} <= {"text", "code_inline"}
    seen = "".join(token.content for token in tokens)
    assert seen.split() == shown(text).split()
    assert_asleep(" ".join(token.content for token in tokens if token.type == "text"))


@given(FOREIGN, st.booleans())
def test_a_fence_holds_its_text_alone(text: str, tail: bool) -> None:
    block = fence(text, tail=tail)
    tokens = MARKDOWN.parse(f"<details><summary>x</summary>\n\n{block}\n\n</details>\n")
    assert [token.type for token in tokens] == ["html_block", "fence", "html_block"]
    assert tokens[1].content == block.split("\n", 1)[1].rsplit("\n", 1)[0] + "\n"
    assert not re.search(r"(?m)^\s*/", block)


@given(FOREIGN)
@example("skip-checks:: true")
@example("skip-checks : : true")
def test_a_commit_message_line_stops_no_workflow_and_mentions_nobody(text: str) -> None:
    line = message_line(text)
    assert "\n" not in line
    assert not re.search(r"\[(skip ci|ci skip|no ci|skip actions|actions skip)\]", line, re.IGNORECASE)
    assert not re.search(r"skip-checks\s*:", line, re.IGNORECASE)
    assert not re.search(r"@\w|#\d|\bGH-\d|://|`", line, re.IGNORECASE)
    assert message_line(line, 2000) == line


@given(st.dictionaries(FOREIGN, FOREIGN, max_size=3))
def test_a_hidden_comment_cannot_be_closed_by_its_values(values: dict[str, str]) -> None:
    comment = hidden("pawl", values)
    assert comment.count("<") == comment.count(">") == 1
    tokens = MARKDOWN.parse(f"{comment}\ntext")
    assert [token.type for token in tokens] == ["html_block", "paragraph_open", "inline", "paragraph_close"]
    assert json.loads(comment[len("<!-- pawl: ") : -len(" -->")]) == values


@given(st.text(max_size=200))
def test_clean_leaves_nothing_that_does_not_show(text: str) -> None:
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", clean(text)
    )


@pytest.mark.parametrize(
    "marker", ["[skip ci]", "[CI skip]", "[no ci]", "[skip  actions]", "[actions\nskip]", "[[skip ci]]"]
)
def test_every_way_to_skip_workflows_loses_its_brackets(marker: str) -> None:
    line = message_line(f"x {marker} y")
    assert not re.search(r"\[[^\[\]()]*(ci|actions)[^\[\]()]*\]", line, re.IGNORECASE)


def test_a_sentence_of_plain_words_stays_one() -> None:
    sentence = (
        'the guard got worse than +10% allows (0.5 of 3), and "twice" the time; 4 runs, 1.65 sigma = much'
    )
    assert prose(sentence) == sentence
    assert prose("4 sealed runs repeat it") == "4 sealed runs repeat it"


def test_a_command_in_a_sentence_is_one_piece_of_code() -> None:
    """An answer said "`/pawl` try asks for a new one", which nobody could copy."""
    assert prose("it is over; /pawl try asks for a new one") == "it is over; `/pawl try` asks for a new one"
    assert prose("see /pawl") == "see `/pawl`"


def test_a_long_text_is_cut_and_says_so() -> None:
    assert len(code("x" * 10_000_000)) == 202
    assert code("x" * 300).endswith("…`")
    assert fence("a" * 9000, 100).count("a") == 100
    assert fence("a" * 9000 + "end", 100, tail=True).endswith("end\n```")


def test_a_link_goes_only_to_a_web_address() -> None:
    words = Safe("The job")
    assert (
        link(words, "https://github.com/o/r/actions/runs/1")
        == "[The job](https://github.com/o/r/actions/runs/1)"
    )
    for address in (
        "javascript:alert(1)",
        "https://a.b/) @x",
        "https://a.b/<x>",
        "https://a.b/" + "x" * 600,
        "",
    ):
        assert link(words, address) == "The job"


def test_a_template_prints_foreign_text_as_code_and_nothing_else_unasked() -> None:
    environment = _environment()
    assert environment.from_string("{{ x }}").render(x="<b> `c`") == "`` <b> `c` ``"
    assert environment.from_string("{{ x }}").render(x=Safe("**b**")) == "**b**"
    assert environment.from_string("{{ x ~ '' }}").render(x=Safe("**b**")) == "`**b**`"
    for value in (None, 1.5, True, ["a"]):
        with pytest.raises(TypeError, match="cannot show"):
            environment.from_string("{{ x }}").render(x=value)
    with pytest.raises(UndefinedError, match="y"):
        environment.from_string("{{ y }}").render()
    assert inert(3) == "3"


def test_a_phrase_quotes_what_is_put_into_it() -> None:
    assert phrase("a {} b {}", "*x*", Safe("*y*")) == "a `*x*` b *y*"


def test_hostile_text_keeps_its_words() -> None:
    assert "@octocat" in fence(HOSTILE)
    assert "`@octocat`" in prose(HOSTILE)
    assert (
        message_line("ping @octocat, fixes #12, see https://a.b")
        == "ping @ octocat, fixes # 12, see https: //a.b"
    )
