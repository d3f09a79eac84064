"""Whole loops in a world of values: whatever happens, each experiment ends once, and what is merged was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from core_builders import History
from core_world import EDIT, NOW, World, rules_of, worth
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pawl.core import actions as act
from pawl.core.auditing import AUDIT_AFTER, control_due
from pawl.core.decide import Circumstances, decide
from pawl.core.decision import Verdict
from pawl.core.ledger import (
    AuditLine,
    CalibrationLine,
    IncidentLine,
    Outcome,
    OutcomeLine,
    ResumeLine,
    VerdictLine,
)
from pawl.core.measurement import Calibration, Purpose, Record, RunStatus, Stage
from pawl.core.policy import INCIDENT_LABEL, PAUSED_LABEL, RESUME_LABEL
from pawl.core.states import TRANSITIONS, State, state_of
from pawl.core.verifying import verify

WALKS = settings(
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def _open_pull(world: World) -> int | None:
    waiting = [number for number, pull in world.pulls.items() if pull.open]
    return world.random.choice(waiting) if waiting else None


def _end(world: World, how: str) -> None:
    for job in world.taken():
        world.end_job(job.id, how)


def _edit_pull(world: World, path: str, data: bytes) -> None:
    number = _open_pull(world)
    if number is not None:
        world.push_to_experiment(number, path, data)


def _with_pull(world: World, what: Callable[[int], None]) -> None:
    number = _open_pull(world)
    if number is not None:
        what(number)


def _move_knob(world: World) -> None:
    content = world.commits[world.tip].files[EDIT].decode()
    world.push(EDIT, content.replace("gain_0 = ", "gain_0 = 1", 1).encode())


def _push_edit(world: World) -> None:
    content = world.commits[world.tip].files[EDIT]
    _edit_pull(world, EDIT, world.random_edit(content))


EVENTS: dict[str, Callable[[World], object]] = {
    "look": lambda w: w.step(),
    "look again": lambda w: w.step(),
    "look, every action twice": lambda w: w.step(twice=True),
    "look, crash": lambda w: w.step(fuse=w.random.randrange(6)),
    "proposal": lambda w: w.deliver_proposal(),
    "job starts": lambda w: w.start_job(),
    "job ends": lambda w: _end(w, "complete"),
    "job is cut off": lambda w: _end(w, "cut off"),
    "job is lost": lambda w: _end(w, "lost"),
    "job is refused": lambda w: _end(w, "refused"),
    "record is forged": lambda w: _end(w, "forged"),
    "push beside": lambda w: w.push("README.md", f"{w.effects}".encode()),
    "push to inputs": lambda w: w.push("lab/evaluate.py", f"print({w.effects})".encode()),
    "push to the editable file": _move_knob,
    "close": lambda w: _with_pull(w, w.close),
    "merge": lambda w: _with_pull(w, w.merge),
    "pause": lambda w: w.label(PAUSED_LABEL),
    "unpause": lambda w: w.label(PAUSED_LABEL, False),
    "resume": lambda w: w.label(RESUME_LABEL),
    "stop": lambda w: w.set_stop(True),
    "go on": lambda w: w.set_stop(False),
    "close tracking": lambda w: w.open_tracking(False),
    "open tracking": lambda w: w.open_tracking(True),
    "push to experiment": _push_edit,
    "push elsewhere to experiment": lambda w: _edit_pull(w, "README.md", b"# mine\n"),
    "checks pass": lambda w: w.finish_checks("success"),
    "a check fails": lambda w: w.finish_checks("failure"),
}
NOT_YET = {(State.PROMOTED, State.REFUSED), (State.HELD, State.REFUSED)}
"""Ways that nothing makes: a merge that GitHub refuses does not end its experiment so far."""
USUAL = ["look", "look again", "proposal", "job starts", "job ends"]


def walk(world: World, events: list[str]) -> World:
    """Everything that happened, and then what happens when everybody lets the loop finish."""
    for event in events:
        EVENTS[event](world)
        world.note_states()
    world.settle()
    return world


def assert_sound(world: World) -> None:
    """What must be true of any world that has come to rest."""
    keys = Counter(line.key for line in world.ledger)
    assert not [key for key, count in keys.items() if count > 1]
    outcomes = world.of_kind(OutcomeLine)
    assert sorted(line.experiment for line in outcomes) == sorted(world.pulls)
    assert not [pull for pull in world.pulls.values() if pull.open or pull.branch]
    assert [str(found) for found in verify(world.ledger)] == []
    assert {pair for pair in world.transitions if pair[1] not in TRANSITIONS[pair[0]]} == set()
    merged = [line.experiment for line in outcomes if line.outcome is Outcome.MERGED]
    assert set(world.merges) <= set(merged)
    assert not world.in_flight()


EVENT_LISTS = st.lists(
    st.one_of(st.sampled_from(USUAL), st.sampled_from(USUAL), st.sampled_from(sorted(EVENTS))),
    min_size=5,
    max_size=45,
)


@WALKS
@given(
    EVENT_LISTS,
    st.integers(0, 2**16),
    st.sampled_from(["auto", "auto", "review", "shadow"]),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([(), ("ci",)]),
)
def test_whatever_happens_everything_ends_once(
    events: list[str], seed: int, merge: str, noise: float, required: tuple[str, ...]
) -> None:
    """Random lives of a loop: crashes, lost jobs, forged records, moving bases, and people at any time.

    The world itself asserts on the way that only measured bytes are merged onto a measured base, and that no lane has two
    jobs; `settle` asserts that the loop comes to rest.
    """
    world = World(rules_of(merge=merge, limits={"experiments": 4}), seed, noise)
    world.required_checks = required
    assert_sound(walk(world, events))


# A life without accidents, and the same life with one.


def steady_edits(world: World, number: int) -> bytes:
    """A gain, a useless edit, a cheat, another gain, one that is no edit, and one that needs a second base."""
    kinds = {
        1: ("gain_1 = 0", "gain_1 = 9"),
        2: ("# knob 2", "# button 2"),
        3: ("# knob 3", "cheat = True"),
        4: ("gain_4 = 0", "gain_4 = 9"),
        5: ("# knob 5", "x = '\u202e'"),
        6: ("gain_0 = 0", "gain_0 = 12"),
    }
    assert not world.proposing
    content = world.commits[world.tip].files[EDIT].decode()
    return content.replace(*kinds[number], 1).encode()


def steady(crash_at: int | None = None, interfere: bool = False, twice: bool = False) -> World:
    """A whole life of six experiments; the process may die for once, at the change with this number."""
    world = World(rules_of(limits={"experiments": 6}), seed=3, noise=0.0, edits=steady_edits)
    world.crash_at, world.watched = crash_at, interfere
    for round_ in range(30 if interfere else 0):
        world.look(twice)
        world.start_job()
        if round_ > 4:
            for number in (2, 4):
                if number in world.pulls and world.states[number] is State.MEASURING:
                    (world.close if number == 2 else world.merge)(number)
        for job in world.taken():
            world.end_job(job.id, "cut off" if job.id % 3 == 0 and job.key[-1] == "1" else "complete")
        world.deliver_proposal()
    world.settle()
    assert_sound(world)
    return world


def remains(world: World) -> dict[str, object]:
    """Everything of a world that a reader of the repository can see, but for the order of the ledger."""
    return {
        "lines": {
            line.key: (getattr(line, "verdict", ""), getattr(line, "outcome", "")) for line in world.ledger
        },
        "tip": world.commits[world.tip].files,
        "merges": world.merges,
        "checks": sorted((check.key, check.head, check.status) for check in world.check_runs),
        "pulls": world.pulls,
        "labels": world.tracking and world.tracking.labels,
        "files": sorted(world.files),
        "jobs": [(job.key, job.check_run) for job in world.jobs],
    }


def test_a_steady_life() -> None:
    world = steady()
    outcomes = {line.experiment: line.outcome for line in world.of_kind(OutcomeLine)}
    assert outcomes == {
        1: Outcome.MERGED,
        2: Outcome.CLOSED,
        3: Outcome.CLOSED,
        4: Outcome.MERGED,
        5: Outcome.CLOSED,
        6: Outcome.MERGED,
    }
    verdicts = {line.experiment: line.verdict for line in world.of_kind(VerdictLine)}
    assert verdicts[2] is Verdict.DISCARD
    assert verdicts[3] is verdicts[5] is Verdict.VIOLATION
    assert len(world.of_kind(IncidentLine)) == len(world.of_kind(ResumeLine)) == 1
    assert worth(world.commits[world.tip].files[EDIT]) == 30
    assert all(check.status == "completed" for check in world.check_runs)


def test_a_crash_anywhere_changes_nothing() -> None:
    """The process dies before each single change in turn, and is started again: the end is always the same."""
    reference = steady()
    expected = remains(reference)
    for change in range(reference.effects):
        assert remains(steady(change)) == expected, f"a crash before change {change}"


def test_a_crash_changes_no_outcome_among_people_and_lost_runners() -> None:
    """Here a look that comes later finds another base, so that only what became of the experiments must be the same."""

    def outcomes(world: World) -> list[tuple[object, ...]]:
        assert all(check.status == "completed" for check in world.check_runs)
        ends = [(line.experiment, line.outcome, line.by) for line in world.of_kind(OutcomeLine)]
        return sorted([*ends, *((line.experiment, line.verdict) for line in world.of_kind(VerdictLine))])

    reference = steady(interfere=True)
    for change in range(0, reference.effects, 3):
        assert outcomes(steady(change, interfere=True)) == outcomes(reference), (
            f"a crash before change {change}"
        )


def test_every_action_twice_changes_nothing() -> None:
    assert remains(steady(twice=True)) == remains(steady())


# What a life consists of, told one by one.


def started(
    rules: dict[str, object] | None = None, edits: Callable[[World, int], bytes] | None = None
) -> World:
    """A loop whose pool is measured and whose first proposal waits to be measured."""
    world = World(rules_of(**(rules or {})), seed=1, noise=0.0, edits=edits or gain)
    for _ in range(3):
        world.step()
        finish(world)
        world.deliver_proposal()
    return world


def gain(world: World, number: int) -> bytes:
    knob = number % 6
    content = world.commits[world.tip].files[EDIT].decode()
    return content.replace(f"gain_{knob} = ", f"gain_{knob} = {number}", 1).encode()


def finish(world: World, how: str = "complete") -> None:
    for job in world.taken():
        world.end_job(job.id, how)


def _run(world: World) -> None:
    """The runner does the next thing: it takes the job, or it ends it."""
    if not world.start_job():
        finish(world)


def until(world: World, state: State, number: int = 1) -> World:
    """Look and measure until an experiment is in a state."""
    for _ in range(40):
        snapshot = world.snapshot()
        found = {e.number: state_of(snapshot, e) for e in snapshot.experiments}
        if found.get(number) is state:
            return world
        if world.step() == 0:
            _run(world)
        world.deliver_proposal()
    raise AssertionError(f"experiment {number} never is {state}: {found}")


def kinds(world: World) -> list[str]:
    return [type(action).__name__ for action in world.decided()]


def test_a_loop_begins_with_its_tracking_issue() -> None:
    world = World()
    assert kinds(world) == ["EnsureTracking"]
    world.step()
    assert kinds(world) == ["StartCalibration", "Propose", "UpdateTracking"]


def test_the_next_job_comes_before_the_last_one_is_written_up() -> None:
    """A GPU that waits for prose costs money: the next job is queued before the present one ends, or else at once."""
    useless = lambda w, n: w.commits[w.tip].files[EDIT].replace(b"# knob", b"# note", 1)  # noqa: E731
    world = until(started(edits=useless), State.MEASURING)
    assert [job.status for job in world.in_flight()] == ["in_progress", "queued"]

    finish(world)
    world.look()
    finish(world)
    world.deliver_proposal()  # the proposer took as long as the job
    names = kinds(world)
    assert names.index("StartAttempt") < names.index("Append") < names.index("Publish") < names.index("Close")


def test_nothing_is_dispatched_while_a_keep_is_on_its_way() -> None:
    world = until(started(), State.MEASURING)
    finish(world)
    names = kinds(world)
    assert {"StartAttempt", "StartCalibration", "Propose"}.isdisjoint(names)
    assert names.index("Append") < names.index("Publish") < names.index("Promote")
    world = until(world, State.PROMOTED)
    assert "Merge" in kinds(world)
    assert {"StartAttempt", "StartCalibration", "Propose"}.isdisjoint(kinds(world))


def test_a_push_beside_voids_nothing_and_a_push_to_inputs_everything() -> None:
    world = until(started(), State.PROMOTED)
    world.push("README.md", b"# other\n")
    assert state_of(world.snapshot(), world.snapshot().experiments[0]) is State.KEPT
    assert "Promote" in kinds(world)
    assert "Rebase" not in kinds(world)
    world.push("lab/evaluate.py", b"print('harder')\n")
    assert "Rebase" in kinds(world)


def test_a_keep_whose_base_moved_is_sealed_again_and_no_more() -> None:
    world = until(started(), State.PROMOTED)
    world.push("lab/evaluate.py", b"print('harder')\n")
    until(world, State.MEASURING)
    attempt = world.snapshot().experiments[0].attempt
    assert attempt is not None
    assert attempt.request is not None
    assert attempt.request.start is Stage.SEAL
    until(world, State.PROMOTED)
    verdicts = [line for line in world.of_kind(VerdictLine) if line.experiment == 1]
    assert [line.start for line in verdicts] == [Stage.SCREEN, Stage.SEAL]
    assert {run.stage for run in verdicts[1].runs} == {Stage.SEAL}


def test_a_keep_that_conflicts_with_its_new_base_is_superseded() -> None:
    world = until(started(), State.PROMOTED)
    content = world.commits[world.tip].files[EDIT]
    world.push(EDIT, content.replace(b"gain_1 = 0", b"gain_1 = 4"))
    (action,) = [action for action in world.decided() if isinstance(action, act.Close)]
    assert (action.outcome, action.label) == (Outcome.SUPERSEDED, "pawl:superseded")
    assert "conflicts with what has reached main" in action.reason
    world.step()
    world.step()
    assert [line.outcome for line in world.of_kind(OutcomeLine)] == [Outcome.SUPERSEDED]


def test_an_edit_that_is_on_the_base_already_is_superseded() -> None:
    world = until(started(), State.PROMOTED)
    world.push(EDIT, world.snapshot().experiments[0].content)
    (action,) = [action for action in world.decided() if isinstance(action, act.Close)]
    assert "is already contained in" in action.reason


def test_runs_of_a_job_that_was_cut_off_stay_in_the_verdict() -> None:
    world = World(rules_of(limits={"experiments": 1}), seed=8, edits=lambda w, n: gain(w, 9))
    while not world.of_kind(VerdictLine):
        world.step()
        for job in world.taken():
            world.end_job(job.id, "cut off" if job.key in ("1.1", "1.2") else "complete")
        world.deliver_proposal()
    (line,) = world.of_kind(VerdictLine)
    assert line.attempt == 3
    lost = [run for run in line.runs if run.status in (RunStatus.INTERRUPTED, RunStatus.STARTED)]
    assert len(lost) == 2
    assert [str(found) for found in verify(world.ledger)] == []


def test_a_job_that_is_always_lost_ends_its_experiment_and_not_the_loop() -> None:
    world = started({"limits": {"experiments": 2}})
    while not world.of_kind(OutcomeLine):
        world.step()
        finish(world, "lost")
        world.deliver_proposal()
    lines = world.of_kind(VerdictLine)
    assert {(line.verdict, line.attempt, line.runs) for line in lines} == {(Verdict.INCONCLUSIVE, 4, ())}
    assert all(line.reason.startswith("4 jobs ended before the plan did") for line in lines)
    world.settle()
    assert_sound(world)


@pytest.mark.parametrize("how", [PAUSED_LABEL, "stop", "closed"])
def test_a_person_can_stop_it(how: str) -> None:
    """Label, ref or closed issue: nothing is begun or merged, what waits is cancelled; the stop ref cancels what runs."""
    world = until(started(), State.MEASURING)
    running, queued = world.in_flight()
    halt(world, how, True)
    cancelled = {action.job for action in world.decided() if isinstance(action, act.CancelJob)}
    assert cancelled == ({running.id, queued.id} if how == "stop" else {queued.id})
    finish(world)
    for _ in range(5):
        world.step()
        world.deliver_proposal()
    assert not world.in_flight()
    assert not world.merges
    assert {"StartAttempt", "StartCalibration", "Redispatch", "Propose", "Merge"}.isdisjoint(kinds(world))
    halt(world, how, False)
    world.rules = rules_of(limits={"experiments": 2})
    world.settle()
    assert world.merges


def halt(world: World, how: str, there: bool) -> None:
    if how == "stop":
        world.set_stop(there)
    elif how == "closed":
        world.open_tracking(not there)
    else:
        world.label(how, there)


def test_a_pause_between_a_check_run_and_its_job() -> None:
    """The process died after creating the check run: a paused loop must not dispatch the job when it comes back."""
    world = started()
    world.step(fuse=1)
    assert not world.in_flight()
    assert "Redispatch" in kinds(world)
    world.label(PAUSED_LABEL)
    assert "Redispatch" not in kinds(world)
    world.label(PAUSED_LABEL, False)
    assert "Redispatch" in kinds(world)


def test_an_incident_stops_merging_but_not_measuring() -> None:
    world = until(started(), State.MEASURING)
    finish(world, "forged")
    world.step()
    assert world.tracking is not None
    assert INCIDENT_LABEL in world.tracking.labels
    until(world, State.HELD, 2)
    assert "Merge" not in kinds(world)
    assert until(world, State.MEASURING, 3)
    world.label(RESUME_LABEL)
    until(world, State.PROMOTED, 2)
    assert {INCIDENT_LABEL, RESUME_LABEL}.isdisjoint(world.tracking.labels)


def test_nobody_can_resume_from_an_incident_before_it_is_there() -> None:
    """A resume label that waited for one incident once ended another one that the same step found."""
    world = until(started(), State.MEASURING)
    finish(world, "forged")
    world.step()
    until(world, State.MEASURING, 2)
    world.label(RESUME_LABEL)
    finish(world, "forged")
    world.step()
    assert [type(line).__name__ for line in world.ledger[-4:]].count("ResumeLine") == 1
    assert isinstance(world.ledger[-1], IncidentLine)
    assert world.tracking is not None
    assert INCIDENT_LABEL in world.tracking.labels
    assert RESUME_LABEL not in world.tracking.labels


def test_no_second_job_while_one_is_being_cancelled() -> None:
    """A person closes a pull request in the middle of its measurement; GitHub takes a while to stop the job."""
    world = until(started(), State.MEASURING)
    world.close(1)
    names = kinds(world)
    assert "CancelJob" in names
    assert {"StartAttempt", "StartCalibration"}.isdisjoint(names)


def test_a_head_that_is_no_edit_is_judged_once_wherever_the_base_is() -> None:
    """Its verdict once stood under the present base, and was not found again when the base moved before the close."""
    world = started(edits=lambda w, n: "x = '\u202e'\n".encode() + w.commits[w.tip].files[EDIT])
    world.push("lab/evaluate.py", b"print('harder')\n")
    world.step(fuse=1)
    (line,) = world.of_kind(VerdictLine)
    assert (line.verdict, line.runs) == (Verdict.VIOLATION, ())
    for _ in range(4):
        world.step()
    assert len([found for found in world.of_kind(VerdictLine) if found.experiment == 1]) == 1
    assert [found.outcome for found in world.of_kind(OutcomeLine)] == [Outcome.CLOSED]
    assert [str(found) for found in verify(world.ledger)] == []


def test_a_request_that_cannot_be_read_any_more_is_no_cheat() -> None:
    world = until(started(), State.MEASURING)
    finish(world)
    next(check for check in world.check_runs if check.key == "1.1").request = None
    world.step()
    (line,) = world.of_kind(VerdictLine)
    assert line.verdict is Verdict.INCONCLUSIVE
    assert "cannot be read any more" in line.reason
    assert not world.of_kind(IncidentLine)


def test_a_record_that_is_not_counted_is_not_said_to_be_the_verdicts() -> None:
    """After a server was put back to an older version, `pawl verify` called its ledger false for ever: a verdict named the
    record of a request that could not be read, with none of its runs."""
    world = until(started(), State.MEASURING)
    finish(world, "forged")
    world.step()
    (line,) = world.of_kind(VerdictLine)
    assert (line.runs, line.record) == ((), None)
    assert "loop/1/record.json" not in world.files
    (stray,) = [path for path in world.files if path.startswith("loop/1/stray-")]
    assert Record.model_validate_json(world.files[stray]).request == "0" * 64


def test_a_shadow_loop_reports_and_merges_nothing() -> None:
    world = World(rules_of(merge="shadow", limits={"experiments": 2}), noise=0.0, edits=gain)
    world.settle()
    assert_sound(world)
    assert [line.verdict for line in world.of_kind(VerdictLine)] == [Verdict.KEEP] * 2
    assert not world.merges
    assert all(pull.labels == {"pawl:keep"} for pull in world.pulls.values())


def test_a_loop_under_review_waits_for_people_and_goes_on_measuring() -> None:
    world = until(started({"merge": "review"}), State.HELD)
    assert until(world, State.MEASURING, 2)
    assert not world.merges
    world.merge(1)
    world.step()
    world.step()
    assert [line.outcome for line in world.of_kind(OutcomeLine)] == [Outcome.MERGED]


def test_a_person_can_overrule_a_verdict() -> None:
    world = until(started(edits=lambda w, n: w.commits[w.tip].files[EDIT] + b"# hm\n"), State.MEASURING)
    finish(world)
    world.step(fuse=2)
    world.merge(1)
    world.step()
    (line,) = world.of_kind(OutcomeLine)
    assert (line.outcome, line.by, line.commit) == (Outcome.OVERRIDDEN, "ada", world.tip)


def test_a_required_check_decides_with_pawl() -> None:
    world = started()
    world.required_checks = ("ci",)
    until(world, State.HELD)
    assert {"Merge", "Propose", "StartAttempt"}.isdisjoint(kinds(world))
    world.finish_checks("failure")
    assert "Merge" not in kinds(world)
    assert {"Propose", "StartAttempt"} & set(kinds(world))
    world.other_checks[world.pulls[1].head] = []
    world.required_checks = ()
    assert "Merge" in kinds(world)


def test_limits_and_rest() -> None:
    world = World(rules_of(limits={"experiments": 3}), seed=4)
    world.settle()
    assert sorted(world.pulls) == [1, 2, 3]
    assert kinds(world) == ["UpdateTracking"]
    for _ in range(5):
        assert world.step() == 0
    assert world.notices == ("the limit of 3 experiments is reached",)


def test_a_proposer_that_rests_and_one_that_thinks() -> None:
    world = started()
    finish(world)
    snapshot = replace(world.snapshot(), proposing=(9,))
    names = [type(action).__name__ for action in decide(snapshot, Circumstances(NOW, b""))]
    assert "Propose" not in names
    snapshot = replace(world.snapshot(), proposer_rests="it has tried everything")
    (update,) = [a for a in decide(snapshot, Circumstances(NOW, b"")) if isinstance(a, act.UpdateTracking)]
    assert "no proposal: it has tried everything" in update.notices


def dry(seed: int) -> World:
    """A loop that finds much with its first edit, and nothing ever after."""

    def edit(made: World, number: int) -> bytes:
        content = made.commits[made.tip].files[EDIT]
        return (
            content.replace(b"gain_0 = 0", b"gain_0 = 30")
            if number == 1
            else content + f"# {number}\n".encode()
        )

    return World(rules=rules_of(limits={"experiments": 1}), seed=seed, edits=edit)


@pytest.mark.parametrize("blind", [False, True])
def test_what_is_known_to_be_worse_must_be_so_after_a_hundred_experiments_without_a_keep(blind: bool) -> None:
    """Runners that measured an installed copy of the file, and not the file, kept nothing any more, so that the audit after
    ten merges never came: the loop went on for ever, and nobody was told."""
    made = dry(seed=4)
    made.settle()
    assert made.merges == [1]
    made.instead, limits = made.commits[made.tip].files[EDIT] if blind else b"", made.rules.limits
    made.rules = made.rules.model_copy(
        update={"limits": limits.model_copy(update={"experiments": AUDIT_AFTER})}
    )
    made.settle(5000)
    assert not made.of_kind(AuditLine), "not before"
    more = limits.model_copy(update={"experiments": AUDIT_AFTER + 10})
    made.rules = made.rules.model_copy(update={"limits": more})
    made.settle(5000)
    (audit,) = made.of_kind(AuditLine)
    assert audit.ok is not blind
    assert (audit.measured > 15.0) is not blind
    assert bool(made.of_kind(IncidentLine)) is blind
    assert list(verify(made.ledger)) == []


@pytest.mark.parametrize(
    ("effect", "rules", "due"),
    [(30.0, {}, True), (5.0, {}, False), (30.0, {"budget": "9s"}, False), (30.0, {"merge": "review"}, True)],
    ids=["clear", "within the noise", "measured otherwise", "other rules, measured alike"],
)
def test_a_known_difference_is_measured_only_where_it_cannot_hide(
    effect: float, rules: dict[str, Any], due: bool
) -> None:
    made, story = World(rules=rules_of(**rules)), History()
    story.calibration([10.0] * 8, rules=rules_of())
    story.verdict(1, verdict="keep", effect=effect, rules=rules_of())
    story.outcome(1, "merged")
    known = Calibration(sigma=1.0, dof=40, pool=(10.0,) * 8)
    for number in range(AUDIT_AFTER):
        assert not control_due(replace(made.snapshot(), ledger=tuple(story.lines)), known)
        story.verdict(2 + number, rules=made.rules)
    assert control_due(replace(made.snapshot(), ledger=tuple(story.lines)), known) == due
    story.verdict(500, verdict="keep", effect=1.0)
    assert not control_due(replace(made.snapshot(), ledger=tuple(story.lines)), known), "a keep shows as much"


def test_a_sentinel_after_eight_screens_and_an_audit_after_ten_merges() -> None:
    useless = lambda w, n: w.commits[w.tip].files[EDIT] + f"# {n}\n".encode()  # noqa: E731
    world = World(rules_of(limits={"experiments": 20}), noise=0.0, edits=useless)
    world.settle()
    assert [line.purpose for line in world.of_kind(CalibrationLine)] == [Purpose.POOL] + [
        Purpose.SENTINEL
    ] * 2
    world = World(rules_of(limits={"experiments": 12}), noise=0.0, edits=gain)
    world.settle()
    assert len(world.merges) == 12
    (audit,) = world.of_kind(AuditLine)
    assert audit.ok
    assert audit.measured == audit.claimed > 0
    assert_sound(world)


def test_gains_that_vanish_from_the_branch_are_an_incident() -> None:
    world = World(rules_of(limits={"experiments": 11}), noise=0.0, edits=gain)
    pushed = False
    for _ in range(60):
        world.step()
        finish(world)
        world.deliver_proposal()
        if len(world.merges) == 10 and not pushed:
            pushed = True
            world.push(EDIT, world.commits[world.tip].files[EDIT].replace(b"gain_0 = ", b"gain_0 = -"))
    (audit,) = world.of_kind(AuditLine)
    assert not audit.ok
    (incident,) = world.of_kind(IncidentLine)
    assert incident.reason.startswith("the branch gained ")
    assert world.tracking is not None
    assert INCIDENT_LABEL in world.tracking.labels


def test_a_base_that_cannot_run_waits_for_a_person() -> None:
    world = World(noise=0.0)
    world.push(EDIT, b"crash\n")
    for _ in range(12):
        world.step()
        finish(world)
    assert [line.ok for line in world.of_kind(CalibrationLine)] == [False, False]
    assert any(
        notice.startswith("the base cannot be measured: the base itself failed") for notice in world.notices
    )
    assert world.step() == 0
    world.push(EDIT, b"gain_0 = 0\n")
    assert "StartCalibration" in kinds(world)


def slowly(state: State, **changes: object) -> World:
    """A world in which the first experiment has just come into a state; each step makes one change and dies."""
    edit = b"x = 1\n" if state is State.DROPPED else None
    world = World(rules_of(**changes), noise=0.0, edits=(lambda w, n: edit) if edit else gain)
    for _ in range(60):
        if world.states.get(1) is state:
            return world
        if world.step(fuse=1) == 0 or world.states.get(1) is State.MEASURING:
            _run(world)
        world.deliver_proposal()
    raise AssertionError(f"never {state}")


PEOPLE: dict[str, Callable[[World], object]] = {
    "close": lambda w: w.close(1),
    "merge": lambda w: w.merge(1),
    "push": lambda w: w.push_to_experiment(1, EDIT, b"y = 1\n"),
    "pause": lambda w: w.label(PAUSED_LABEL),
    "push beside": lambda w: w.push("README.md", b"new\n"),
    "push over": lambda w: w.push(EDIT, b"z = 1\n"),
    "job ends": finish,
    "job is cut off": lambda w: finish(w, "lost"),
    "look": lambda w: w.step(fuse=1),
    "look more": lambda w: w.step(),
}
OPEN = [state for state in State if TRANSITIONS[state]]


def test_every_way_in_the_table_is_gone_and_no_other() -> None:
    """In each state, whatever a person, a runner or Pawl may do next."""
    seen: set[tuple[State, State]] = set()
    for state in OPEN:
        for first in PEOPLE.values():
            for changes in ({}, {"merge": "review"}) if state in (State.KEPT, State.HELD) else ({},):
                if state is State.HELD:
                    world = slowly(State.PROMOTED)
                    world.label(PAUSED_LABEL)
                else:
                    world = slowly(state, **changes)
                first(world)
                world.note_states()
                world.step()
                world.label(PAUSED_LABEL, False)
                seen |= world.transitions
    world = World(rules_of(), noise=0.0, edits=lambda w, n: "x = '\u202e'\n".encode())
    for _ in range(5):
        world.step()
        finish(world)
        world.deliver_proposal()
    seen |= world.transitions
    table = {(old, new) for old, ways in TRANSITIONS.items() for new in ways if old is not new}
    assert {str(way) for way in seen - table} == set()
    assert table - seen == NOT_YET
