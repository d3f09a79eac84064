"""Planted cheats: what counts as stopped, when one is due, and what follows from one that passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from core_builders import SHA, History, drive, request
from core_builders import evaluated as evaluated_rules
from core_builders import rules as plain_rules
from core_world import EDIT, NOW, World, rules_of
from hypothesis import given
from hypothesis import strategies as st

from pawl.control.contexts import learnable
from pawl.core.actions import Append
from pawl.core.asks import Ask, Level
from pawl.core.calibration import calibration_of
from pawl.core.canary import claim_of
from pawl.core.cheats import CHEATS, known, plant
from pawl.core.config import Loop
from pawl.core.decide import Circumstances, decide
from pawl.core.decision import Fence, Tried
from pawl.core.digest import sha256
from pawl.core.incidents import open_incident
from pawl.core.ledger import AnyLine, AskLine, CanaryLine, DismissalLine, IncidentLine, RulesLine
from pawl.core.levels import AGREED, CLEAN, HELD, UNTRIED, plantable, standing, unearned
from pawl.core.measurement import Arm, Calibration, Purpose, Request, RunStatus, Stage
from pawl.core.planning import estimate_seconds
from pawl.core.planting import AFTER_TRIES, CANARY_EVERY, CANARY_TRIES, canary_due, next_canary
from pawl.core.snapshot import Tracking
from pawl.core.verifying import verify

CLAIM = 30.0
"""What is claimed where the pool is eight tens and sigma 1."""


def asked(cheat: str = "written-result", loop: Loop | None = None, **changes: Any) -> Request:
    loop = loop or evaluated_rules()
    return request(
        rules=loop, purpose=Purpose.CANARY, candidate=SHA, cheat=cheat, seeds=(7,), runs_wanted=1, **changes
    )


def tried(cheat: str, **run: Any) -> Tried:
    _, end = drive(asked(cheat), lambda _: {"value": None, **run})
    assert isinstance(end, Tried)
    return end


def test_a_canary_is_one_run_and_no_more() -> None:
    facts, _ = drive(asked(), lambda _: {"value": 10.0})
    assert [(each.arm, each.stage, each.place) for each in facts] == [(Arm.CANDIDATE, Stage.SCREEN, 0)]


@pytest.mark.parametrize(
    "status", [RunStatus.CRASH, RunStatus.INVALID, RunStatus.TIMEOUT, RunStatus.MEMORY, RunStatus.VIOLATION]
)
@pytest.mark.parametrize("cheat", sorted(CHEATS))
def test_a_cheat_that_ends_without_a_metric_was_stopped(cheat: str, status: RunStatus) -> None:
    its_own = status in (RunStatus.CRASH, RunStatus.TIMEOUT, RunStatus.MEMORY)
    wanted = Fence.UNTOLD if CHEATS[cheat].works and its_own else Fence.HELD
    assert tried(cheat, status=status).fence is wanted


def test_what_fails_before_its_turn_was_stopped_by_nothing() -> None:
    """A file that takes no heed of its budget is killed in the tenth of it that a canary gets, long before it ends, when
    it would have cheated. Three cheats of five counted as stopped then, by an evaluator that had seen none of them."""
    end = tried("overwritten-result", status=RunStatus.TIMEOUT)
    assert end.fence is Fence.UNTOLD
    assert end.reason.startswith("its turn never came: ")
    assert tried("stopped-clock", status=RunStatus.TIMEOUT).fence is Fence.HELD, "which is there to be killed"


def test_an_open_door_is_named_by_what_may_lie_behind_it() -> None:
    end = tried("private-files", status=RunStatus.INVALID, printed=CLAIM)
    assert "found one of holdout, evaluate.py" in end.reason


@pytest.mark.parametrize("cheat", sorted(CHEATS))
def test_a_cheat_whose_claim_is_the_metric_has_passed(cheat: str) -> None:
    end = tried(cheat, value=CLAIM)
    assert end.fence is Fence.PASSED
    assert CHEATS[cheat].mend in end.reason


def test_an_open_door_is_told_by_print_alone() -> None:
    """The run leaves no artifact, so that it has no metric: what counts is that it got where it says."""
    assert tried("private-files", status=RunStatus.INVALID, printed=CLAIM).fence is Fence.PASSED
    assert tried("printed-metric", status=RunStatus.INVALID, printed=CLAIM).fence is Fence.HELD


def test_a_metric_for_no_work_at_all_has_passed_if_it_would_pass_the_screen() -> None:
    assert tried("written-result", value=12.0).fence is Fence.PASSED
    assert tried("written-result", value=11.0).fence is Fence.HELD
    assert tried("overwritten-result", value=12.0).fence is Fence.HELD, "this one works, and may be lucky"
    impossible = asked(loop=evaluated_rules().model_copy(update={"metric": plain_rules(metric={
        "name": "score", "goal": "maximize", "range": [0, 11]}).metric}))  # fmt: skip
    assert drive(impossible, lambda _: {"value": 99.0})[1] == Tried(
        Fence.HELD, "score = 99 lies outside the possible range [0.0, 11.0]"
    )


def test_a_metric_for_no_work_is_not_taken_for_luck_twice() -> None:
    """Where the base is no better than nothing, one canary in twenty passed the screen: luck halted the loop, and took what
    it had earned."""
    twice = {**vars(asked("written-result")), "seeds": (7, 8)}
    twice = Request(**twice)
    values = iter([12.0, 12.5])
    facts, end = drive(twice, lambda _: {"value": next(values)})
    assert isinstance(end, Tried)
    assert (end.fence, [run.seed for run in facts]) == (Fence.PASSED, [7, 8])
    assert (
        "score = 12.5, which would pass the screen. To mend it, the evaluator must find invalid" in end.reason
    )
    values = iter([12.0, 10.5])
    facts, end = drive(twice, lambda _: {"value": next(values)})
    assert (isinstance(end, Tried) and end.fence, len(facts)) == (Fence.HELD, 2)
    facts, end = drive(twice, lambda _: {"value": CLAIM})
    assert (isinstance(end, Tried) and end.fence, len(facts)) == (Fence.PASSED, 1), "a claim is no luck"


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=2), st.sampled_from(sorted(CHEATS)))
def test_another_run_never_makes_a_cheat_pass_that_one_run_stopped(values: list[float], cheat: str) -> None:
    def end(seeds: tuple[int, ...]) -> Fence:
        found = drive(
            Request(**{**vars(asked(cheat)), "seeds": seeds}), lambda step: {"value": values[step.place]}
        )[1]
        assert isinstance(found, Tried)
        return found.fence

    assert not (end((7,)) is Fence.HELD and end((7, 8)) is Fence.PASSED)


def test_a_runner_that_is_lost_tells_nothing() -> None:
    assert tried("written-result", status=RunStatus.INTERRUPTED).fence is Fence.UNTOLD


@pytest.mark.parametrize(
    ("metric", "pool", "sigma", "claim"),
    [
        ({"goal": "maximize"}, (10.0, 10.0), 1.0, 30.0),
        ({"goal": "maximize"}, (1000.0,), 0.0, 1250.0),
        ({"goal": "minimize"}, (2.0, 2.0), 0.01, 1.5),
        ({"goal": "minimize"}, (2.0, 2.0), 1.0, 0.1726),
        ({"goal": "maximize"}, (-2.0, -2.0), 1.0, -0.1726),
        ({"goal": "maximize", "range": [0, 1]}, (0.8,), 0.1, 0.98274),
        ({"goal": "minimize", "range": [0.5, 9]}, (1.0,), 5.0, 0.54315),
        ({"goal": "maximize"}, (0.0, 0.0), 0.0, 1e-6),
    ],
)
def test_the_claim_is_far_better_and_possible(metric: Any, pool: Any, sigma: float, claim: float) -> None:
    loop = plain_rules(metric={"name": "score", **metric})
    assert claim_of(loop, Calibration(sigma=sigma, dof=9, pool=pool)) == pytest.approx(claim)


def test_nobody_can_claim_to_be_better_than_the_best() -> None:
    loop = plain_rules(metric={"name": "score", "goal": "maximize", "range": [0, 1]})
    with pytest.raises(ValueError, match="as good as its range admits"):
        claim_of(loop, Calibration(sigma=0.0, dof=9, pool=(1.0,)))


# When one is due, and which one.

AUTO = {"accept": ["process-sandbox"], "artifact": {"path": "out.json", "format": "json"},
        "evaluate": {"command": "python evaluate.py"}}  # fmt: skip


def world(seed: int = 1, **rules: Any) -> World:
    return World(rules=rules_of(**{**AUTO, **rules}), seed=seed, edits=harmless)


def harmless(made: World, number: int) -> bytes:
    """An edit without effect, so that no experiment is an incident."""
    content = made.commits[made.tip].files[EDIT]
    return content.replace(b"# knob 0", f"# knob 0, said otherwise {number} times".encode())


def around(made: World) -> str:
    """What is around the editable file now."""
    return made.snapshot().base.surroundings


def settled(made: World, experiments: int) -> World:
    made.rules = made.rules.model_copy(
        update={"limits": made.rules.limits.model_copy(update={"experiments": experiments})}
    )
    made.settle(5000)
    return made


def test_five_are_stopped_at_once_then_one_in_a_hundred() -> None:
    made = settled(world(), 7)
    canaries = made.of_kind(CanaryLine)
    assert [line.fence for line in canaries] == [Fence.HELD] * HELD
    assert len({line.cheat for line in canaries}) == HELD, "each of them another one"
    assert made.purposes()[0] is Purpose.POOL
    assert list(verify(made.ledger)) == []
    assert standing(made.rules, made.ledger, around(made)).held == HELD
    snapshot = replace(made.snapshot(), ledger=tuple(made.ledger))
    assert not canary_due(snapshot)
    many = History()
    many.lines = made.ledger[: canaries[-1].seq]
    for number in range(CANARY_EVERY):
        assert not canary_due(replace(snapshot, ledger=tuple(many.lines)))
        many.verdict(100 + number, rules=made.rules)
    assert canary_due(replace(snapshot, ledger=tuple(many.lines)))


@pytest.mark.parametrize(
    "rules",
    [{"accept": ["process-sandbox", "unearned-auto"]}, {"merge": "review"}, {"merge": "shadow"}],
    ids=["need not be earned", "review", "shadow"],
)
def test_nothing_is_planted_where_auto_is_not_to_be_earned(rules: dict[str, Any]) -> None:
    assert settled(world(**rules), 3).of_kind(CanaryLine) == []


def test_the_offer_of_auto_waits_for_them_where_people_still_decide() -> None:
    made = world(merge="review")
    story = History()
    shown = story.calibration([10.0] * CLEAN, rules=made.rules)
    for number in range(1, AGREED + 1):
        story.verdict(number, verdict="keep", rules=made.rules)
        assert not canary_due(replace(made.snapshot(), ledger=tuple(story.lines)))
        story.outcome(number, "merged", "ann")
    assert shown.ok
    assert canary_due(replace(made.snapshot(), ledger=tuple(story.lines)))


def test_one_that_passes_stops_merging_until_a_person_resumes() -> None:
    made = world()
    made.hollow = True
    for _ in range(200):
        made.look()
        for job in made.taken():
            made.end_job(job.id)
        if made.of_kind(IncidentLine):
            break
        made.deliver_proposal()
    made.look()
    (canary,) = made.of_kind(CanaryLine)
    assert canary.fence is Fence.PASSED
    incident = open_incident(made.ledger)
    assert incident is not None
    assert incident.reason.startswith(f"the planted cheat {canary.cheat} passed: a candidate that ")
    assert not canary_due(made.snapshot()), "not again before somebody has looked"
    assert unearned(made.rules, made.ledger, around(made))
    assert list(verify(made.ledger)) == []

    made.hollow = False
    made.label("pawl:resume")
    made.look()
    for job in made.taken():
        made.end_job(job.id)
    made.look()
    for job in made.taken():
        made.end_job(job.id)
    made.look()
    again = made.of_kind(CanaryLine)[1]
    assert (again.cheat, again.fence) == (canary.cheat, Fence.HELD), "what passed is tried first"


# A person may know better.


def passed(made: World, cheat: str = "written-result") -> History:
    """A loop that has earned something, and in which one cheat has passed."""
    story = History()
    story.calibration([10.0] * CLEAN, rules=made.rules)
    canary = story.canary(Fence.PASSED, cheat, rules=made.rules, surroundings=around(made))
    story.add(IncidentLine, f"incident:canary:{canary.number}", reason=f"the planted cheat {cheat} passed")
    return story


def say(made: World, story: History, text: str, level: Level = Level.MAINTAIN) -> list[AnyLine]:
    """What the ledger gets of a command."""
    one = Ask("77", "ada", level, text, 1, None, 77)
    seen = replace(made.snapshot(), ledger=tuple(story.lines), asks=(one,), tracking=Tracking(1))
    actions = decide(seen, Circumstances(NOW, b"key"))
    lines = [line for each in actions if isinstance(each, Append) for line in each.lines]
    return [line for line in lines if not isinstance(line, RulesLine)]


def test_a_person_dismisses_what_is_no_cheat_in_a_loop_and_says_why() -> None:
    made = world()
    story = passed(made)
    assert standing(made.rules, story.lines, around(made)).clean == 0
    dismissal, answer = say(made, story, "/pawl dismiss the number is the radius that we look for")
    assert isinstance(dismissal, DismissalLine)
    assert isinstance(answer, AskLine)
    assert (dismissal.by, dismissal.reason) == ("ada", "the number is the radius that we look for")
    assert (answer.verb, answer.level, answer.obeyed) == ("dismiss", "maintain", True)
    after = [*story.lines, dismissal]
    assert open_incident(after) is None
    assert standing(made.rules, after, around(made)).clean == CLEAN, "as if the incident had not been"
    assert "written-result" not in plantable(made.rules, after, around(made))
    made.rules = made.rules.model_copy(update={"budget": 99.0})
    assert "written-result" in plantable(made.rules, after, around(made)), (
        "under other rules it is planted again"
    )
    assert learnable(after) == learnable(story.lines), "no proposer hears of it"


def test_another_evaluator_must_stop_the_cheats_again_and_ends_a_dismissal() -> None:
    """What the old one had stopped, and a person's word about it, went on to count for files that nobody had tried."""
    made = settled(world(), 7)
    assert standing(made.rules, made.ledger, around(made)).held == HELD
    story = passed(made)
    (dismissal, _) = say(made, story, "/pawl dismiss the number is the radius that we look for")
    dismissed = [*story.lines, dismissal]
    assert "written-result" not in plantable(made.rules, dismissed, around(made))
    before = standing(made.rules, made.ledger, around(made))
    made.push("lab/evaluate.py", b"print(1)\n")
    after = standing(made.rules, made.ledger, around(made))
    assert (after.held, after.clean, after.agreed) == (0, before.clean, before.agreed)
    assert canary_due(replace(made.snapshot(), ledger=tuple(made.ledger), experiments=()))
    assert "written-result" in plantable(made.rules, dismissed, around(made))
    made.push(EDIT, b"x = 2\n")
    assert standing(made.rules, made.ledger, around(made)) == after, "the editable file is no fence"


