"""Commands: read strictly, obeyed from those who may, answered once, and never more than they say."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from core_world import NOW, World, rules_of
from hypothesis import given
from hypothesis import strategies as st
from test_core_world import finish, gain, started, until

from pawl.core import actions as act
from pawl.core import asking
from pawl.core.asks import (
    AFTER_INCIDENT,
    NEEDED,
    WANTED,
    Ask,
    Labelled,
    Level,
    NotUnderstood,
    Verb,
    command_line,
    read_command,
)
from pawl.core.decide import Circumstances, decide
from pawl.core.ledger import AskLine, IncidentLine, ResumeLine
from pawl.core.patience import PER_HOUR, TOO_MANY
from pawl.core.policy import HOLD_LABEL, PAUSED_LABEL, RESUME_LABEL, HoldReason, hold
from pawl.core.snapshot import Snapshot
from pawl.core.states import State, state_of


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("/pawl merge", "/pawl merge"),
        ("/pawl merge\nbecause it is good", "/pawl merge"),
        ("/pawl\r\nmerge", "/pawl"),
        ("/pawl", "/pawl"),
        ("/pawl\tpause", "/pawl\tpause"),
        (" /pawl merge", ""),
        ("> /pawl merge", ""),
        ("```\n/pawl merge\n```", ""),
        ("Please\n/pawl merge", ""),
        ("/pawlmerge", ""),
        ("/Pawl merge", ""),
        ("", ""),
    ],
)
def test_a_command_is_the_first_line_of_a_comment(body: str, line: str) -> None:
    assert command_line(body) == line


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("/pawl", (Verb.HELP, "")),
        ("/pawl   pause  ", (Verb.PAUSE, "")),
        ("/pawl MERGE", (Verb.MERGE, "")),
        ("/pawl try a larger batch; rm -rf /", (Verb.TRY, "a larger batch; rm -rf /")),
        ("/pawl merge now", None),
        ("/pawl try", None),
        ("/pawl try   ", None),
        ("/pawl merge!", None),
        ("/pawl delete", None),
        ("/pawl --merge", None),
        ("/pawl mérge", None),
    ],
)
def test_a_command_is_read_strictly(text: str, read: tuple[Verb, str] | None) -> None:
    if read is None:
        with pytest.raises(NotUnderstood):
            read_command(text)
    else:
        assert read_command(text) == read


@given(st.text(max_size=200))
def test_any_comment_is_a_command_or_none(body: str) -> None:
    line = command_line(body)
    assert "\n" not in line
    if line:
        try:
            verb, idea = read_command(line)
        except NotUnderstood:
            return
        assert bool(idea) == (verb in WANTED)


def test_roles_are_in_their_order_and_strange_ones_may_nothing() -> None:
    assert Level.ADMIN.reaches(Level.READ)
    assert not Level.READ.reaches(Level.TRIAGE)
    assert Level.of("super-reviewer") is Level.NONE
    assert set(NEEDED) == set(Verb)


def ask(text: str, level: Level = Level.ADMIN, experiment: int | None = 1, number: str = "77") -> Ask:
    return Ask(number, "ada", level, text, 101 if experiment else 1, experiment, int(number))


def asked(world: World, *asks: Ask) -> tuple[act.Action, ...]:
    """What is decided about them; the world obeys."""
    snapshot = replace(world.snapshot(), asks=asks)
    actions = decide(snapshot, Circumstances(NOW, b"key"))
    for action in actions:
        if not isinstance(action, (act.React, act.Answer)):
            world.apply(action)
    return actions


def answered(world: World) -> AskLine:
    return world.of_kind(AskLine)[-1]  # type: ignore[no-any-return]


@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize("level", list(Level))
def test_who_may_what(verb: Verb, level: Level) -> None:
    world = until(started(), State.MEASURING)
    text = f"/pawl {verb} something" if verb in WANTED else f"/pawl {verb}"
    actions = asked(world, ask(text, level))
    if level.reaches(NEEDED[verb]):
        assert not any(isinstance(each, act.Answer) and "access" in each.refusal for each in actions)
        return
    (told,) = [each for each in actions if isinstance(each, act.Answer)]
    assert told.refusal == f"it takes {NEEDED[verb]} access to this repository; yours is {level}"
    assert [type(each) for each in actions] == [act.React, act.Answer, act.Append]
    line = answered(world)
    assert (line.by, line.level, line.obeyed, line.reason) == ("ada", level, False, told.refusal)


def test_a_command_is_answered_before_anything_else_and_once() -> None:
    world = until(started(), State.MEASURING)
    actions = asked(world, ask("/pawl pause", Level.TRIAGE, None))
    assert [type(each) for each in actions] == [act.React, act.AddLabels, act.Append]
    assert world.tracking is not None
    assert PAUSED_LABEL in world.tracking.labels
    assert answered(world).key == "ask:77"
    assert not [each for each in world.decided() if isinstance(each, (act.React, act.Answer))]


def test_an_answer_tells_why_nothing_happens() -> None:
    world = until(started(), State.MEASURING)
    snapshot = replace(
        world.snapshot(), asks=(ask("/pawl status"),), proposer_rests="it has tried everything"
    )
    told = [each for each in decide(snapshot, Circumstances(NOW, b"key")) if isinstance(each, act.Answer)]
    assert [each.notices for each in told] == [("no proposal: it has tried everything",)]


def test_an_idea_that_nobody_reads_is_told_so() -> None:
    """`search` turns numbers: an idea got its thumb up there, and then nothing."""
    for agent, told in (({}, 1), ({"proposer": "command", "command": "agent {prompt}"}, 0)):
        world = World(rules_of(agent=agent), edits=gain)
        world.step()
        actions = asked(world, ask("/pawl try a larger batch", experiment=None))
        assert answered(world).obeyed
        assert len([each for each in actions if isinstance(each, act.Answer)]) == told


def test_reactions_come_before_anything_else() -> None:
    world = until(started(), State.MEASURING)
    actions = asked(
        world, ask("/pawl pause"), ask("/pawl nothing", number="78"), ask("/pawl status", number="79")
    )
    assert [type(each) for each in actions][:3] == [act.React] * 3
    assert [each.obeyed for each in actions[:3] if isinstance(each, act.React)] == [True, False, True]


def test_resuming_takes_the_label_off_and_ends_an_incident_for_those_who_may() -> None:
    world = until(started(), State.MEASURING)
    finish(world, "forged")
    world.look()
    world.label(PAUSED_LABEL)
    (told,) = [
        each for each in asked(world, ask("/pawl resume", Level.WRITE)) if isinstance(each, act.Answer)
    ]
    assert AFTER_INCIDENT.value in told.refusal
    assert "while an incident is open" in told.refusal
    asked(world, ask("/pawl resume", Level.MAINTAIN, number="78"))
    assert world.of_kind(ResumeLine)[-1].by == "ada"
    assert world.tracking is not None
    assert PAUSED_LABEL not in world.tracking.labels
    assert world.of_kind(IncidentLine)


def test_the_label_that_resumes_is_heeded_from_those_who_may_and_taken_off_from_all() -> None:
    world = until(started(), State.MEASURING)
    finish(world, "forged")
    world.look()
    world.resumer = Labelled("eve", Level.WRITE)
    world.label(RESUME_LABEL)
    world.look()
    assert not world.of_kind(ResumeLine)
    assert world.tracking is not None
    assert RESUME_LABEL not in world.tracking.labels
    (told,) = world.answers.values()
    assert told == "after an incident it takes maintain access to let the loop go on; yours is write"
    world.resumer = Labelled("bob", Level.MAINTAIN)
    world.label(RESUME_LABEL)
    world.look()
    assert [line.by for line in world.of_kind(ResumeLine)] == ["bob"]


def test_a_stopped_loop_is_not_resumed_by_a_comment() -> None:
    world = until(started(), State.MEASURING)
    world.set_stop(True)
    asked(world, ask("/pawl resume"))
    assert "refs/pawl/stop" in answered(world).reason


def test_a_keep_under_review_is_merged_by_whoever_asks() -> None:
    world = until(started({"merge": "review", "accept": []}), State.HELD)
    asked(world, ask("/pawl merge", Level.WRITE))
    until(world, State.PROMOTED)
    world.look()
    assert world.merges == [1]
    (outcome,) = [line for line in world.ledger if line.kind == "outcome"]
    assert (outcome.outcome, outcome.by) == ("merged", "ada")


def test_a_merge_is_of_the_bytes_that_were_there_when_it_was_asked_for() -> None:
    world = until(started({"merge": "review"}), State.HELD)
    asked(world, ask("/pawl merge", Level.WRITE))
    snapshot = world.snapshot()
    (experiment,) = [each for each in snapshot.experiments if each.number == 1]
    assert hold(snapshot, experiment) is None
    other = replace(experiment, content=b"gain_0 = 99\n")
    assert (hold(snapshot, other) or pytest.fail("not held")).reason is HoldReason.REVIEW


def test_what_somebody_holds_is_merged_by_nobody() -> None:
    world = until(started(), State.PROMOTED)
    actions = asked(world, ask("/pawl hold", Level.TRIAGE))
    assert act.HoldBack(1) in actions
    assert "Merge" not in [type(each).__name__ for each in world.decided()]
    asked(world, ask("/pawl merge", number="78"))
    assert HOLD_LABEL in answered(world).reason
    world.pulls[1].labels.discard(HOLD_LABEL)
    assert "Merge" in [type(each).__name__ for each in world.decided()]


def test_a_keep_is_measured_once_more_and_its_new_runs_decide() -> None:
    world = until(started({"merge": "review", "limits": {"experiments": 1}}), State.HELD)
    before = len(world.jobs)
    asked(world, ask("/pawl rerun", Level.WRITE))
    assert state(world, 1) is State.PROPOSED
    until(world, State.HELD)
    assert len(world.jobs) == before + 1
    assert [line.verdict for line in world.ledger if line.kind == "verdict"] == ["keep", "keep"]


def test_what_was_dropped_is_not_measured_until_it_passes() -> None:
    """A rerun would be a free ticket: an edit that does nothing, measured often enough, is kept once."""
    world = World(rules_of(limits={"experiments": 1}), edits=lambda w, n: b"gain_0 = -9\n")
    world.settle()
    (line,) = [line for line in world.ledger if line.kind == "verdict"]
    assert line.verdict != "keep"
    jobs = len(world.jobs)
    asked(world, ask("/pawl rerun"))
    assert answered(world).reason.startswith(
        f"the verdict of experiment 1 is {line.verdict}, and only a keep"
    )
    assert "/pawl try" in answered(world).reason
    world.settle()
    assert len(world.jobs) == jobs


def test_a_flood_of_commands_is_refused_once_and_then_met_with_silence() -> None:
    world = until(started(), State.MEASURING)
    flood = [replace(ask("/pawl status", Level.READ, number=str(n)), by="eve") for n in range(100, 130)]
    actions = asked(world, *flood, ask("/pawl status", number="200"))
    told = [each for each in actions if isinstance(each, act.Answer)]
    assert [bool(each.refusal) for each in told] == [False] * PER_HOUR + [True, False]
    assert told[PER_HOUR].refusal == TOO_MANY
    assert len([each for each in actions if isinstance(each, act.React)]) == PER_HOUR + 2
    lines = [line for line in world.of_kind(AskLine) if line.by == "eve"]
    assert len(lines) == 30, "each has its line, or it would be looked at for ever"
    later = asked(world, replace(ask("/pawl help", Level.READ, number="201"), by="eve"))
    assert not [each for each in later if isinstance(each, (act.Answer, act.React))]


def test_a_flood_is_over_after_an_hour() -> None:
    world = until(started(), State.MEASURING)
    asked(world, *(ask("/pawl status", number=str(n)) for n in range(100, 130)))
    snapshot = replace(world.snapshot(), asks=(ask("/pawl status", number="300"),))
    later = (datetime.fromisoformat(world.of_kind(AskLine)[-1].at) + timedelta(hours=1)).isoformat()
    told = [each for each in asking.answered(snapshot, later) if isinstance(each, act.Answer)]
    assert [each.refusal for each in told] == [""]


@pytest.mark.parametrize("level", [Level.READ, Level.TRIAGE])
def test_a_person_can_stop_a_loop_however_much_they_have_said(level: Level) -> None:
    world = until(started(), State.MEASURING)
    asked(world, *(ask("/pawl status", level, number=str(n)) for n in range(100, 130)))
    asked(world, ask("/pawl pause", level, None, number="300"))
    assert answered(world).obeyed == level.reaches(Level.TRIAGE)
    assert world.tracking is not None
    assert (PAUSED_LABEL in world.tracking.labels) == level.reaches(Level.TRIAGE)


def state(world: World, number: int) -> State:
    snapshot: Snapshot = world.snapshot()
    return next(state_of(snapshot, each) for each in snapshot.experiments if each.number == number)


def test_what_has_no_verdict_is_merged_as_it_stands_and_the_ledger_says_so() -> None:
    world = until(started({"limits": {"experiments": 1}}), State.MEASURING)
    (experiment,) = [each for each in world.snapshot().experiments if each.number == 1]
    actions = asked(world, ask("/pawl merge", Level.WRITE))
    assert actions == (act.MergeAsked(1, experiment.head, "ada"),), (
        "answered only once it is seen to be merged"
    )
    asked(world, ask("/pawl merge", Level.WRITE))
    assert answered(world).obeyed
    world.settle()
    (outcome,) = [line for line in world.ledger if line.kind == "outcome" and line.experiment == 1]
    assert (outcome.outcome, outcome.by) == ("overridden", "ada")


def test_a_merge_that_github_refuses_is_refused_with_its_words() -> None:
    world = until(started(), State.MEASURING)
    (experiment,) = [each for each in world.snapshot().experiments if each.number == 1]
    snapshot = replace(
        world.snapshot(), asks=(ask("/pawl merge"),), refusals={experiment.head: "2 reviews are required"}
    )
    actions = decide(snapshot, Circumstances(NOW, b"key"))
    assert [type(each) for each in actions] == [act.React, act.Answer, act.Append]
    assert "2 reviews are required" in next(each.refusal for each in actions if isinstance(each, act.Answer))


def test_a_head_that_is_no_edit_is_merged_for_nobody() -> None:
    world = World(edits=lambda w, n: "x = '\u202e'\n".encode())
    world.look()
    world.deliver_proposal()
    asked(world, ask("/pawl merge"))
    assert answered(world).reason.startswith("its head is no edit of the one file")


@pytest.mark.parametrize("verb", ["merge", "rerun", "hold", "explain", "close"])
def test_what_is_about_an_experiment_is_said_in_its_pull_request(verb: str) -> None:
    world = until(started(), State.MEASURING)
    asked(world, ask(f"/pawl {verb}", experiment=None))
    assert "about one experiment" in answered(world).reason


def test_an_experiment_that_is_over_stays_over() -> None:
    world = World(rules_of(limits={"experiments": 1}), noise=0.0, edits=gain)
    world.settle()
    for number, verb in enumerate(("merge", "rerun", "hold", "close")):
        asked(world, ask(f"/pawl {verb}", number=str(number + 1)))
        assert "experiment 1 is over" in answered(world).reason


def test_a_person_closes_an_experiment_by_command() -> None:
    world = until(started({"limits": {"experiments": 1}}), State.MEASURING)
    asked(world, ask("/pawl close", Level.TRIAGE))
    world.settle()
    (outcome,) = [line for line in world.ledger if line.kind == "outcome"]
    assert (outcome.outcome, outcome.by) == ("closed", "ada")
