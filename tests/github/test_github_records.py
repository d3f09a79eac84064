"""What Pawl keeps on GitHub beside pull requests, the ledger and traces: written in few requests, and over nobody's work."""

from __future__ import annotations

from copy import copy

import pytest
import requests
from github_kit import LOOP, NAME, World, edit

from pawl.control.library import library_of
from pawl.core.actions import Append, KeepTraces
from pawl.core.chain import check_chain, parse_lines
from pawl.core.draft import Draft
from pawl.core.ledger import IncidentLine
from pawl.core.snapshot import Snapshot
from pawl.github.errors import Forbidden, Moved, Unreachable
from pawl.github.ledger_branch import LedgerBranch
from pawl.github.objects import Objects
from pawl.github.traces import trace_ref
from pawl.github.tracking import tracking_issue

NOW = "2026-01-01T00:00:00+00:00"
SEGMENT = f"{LOOP}/ledger-0001.jsonl"


def told(world: World, key: str) -> tuple[Append, Snapshot]:
    """One line of news for the ledger, with the look that it follows."""
    snapshot = world.observe()
    draft = Draft(snapshot, NOW)
    draft.add(IncidentLine, key, experiment=None, reason=key, stops="loop")
    return Append(tuple(draft.lines)), snapshot


def another(world: World) -> World:
    """Another Pawl beside the world's own."""
    other = copy(world)
    other.restart()
    return other


def cost(world: World, append: Append, snapshot: Snapshot) -> list[str]:
    """The requests that an append took."""
    before = len(world.requests())
    assert world.actor.apply(append, snapshot)
    return [request.split(" ")[0] for request in world.requests()[before:]]


def keys(world: World) -> list[str]:
    """The keys of the ledger's incidents, which is sound."""
    lines = parse_lines(world.file("pawl/ledger", SEGMENT), "ledger")
    check_chain(lines)
    return [line.key for line in lines if isinstance(line, IncidentLine)]


def test_lines_alone_are_one_request(world: World) -> None:
    """They once took three: a tree, a commit and the branch's move."""
    world.settle()
    assert cost(world, *told(world, "one")) == ["PUT"]
    assert cost(world, *told(world, "two")) == ["PUT"]
    assert keys(world) == ["one", "two"]
    assert world.observe() == world.observe(fresh=True)


def test_what_another_loop_wrote_in_between_stays(world: World) -> None:
    """The branch is all loops' own: only a change of this loop's ledger is in the way of a line."""
    world.settle()
    append, snapshot = told(world, "one")
    world.server.hub.push_files(
        NAME, {"other/ledger-0001.jsonl": "{}\n"}, "Another loop", branch="pawl/ledger"
    )
    assert world.actor.apply(append, snapshot)
    assert world.file("pawl/ledger", "other/ledger-0001.jsonl") == "{}\n"
    assert keys(world) == ["one"]
    assert world.observe() == world.observe(fresh=True)
    assert cost(world, *told(world, "two")) == ["PUT"]


def test_a_line_goes_over_nobodys_line(world: World) -> None:
    """Two Pawls saw the same ledger: the second one looks again, and finds what the first has written."""
    world.settle()
    late, snapshot = told(world, "late")
    other = another(world)
    other.actor.apply(*told(other, "early"))
    with pytest.raises(Moved, match="has moved"):
        world.actor.apply(late, snapshot)
    assert keys(world) == ["early"]
    world.actor.apply(*told(world, "late"))
    assert keys(world) == ["early", "late"]


def test_a_new_segment_begins_only_behind_a_full_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody set the branch back at just that moment: the segment went in, and the line before it was missing for ever.

    It was also asked for with a ``sha`` of null, which GitHub does not take.
    """
    world.settle()
    before = world.tip("pawl/ledger")
    monkeypatch.setattr("pawl.core.chain.SEGMENT", len(world.observe().ledger) + 1)
    world.actor.apply(*told(world, "one"))
    append, snapshot = told(world, "two")
    hub = world.server.hub
    with hub.store.transaction():
        hub.refs.update(hub.repository(NAME), "refs/heads/pawl/ledger", before, hub.bot, force=True)
    # With its parent, the line that was lost.
    assert cost(world, append, snapshot) == ["POST", "POST", "PATCH"]
    assert cost(world, *told(world, "three")) == ["PUT"]
    assert [line.key for line in world.observe(fresh=True).ledger[-3:]] == ["one", "two", "three"]


def test_a_protected_ledger_says_so(world: World) -> None:
    """It is no race that another look would win, so GitHub's reason must reach a person."""
    world.settle()
    append, snapshot = told(world, "one")
    world.server.hub.protect(NAME, "pawl/ledger", restrict_pushes=["ann"], enforce_admins=True)
    with pytest.raises(Forbidden, match="not authorized to push"):
        world.actor.apply(append, snapshot)
    assert keys(world) == []