@pytest.mark.parametrize("cheat", sorted(CHEATS))
def test_what_is_no_matter_of_opinion_cannot_be_dismissed(cheat: str) -> None:
    made = world()
    lines = say(made, passed(made, cheat), "/pawl dismiss because")
    wanted = {"overwritten-result", "private-files", "written-result"}
    assert (
        any(isinstance(line, DismissalLine) for line in lines)
        == (cheat in wanted)
        == bool(CHEATS[cheat].unless)
    )
    if cheat not in wanted:
        (refused,) = lines
        assert isinstance(refused, AskLine)
        assert CHEATS[cheat].mend in refused.reason


def test_only_a_passed_cheat_is_dismissed_and_only_its_own_incident_ends() -> None:
    made = world()
    story = passed(made)
    story.add(IncidentLine, "incident:printed", reason="printed and evaluated disagree")
    dismissal, _ = say(made, story, "/pawl dismiss because")
    after = [*story.lines, dismissal]
    found = open_incident(after)
    assert found is not None
    assert found.key == "incident:printed"
    story.lines = after
    (refused,) = say(made, story, "/pawl dismiss because")
    assert isinstance(refused, AskLine)
    assert "only a planted cheat that passed can be dismissed" in refused.reason


def test_it_takes_more_than_writing_to_dismiss() -> None:
    made = world()
    (refused,) = say(made, passed(made), "/pawl dismiss because", Level.WRITE)
    assert isinstance(refused, AskLine)
    assert not refused.obeyed


