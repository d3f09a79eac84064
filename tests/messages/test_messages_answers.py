"""Answers to commands, as people read them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from messages_samples import HOSTILE, experiment, golden, snapshot, story

from pawl.core.actions import Answer
from pawl.core.asks import Ask, Level, Verb
from pawl.messages.answers import answer, answer_marker

ASK = Ask("4711", "ada", Level.WRITE, "/pawl status", 12, None, 4711)


@pytest.mark.parametrize(
    "verb",
    [Verb.HELP, Verb.STATUS, Verb.EXPLAIN, Verb.BUDGET, Verb.MERGE, Verb.RERUN, Verb.TRY, Verb.DISMISS],
)
def test_an_answer(verb: Verb) -> None:
    told = story()
    seen = snapshot(told.lines, experiments=(experiment(10), experiment(11)), last_number=11)
    number = 1 if verb is Verb.EXPLAIN else 10
    about = ASK if verb in (Verb.HELP, Verb.BUDGET) else replace(ASK, experiment=number)
    text = answer(Answer(about, verb, notices=("no proposal: it has tried everything",)), seen)
    assert text.startswith(answer_marker("4711"))
    golden(f"answer_{verb}.md", text)


def test_a_refusal() -> None:
    seen = snapshot(story().lines)
    golden("answer_refused.md", answer(Answer(ASK, Verb.MERGE, "it takes write access; yours is read"), seen))


def test_a_refusal_of_what_is_no_command_and_hostile_words() -> None:
    seen = snapshot(story().lines)
    hostile = replace(ASK, by="<b>@octocat</b>")
    golden("answer_hostile.md", answer(Answer(hostile, None, f"GitHub refuses to merge it: {HOSTILE}"), seen))