def test_an_answer_that_is_lost_writes_no_line_twice(world: World) -> None:
    world.settle()
    append, snapshot = told(world, "one")
    world.server.hub.faults.fail_after("PUT", f"/contents/{SEGMENT}$")
    with pytest.raises(Unreachable):
        world.actor.apply(append, snapshot)
    assert not world.actor.apply(append, world.observe())
    assert keys(world) == ["one"]


def test_traces_of_a_new_experiment_are_written_unread_and_added_to(world: World) -> None:
    """It was asked whether there are any of an experiment that was opened a moment ago."""
    world.settle()
    number = world.open()
    snapshot = world.observe()
    before = len(world.requests())
    assert world.actor.apply(KeepTraces(number, {"proposal.json": "{}"}), snapshot)
    assert world.actor.apply(KeepTraces(number, {"trajectories/a.json": "[]"}), snapshot)
    assert not world.actor.apply(KeepTraces(number, {"proposal.json": "{}"}), snapshot)
    assert not [request for request in world.requests()[before:] if "/git/ref/" in request]
    world.restart()
    assert not world.actor.apply(KeepTraces(number, {"trajectories/a.json": "[]"}), snapshot)
    assert world.actor.apply(KeepTraces(number, {"trajectories/b.json": "[1]"}), snapshot)
    tip = world.api(f"git/{trace_ref(LOOP, number).replace('refs/', 'ref/', 1)}")["object"]["sha"]
    kept = {
        entry.path for entry in world.view.objects.entries(world.api(f"git/commits/{tip}")["tree"]["sha"])
    }
    assert kept == {"proposal.json", "trajectories/a.json", "trajectories/b.json"}


def test_traces_that_somebody_added_at_the_same_moment_are_looked_at_first(world: World) -> None:
    world.settle()
    number = world.open()
    snapshot = world.observe()
    other = another(world)
    assert other.actor.apply(KeepTraces(number, {"a.json": "1"}), snapshot)
    with pytest.raises(Moved):
        world.actor.apply(KeepTraces(number, {"b.json": "2"}), snapshot)
    assert world.actor.apply(KeepTraces(number, {"b.json": "2"}), snapshot)


def test_the_same_lines_at_the_same_second_are_two_appends(world: World) -> None:
    """Two Pawls made the very same commit of a verdict: both took it for their own, and both published it."""
    world.settle()
    append, snapshot = told(world, "one")
    both = Append(append.lines, {f"{LOOP}/1/edit.diff": "+ faster\n"})
    assert another(world).actor.apply(both, snapshot)
    with pytest.raises(Moved, match="not a fast forward"):
        world.actor.apply(both, snapshot)
    assert keys(world) == ["one"]


def test_what_pawl_has_just_written_into_the_ledger_is_not_read_back(world: World) -> None:
    """A proposer reads the last experiments: their folders cost five requests for each proposal."""
    world.settle()
    for text in ("0.2", "0.3"):
        world.to_measured(gain=-0.1, edit=edit(text))
        world.step()
    library = library_of(world.view, world.observe())
    before = len(world.requests())
    said = [library.detail(number) for number in (1, 2)]
    assert len(world.requests()) == before
    fresh = another(world)
    assert [library_of(fresh.view, fresh.observe()).detail(number) for number in (1, 2)] == said
    assert len(world.requests()) > before


def test_an_experiment_outlasts_the_lines_that_follow_it(world: World) -> None:
    """Each line put two long folders into a place for 64: after some twenty, the last experiments were read back."""
    world.settle()
    world.to_measured(gain=-0.1)
    world.step()
    for number in range(40):
        world.actor.apply(*told(world, f"line {number}"))
    library = library_of(world.view, world.observe())
    before = len(world.requests())
    assert library.detail(1).number == 1
    assert len(world.requests()) == before