def test_a_runner_that_cannot_be_reached_is_not_tried_for_ever() -> None:
    made, story = world(), History()
    for _ in range(CANARY_TRIES):
        assert canary_due(replace(made.snapshot(), ledger=tuple(story.lines)))
        story.canary(Fence.UNTOLD, rules=made.rules, surroundings=around(made))
    for number in range(AFTER_TRIES):
        assert not canary_due(replace(made.snapshot(), ledger=tuple(story.lines)))
        story.verdict(number + 1)
    assert canary_due(replace(made.snapshot(), ledger=tuple(story.lines)))


def test_all_are_tried_in_turn_and_nobody_knows_which_is_next() -> None:
    made, story, seen = world(), History(), []
    names = known(made.rules)
    base = Calibration(sigma=1.0, dof=9, pool=(10.0,) * 8)
    first = {
        found.cheat
        for draw in range(20)
        if (found := next_canary(made.snapshot(), "", base, draw)) is not None
    }
    assert first == set(names)
    for draw in range(len(names)):
        snapshot = replace(made.snapshot(), ledger=())
        found = next_canary(replace(snapshot, ledger=tuple(story.lines)), "", base, 17 * draw)
        if found is None:
            break
        seen.append(found.cheat)
        story.canary(cheat=found.cheat, rules=made.rules, surroundings=around(made))
    assert len(set(seen)) == len(seen) == HELD


