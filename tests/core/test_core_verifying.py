"""`verify` has nothing to say of what Pawl wrote, and something of every figure that somebody changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from core_world import EDIT, KNOBS, World, rules_of
from hypothesis import given, settings
from hypothesis import strategies as st

from pawl.core.chain import GENESIS, LedgerError, parse_lines
from pawl.core.config import SELECT
from pawl.core.decision import Verdict
from pawl.core.digest import canonical_json, sha256
from pawl.core.ledger import AnyLine, AuditLine, CalibrationLine, LostLine, Measured, Outcome, VerdictLine
from pawl.core.measurement import Arm, RunFact, RunStatus, Stage
from pawl.core.states import State
from pawl.core.verifying import finding_of, request_of, verify

Path = tuple[str | int, ...]


def edits(world: World, number: int) -> bytes:
    """Gains of three sigma, now and then a useless edit, and a crash."""
    content = world.commits[world.tip].files[EDIT].decode()
    if number == 4:
        return content.replace("# knob 3", "crash = True", 1).encode()
    if number % 3 == 2:
        return f"{content}# {number}\n".encode()
    lines = content.splitlines(keepends=True)
    place = next(i for i, line in enumerate(lines) if line.startswith(f"gain_{number % KNOBS}"))
    lines[place] = f"gain_{number % KNOBS} = {float(lines[place].split('=')[1]) + 3}\n"
    return "".join(lines).encode()


@cache
def ledger() -> tuple[AnyLine, ...]:
    """The history of a noisy loop with keeps, discards, a crash, two cut-off jobs, a seal on a second base and an audit."""
    world, moved = World(rules_of(limits={"experiments": 32}), seed=2, edits=edits), False
    while world.step() or world.in_flight() or world.deliver_proposal():
        if State.PROMOTED in world.states.values() and len(world.merges) == 2 and not moved:
            moved = True
            world.push("lab/evaluate.py", b"print('harder')\n")
        for job in world.taken():
            world.end_job(job.id, "cut off" if job.key in ("3.1", "7.1") else "complete")
        world.deliver_proposal()
    return tuple(world.ledger)


def test_the_history_is_rich_enough_to_be_worth_tampering_with() -> None:
    lines = ledger()
    verdicts = [line for line in lines if isinstance(line, VerdictLine)]
    assert {line.verdict for line in verdicts} >= {Verdict.KEEP, Verdict.DISCARD, Verdict.CRASH}
    assert {line.start for line in verdicts} == {Stage.SCREEN, Stage.SEAL}
    assert any(
        run.status in (RunStatus.STARTED, RunStatus.INTERRUPTED) for line in verdicts for run in line.runs
    )
    assert any(isinstance(line, AuditLine) and line.measured is not None for line in lines)
    assert [str(found) for found in verify(lines)] == []


def complaints(plain: list[dict[str, Any]]) -> list[str]:
    """What `verify` says of a ledger, or why it is none."""
    try:
        lines = parse_lines("".join(json.dumps(line) + "\n" for line in plain), "x")
    except LedgerError as error:
        return [str(error)]
    return [str(found) for found in verify(lines)]


def plain_ledger() -> list[dict[str, Any]]:
    return [json.loads(line.text) for line in ledger()]


def rechained(plain: list[dict[str, Any]], start: int = 0) -> list[dict[str, Any]]:
    """The forger's own chain from a line on: numbers and digests are right again."""
    prev = sha256(ledger()[start - 1].text) if start else GENESIS
    for seq, line in enumerate(plain[start:], start=start + 1):
        line["seq"], line["prev"] = seq, prev
        prev = sha256(canonical_json(line))
    return plain


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict):
        for key in sorted(value):
            yield from leaves(value[key], (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path


def changed(value: Any) -> Any:
    """Something else of about the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * 1.01 + 0.37
    others = {
        "keep": "discard",
        "discard": "keep",
        "crash": "discard",
        "violation": "keep",
        "inconclusive": "keep",
    }
    if value in others:
        return others[value]
    swaps = {
        "baseline": "candidate",
        "candidate": "baseline",
        "screen": "seal",
        "seal": "confirm",
        "ok": "crash",
    }
    return swaps.get(value, f"{value}x" if isinstance(value, str) else 1.0)


def put(plain: list[dict[str, Any]], path: Path) -> None:
    *way, last = path
    node: Any = plain
    for part in way:
        node = node[part]
    node[last] = changed(node[last])


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.data())
def test_no_field_of_a_line_can_be_changed_alone(data: st.DataObject) -> None:
    plain = plain_ledger()
    index = data.draw(st.integers(0, len(plain) - 2))  # the last line has no successor that names its digest
    path = data.draw(st.sampled_from(sorted(leaves(plain[index]), key=str)))
    put(plain, (index, *path))
    assert complaints(plain), path


FIGURES = (
    "verdict",
    "stage",
    "effect",
    "effect_sigma",
    "sigma",
    "screen_z",
    "llr",
    "start",
    "experiment",
    "attempt",
    "key",
)


def clipped(line: Measured, run: RunFact) -> bool:
    """Whether a confirming pair is so far apart that its difference says no more than the clip does."""
    pair = [other for other in line.runs if (other.stage, other.place) == (run.stage, run.place)]
    values = [other.metric[SELECT] for other in pair if SELECT in other.metric]
    return run.stage is Stage.CONFIRM and max(values) - min(values) > 3 * line.calibration.sigma


def material() -> list[Path]:
    """Every figure that follows from others, by line and field: nobody can change one of them and remake the chain."""
    found: list[Path] = []
    lines = ledger()
    last = max(line.calibration.upto for line in lines if isinstance(line, VerdictLine))
    for index, line in enumerate(lines):
        if not isinstance(line, (VerdictLine, CalibrationLine, AuditLine)) or not line.runs:
            continue
        known = [("calibration", "sigma"), ("calibration", "dof"), ("calibration", "device")]
        found += [(index, *path) for path in known]
        found += [(index, "calibration", "pool", place) for place in range(len(line.calibration.pool))]
        used = {run.seed for run in line.runs}
        found += [(index, "seeds", place) for place, seed in enumerate(line.seeds) if seed in used]
        for place, run in enumerate(line.runs):
            found += [(index, "runs", place, name) for name in ("arm", "stage", "place", "seed")]
            counts = isinstance(line, (VerdictLine, AuditLine)) or line.seq <= last
            if run.status is RunStatus.OK and counts and not clipped(line, run):
                found.append((index, "runs", place, "metric", "select"))
        if isinstance(line, VerdictLine):
            found += [(index, name) for name in FIGURES if getattr(line, name) is not None]
        elif isinstance(line, AuditLine):
            found += [(index, name) for name in ("ok", "measured", "claimed", "error", "number")]
        else:
            found += [(index, name) for name in ("ok", "number")]
    return found


@settings(deadline=None, max_examples=70, derandomize=True)
@given(st.data())
def test_no_figure_can_be_changed_even_by_who_remakes_the_chain(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(material()))
    plain = plain_ledger()
    before = json.dumps(plain)
    put(plain, path)
    assert json.dumps(rechained(plain, int(path[0]))) != before
    assert complaints(plain), path


@settings(deadline=None, max_examples=40, derandomize=True)
@given(st.data())
def test_no_run_can_be_left_out_doubled_or_moved(data: st.DataObject) -> None:
    """But for interrupted ones: they tell nothing, so that only the record beside the ledger knows of them."""
    plain = plain_ledger()
    index = data.draw(st.sampled_from([i for i, line in enumerate(plain) if len(line.get("runs", ())) > 1]))
    runs = plain[index]["runs"]
    told = [place for place, run in enumerate(runs) if run["status"] not in ("started", "interrupted")]
    place = data.draw(st.sampled_from(told))
    how = data.draw(st.sampled_from(["leave out", "double", "move"]))
    if how == "leave out":
        del runs[place]
    elif how == "double":
        runs.insert(place, runs[place])
    else:
        runs.append(runs.pop(place))
        if place == len(runs) - 1:
            return
    assert complaints(rechained(plain, index)), (index, place, how)


def test_a_merge_needs_a_keep() -> None:
    plain = plain_ledger()
    for line in plain:
        if line["kind"] == "outcome" and line["outcome"] == "closed":
            line["outcome"] = "merged"
            break
    assert "was merged without a verdict to keep it" in complaints(rechained(plain))[0]


def test_an_experiment_ends_once() -> None:
    plain = plain_ledger()
    outcome = next(line for line in plain if line["kind"] == "outcome")
    again = {**outcome, "key": f"{outcome['key']}-again", "outcome": Outcome.CLOSED}
    assert "what it says is called" in complaints(rechained([*plain, again]))[0]
    assert "a second time" in complaints(rechained([*plain, {**outcome}]))[0]


def test_a_seal_alone_needs_an_earlier_keep() -> None:
    """Four lucky runs are no evidence: only an edit that has passed the whole way before may start at the seal."""
    plain = plain_ledger()
    sealed = next(line for line in plain if line.get("start") == "seal")
    for line in plain:
        if line["kind"] == "verdict" and line["experiment"] == sealed["experiment"] and line is not sealed:
            line["experiment"], line["key"] = (
                900,
                line["key"].replace(f":{sealed['experiment']}:", ":900:", 1),
            )
    said = complaints(rechained(plain))
    assert any("started at seal without an earlier verdict to keep it" in line for line in said)


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": []},
        {"calibration": {"sigma": 1.0, "dof": 0, "pool": [], "device": "cpu", "upto": 0}},
        {"calibration": {"sigma": 1.0, "dof": 5, "pool": [], "device": "cpu", "upto": 0}},
        {"runs": []},
    ],
)
def test_nonsense_is_a_disagreement_and_no_traceback(change: dict[str, Any]) -> None:
    first = {
        line["kind"]: index for index, line in reversed(list(enumerate(plain_ledger()))) if line.get("runs")
    }
    assert set(first) == {"verdict", "calibration", "audit"}
    for index in first.values():
        plain = plain_ledger()
        plain[index].update(change)
        assert complaints(rechained(plain, index))


def test_a_finding_is_that_of_the_runs() -> None:
    for line in ledger():
        if isinstance(line, VerdictLine):
            found = finding_of(line)
            assert (found.verdict, found.effect, found.llr) == (line.verdict, line.effect, line.llr)
            assert request_of(line).seeds == line.seeds


def test_a_job_that_ended_early_has_a_line_before_the_one_that_goes_on() -> None:
    lines = ledger()
    lost = [line for line in lines if isinstance(line, LostLine)]
    assert {(line.experiment, line.attempt) for line in lost} == {(7, 1)}  # 3.1 had run enough
    for line in lost:
        verdicts = [
            each for each in lines if isinstance(each, VerdictLine) and each.experiment == line.experiment
        ]
        assert verdicts[0].seq > line.seq
        assert verdicts[0].attempt == line.attempt + 1
        assert line.known_runs < len(verdicts[0].runs) + 1
        assert line.reason
    assert len({line.key for line in lost}) == len(lost)


def test_the_runs_of_a_cut_off_job_are_in_its_line() -> None:
    line = next(line for line in ledger() if isinstance(line, VerdictLine) and line.attempt == 2)
    assert any(run.status is not RunStatus.OK and run.arm in Arm for run in line.runs)


def test_late_runs_belong_to_a_job_that_was_lost() -> None:
    """Runs that decide nothing could be a place to put bad ones away: only a lost job has any."""
    plain = [line.model_dump(mode="json") for line in ledger()]
    lost = next(line for line in plain if line["kind"] == "lost")
    late = {
        name: lost[name] for name in ("v", "loop", "at", "policy", "experiment", "attempt", "job", "fleet")
    }
    late |= {"kind": "late", "key": lost["key"].replace("lost", "late"), "runs": [], "record": "0" * 64}
    late |= {"seq": len(plain) + 1, "prev": "0" * 64, "policy": plain[-1]["policy"]}
    assert not complaints(rechained([*plain, late]))
    said = complaints(rechained([*plain, {**late, "key": f"{late['key']}0"}]))
    assert "which no earlier line says to be lost" in said[0]