def test_folders_that_were_reckoned_are_those_on_github(world: World) -> None:
    world.settle()
    world.to_measured(gain=-0.1)
    world.step()
    world.actor.apply(*told(world, "one"))
    tip = world.tip("pawl/ledger")
    assert tip is not None
    objects, fresh = world.view.objects, another(world).view.objects
    before = len(world.requests())
    known = [objects.folder(tip), objects.folder(objects.folder(tip)[LOOP].sha)]
    assert len(world.requests()) == before
    assert known == [fresh.folder(tip), fresh.folder(fresh.folder(tip)[LOOP].sha)]


def test_a_folder_from_before_a_restart_is_read_once(world: World) -> None:
    """Nothing was known of a commit that changed one, and so of none after it: each proposal read the folders anew."""
    world.settle()
    world.restart()
    for number, read in ((8, 1), (9, 0)):
        append, _ = told(world, f"line {number}")
        before = len(world.requests())
        path = f"{LOOP}/calibrations/{number}.json"
        assert world.view.ledger.append(LOOP, append.lines, {path: "{}"}, "A calibration")
        tip = world.tip("pawl/ledger")
        assert tip is not None
        world.view.objects.folder(world.view.objects.folder(tip)[LOOP].sha)
        asked = world.requests()[before:]
        assert sum(request.startswith("GET") and "/git/trees/" in request for request in asked) == read


def test_a_folder_that_cannot_be_read_is_in_nobodys_way(world: World) -> None:
    world.settle()
    world.restart()
    append, _ = told(world, "one")
    world.server.hub.faults.fail_before("GET", "/git/trees/", times=9)
    assert world.view.ledger.append(LOOP, append.lines, {f"{LOOP}/calibrations/8.json": "{}"}, "M")
    world.server.hub.faults.clear()
    assert keys(world) == ["one"]
    assert world.observe() == world.observe(fresh=True)


def test_folders_of_which_too_little_is_known_are_read(world: World) -> None:
    """Another Pawl wrote in between, so that what was known is of another commit."""
    world.settle()
    other = another(world)
    other.actor.apply(*told(other, "early"))
    world.view.forget_all()
    world.view.objects = Objects(world.view.client)
    world.view.ledger = LedgerBranch(world.view.client, world.view.refs, world.view.objects, "late")
    world.actor.apply(*told(world, "late"))
    tip = world.tip("pawl/ledger")
    assert tip is not None
    assert world.view.objects.folder(tip) == other.view.objects.folder(tip)


def test_the_archive_of_a_base_is_fetched_once(world: World) -> None:
    world.settle()
    library = library_of(world.view, world.observe())
    before = len(world.requests())
    first = list(library._reading.archive())
    again = list(library_of(world.view, world.observe())._reading.archive())
    assert first == again
    assert {path for path, _, _ in first} >= {"loop/train.py"}
    assert sum("tarball" in request for request in world.requests()[before:]) == 1


def test_what_people_said_is_read_once_until_somebody_says_more(world: World) -> None:
    """Every proposal read the tracking issue's comments again, and asked of each author again what they may do."""
    world.settle()
    issue = tracking_issue(world.view, LOOP)
    assert issue is not None
    for login, level in (("ada", "write"), ("eve", "read")):
        comment(world, login, level, issue.number, f"{login}'s idea")
    world.view.forget("comments")  # as their webhooks have it
    directions = [library_of(world.view, world.observe()).directions()]
    before = len(world.requests())
    directions.append(library_of(world.view, world.observe()).directions())
    assert len(world.requests()) == before
    assert [[each.text for each in told] for told in directions] == [["ada's idea"]] * 2
    comment(world, "ada", "write", issue.number, "and another one")
    world.view.forget("comments")
    last = library_of(world.view, world.observe()).directions()
    assert [each.text for each in last] == ["ada's idea", "and another one"]


def comment(world: World, login: str, level: str, issue: int, text: str) -> None:
    """Let somebody who may so much comment on an issue."""
    hub = world.server.hub
    token = hub.create_user(login)
    hub.add_collaborator(NAME, login, level)
    answer = requests.post(
        f"{world.server.api_url}/repos/{NAME}/issues/{issue}/comments",
        json={"body": text},
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    assert answer.ok, answer.text