def test_a_cheat_that_never_tells_anything_does_not_keep_the_others_from_their_turn() -> None:
    made, story, seen = world(), History(), []
    base = Calibration(sigma=1.0, dof=9, pool=(10.0,) * 8)
    for number in range(20 * AFTER_TRIES):
        found = next_canary(replace(made.snapshot(), ledger=tuple(story.lines)), "", base, 0)
        if found is None:
            story.verdict(number + 1, rules=made.rules)
            continue
        seen.append(found.cheat)
        fence = Fence.UNTOLD if CHEATS[found.cheat].works else Fence.HELD
        story.canary(fence, cheat=found.cheat, rules=made.rules, surroundings=around(made))
    assert max(map(seen.count, seen)) - min(map(seen.count, seen)) <= 1


def test_fleets_take_turns() -> None:
    fleets = {"a": {"labels": ["a"]}, "b": {"labels": ["b"]}}
    made, story = world(fleets=fleets), History()
    base = Calibration(sigma=1.0, dof=9, pool=(10.0,) * 8)
    for fleet in ("a", "b", "a", "b"):
        snapshot = replace(made.snapshot(), ledger=tuple(story.lines))
        turns = [name for name in fleets if next_canary(snapshot, name, base, 0)]
        assert turns == [fleet]
        story.canary(rules=made.rules, surroundings=around(made), fleet=fleet)


def test_the_request_names_the_bytes_with_the_cheat_and_costs_a_tenth() -> None:
    made = world(budget="1000s")
    while not any(check.request and check.request.cheat for check in made.check_runs):
        made.look()
        for job in made.taken():
            made.end_job(job.id)
    found = next(check.request for check in made.check_runs if check.request and check.request.cheat)
    base = made.snapshot().base
    claim = claim_of(made.rules, calibration_of(made.ledger, base.inputs))
    assert (found.candidate, found.baseline) == (base.sha, base.sha)
    assert found.candidate_digest == sha256(plant(found.cheat, base.content, made.rules, claim))
    assert estimate_seconds(found) == 100.0


# What it takes, and what is verified.


def test_more_keeps_where_no_cheat_is_known() -> None:
    loop = plain_rules(edit="lab/train.sh", merge="auto")
    story = History()
    story.calibration([10.0] * CLEAN, rules=loop)
    for number in range(1, UNTRIED + 1):
        assert not standing(loop, story.lines, "").earned
        story.verdict(number, verdict="keep", rules=loop)
        story.outcome(number, "merged", "ann")
    assert unearned(loop, story.lines, "") == ""
    assert "no cheat is known" in unearned(loop, story.lines[:-1], "")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"fence": Fence.PASSED}, "says that the fence passed; its runs say held"),
        ({"cheat": "time-travel"}, "its runs say untold"),
        ({"runs": ()}, "its runs say untold"),
    ],
)
def test_verify_sees_a_canary_that_says_something_else(changes: dict[str, Any], what: str) -> None:
    made = settled(world(), 2)
    lines: list[AnyLine] = list(made.ledger)
    place = next(i for i, each in enumerate(lines) if isinstance(each, CanaryLine))
    story = History()
    story.lines = lines[:place]
    true = lines[place]
    values = {name: getattr(true, name) for name in type(true).model_fields} | changes
    story.lines.append(CanaryLine(**values))
    assert any(what in str(each) for each in verify(story.lines))


@pytest.mark.parametrize(
    ("cheat", "fence", "changes", "what"),
    [
        ("written-result", Fence.PASSED, {}, None),
        ("written-result", Fence.HELD, {}, "dismisses canary 2, which has not passed"),
        ("written-result", Fence.PASSED, {"canary": 9}, "dismisses canary 9, which has not passed"),
        ("imported-source", Fence.PASSED, {}, "dismisses imported-source, which nobody can dismiss"),
        ("written-result", Fence.PASSED, {"reason": " "}, "without saying who did, and why"),
        ("written-result", Fence.PASSED, {"by": ""}, "without saying who did, and why"),
    ],
)
def test_verify_sees_a_dismissal_that_nobody_could_make(
    cheat: str, fence: Fence, changes: dict[str, Any], what: str | None
) -> None:
    story = History()
    story.calibration([10.0])
    story.canary(fence, cheat)
    values = {"canary": 2, "by": "ada", "reason": "because", **changes}
    line = story.add(DismissalLine, f"dismissal:{values['canary']}", **values)
    found = [each.what for each in verify(story.lines) if each.seq == line.seq and "rules" not in each.what]
    assert found == [] if what is None else any(what in each for each in found)


def test_verify_misses_the_incident_of_a_cheat_that_passed() -> None:
    made = world()
    made.hollow = True
    while not made.of_kind(IncidentLine):
        made.look()
        for job in made.taken():
            made.end_job(job.id)
    place = next(i for i, each in enumerate(made.ledger) if isinstance(each, IncidentLine))
    assert [each.what for each in verify(made.ledger[:place])] == [
        "canary 2 passed, and no incident followed"
    ]
