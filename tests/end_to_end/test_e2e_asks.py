"""Commands and buttons, through comments, reactions and webhooks: each is obeyed once, whatever gets lost on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from faults_kit import BETTER, LOOP, NAME, SOURCE, WORSE, FailingWrites, World, config, faulty_world

from contract.validator import Contract
from pawl.core.ledger import AskLine, OutcomeLine, ResumeLine
from pawl.core.patience import PER_HOUR
from pawl.core.policy import HOLD_LABEL, PAUSED_LABEL, RESUME_LABEL
from pawl.github import merging
from pawl.github.errors import Moved

pytestmark = [
    pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning"),
    pytest.mark.usefixtures("quiet"),
]

REVIEW = config(1).replace("merge: auto", "merge: review")


@pytest.fixture
def held(tmp_path: Path) -> Iterator[World]:
    """A loop under review whose one experiment is to keep and waits for a person."""
    with faulty_world(tmp_path, {1: BETTER}, REVIEW) as world:
        yield world.settle()


def person(world: World, login: str, level: str) -> str:
    """Somebody who may so much; gives their token."""
    token = world.hub.create_user(login)
    world.hub.add_collaborator(NAME, login, level)
    return token


def say(world: World, token: str, number: int, body: str) -> dict[str, Any]:
    """A comment of theirs."""
    answer = requests.post(
        f"{world.server.api_url}/repos/{NAME}/issues/{number}/comments",
        json={"body": body},
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    assert answer.ok, answer.text
    return answer.json()  # type: ignore[no-any-return]


def reactions(world: World, comment: int) -> list[str]:
    return [each["content"] for each in world.hub.store.all("reaction", key=comment)]


def asks(world: World) -> list[AskLine]:
    return [line for line in world.lines() if isinstance(line, AskLine)]


def answers(world: World, number: int) -> list[str]:
    return [body for body in world.comments(number) if body.startswith("<!-- pawl-answer:")]


def test_somebody_who_may_merges_a_keep_under_review(held: World) -> None:
    number = held.pull(1)["number"]
    comment = say(held, person(held, "ada", "write"), number, "/pawl merge\n\nThank you!")
    held.deliver()
    held.look()
    assert set(reactions(held, comment["id"])) == {"eyes", "+1"}
    held.settle().once()
    assert held.outcomes() == {1: "merged"}
    (line,) = asks(held)
    assert (line.by, line.verb, line.obeyed, line.experiment) == ("ada", "merge", True, 1)
    (outcome,) = [line for line in held.lines() if isinstance(line, OutcomeLine)]
    assert outcome.by == "ada"
    (told,) = answers(held, number)
    assert "as soon as nothing stands in its way" in told
    (comment,) = (body for body in held.comments(number) if body.startswith("<!-- pawl:"))
    assert "**Now:** merged as" in comment
    assert "by `ada`" in comment
    assert "held" not in comment, "it used to say so for ever"


def test_a_keep_that_a_person_closes_is_told_as_closed(held: World) -> None:
    number = held.pull(1)["number"]
    held.api("PATCH", f"/pulls/{number}", {"state": "closed"})
    assert held.settle().once().outcomes() == {1: "closed"}
    (comment,) = (body for body in held.comments(number) if body.startswith("<!-- pawl:"))
    assert "**Now:** closed" in comment


def test_somebody_who_may_not_is_told_so_once(held: World) -> None:
    number = held.pull(1)["number"]
    comment = say(held, person(held, "eve", "triage"), number, "/pawl merge")
    held.webhooks = lambda waiting: [*waiting, *waiting[::-1]]
    held.settle()
    assert set(reactions(held, comment["id"])) == {"eyes", "confused"}
    (told,) = answers(held, number)
    assert "it takes write access to this repository; yours is triage" in told
    assert held.outcomes() == {}
    assert [(line.by, line.obeyed) for line in asks(held)] == [("eve", False)]


@pytest.mark.parametrize("kind", ["after", "before"])
@pytest.mark.parametrize("place", range(8))
def test_a_command_is_obeyed_once_whatever_fails_on_the_way(held: World, kind: Any, place: int) -> None:
    """Reactions, label, answer, tree, commit, ref: each of the writes fails in turn, with and without its effect."""
    number = held.tracking()["number"]
    comment = say(held, person(held, "ada", "write"), number, "/pawl pause")
    said = say(held, person(held, "ada", "write"), number, "/pawl status")
    held.hub.faults = FailingWrites(kind, 502 if kind == "before" else 500, lambda count: count == place)
    held.settle()
    for each in (comment, said):  # the first sign of life is not tried again
        assert set(reactions(held, each["id"])) - {"eyes"} == {"+1"}
    assert PAUSED_LABEL in held.tracking()["labels"]
    assert len(answers(held, number)) == 1
    assert [line.verb for line in asks(held)] == ["pause", "status"]


def test_a_command_is_seen_to_have_arrived_while_a_look_is_busy(held: World) -> None:
    """The look that would answer has not begun: the first reaction comes from the delivery alone."""
    number, token = held.tracking()["number"], person(held, "ada", "write")
    comment, other = say(held, token, number, "/pawl pause"), say(held, token, number, "Well done!")
    elsewhere = held.api("POST", "/issues", {"title": "Something else"})["number"]
    foreign = say(held, token, elsewhere, "/pawl pause")
    held.deliver()
    assert held.processes[0].later.run()
    assert reactions(held, comment["id"]) == ["eyes"]
    held.settle()
    assert reactions(held, comment["id"]) == ["eyes", "+1"]
    assert reactions(held, other["id"]) == reactions(held, foreign["id"]) == []


def test_a_comment_whose_webhook_is_lost_is_read_by_the_timer(held: World) -> None:
    say(held, person(held, "ada", "triage"), held.pull(1)["number"], "/pawl hold")
    held.webhooks, held.timer = (lambda waiting: []), True
    held.settle()
    assert HOLD_LABEL in held.pull(1)["labels"]
    say(held, person(held, "bob", "admin"), held.pull(1)["number"], "/pawl merge")
    held.settle()
    assert held.outcomes() == {}
    assert [line.obeyed for line in asks(held)] == [True, False]


def test_what_is_no_command_is_nothing(held: World) -> None:
    """Quoted, fenced, further down, edited into one afterwards, or written by an App."""
    number, token = held.pull(1)["number"], person(held, "ada", "admin")
    for body in ("> /pawl merge", "```\n/pawl merge\n```", "I think\n/pawl merge", "/pawlmerge"):
        say(held, token, number, body)
    edited = say(held, token, number, "nothing")
    held.hub.now = lambda: "2099-01-01T00:00:00Z"  # type: ignore[method-assign]
    held.api("PATCH", f"/issues/comments/{edited['id']}", {"body": "/pawl merge"})
    held.settle()
    assert asks(held) == []
    assert held.outcomes() == {}


def test_a_command_that_is_none_is_answered_with_those_there_are(held: World) -> None:
    number = held.pull(1)["number"]
    say(held, person(held, "ada", "admin"), number, "/pawl merge please @octocat <b>")
    held.settle()
    (told,) = answers(held, number)
    assert "/pawl merge stands alone on its line" in told.replace("`", "")
    assert "@octocat" not in told
    assert "| `/pawl status` |" in told
    assert held.outcomes() == {}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("help", "| `/pawl try` and an idea |"),
        ("status", "**Experiment 1** is held."),
        ("explain", "### Keep: score"),
        ("budget", "1 of 1 experiments are used."),
    ],
)
def test_what_somebody_wants_to_know_is_told(held: World, command: str, said: str) -> None:
    number = held.pull(1)["number"]
    say(held, person(held, "eve", "read"), number, f"/pawl {command}")
    held.settle()
    (told,) = answers(held, number)
    assert said in told


def test_an_idea_reaches_the_proposer_as_a_direction(tmp_path: Path) -> None:
    with faulty_world(tmp_path, {1: WORSE}, config(2)) as world:
        world.script.reads = True
        seen: list[Any] = []
        propose = world.script.propose
        world.script.propose = lambda context: (seen.append(context), propose(context))[1]  # type: ignore[method-assign]
        say(
            world, person(world, "ada", "write"), world.tracking()["number"], "/pawl try a larger AIM, please"
        )
        say(world, person(world, "eve", "triage"), world.tracking()["number"], "/pawl try an evil AIM")
        world.settle()
        told = [(each.author, each.text) for each in seen[-1].directions]
        assert told == [("ada", "a larger AIM, please")]


def test_an_experiment_is_merged_while_it_is_measured(tmp_path: Path) -> None:
    with faulty_world(tmp_path, {1: WORSE}, config(1)) as world:
        token, waiting = person(world, "ada", "write"), ["once"]

        def running(_: Any) -> None:
            if waiting:
                waiting.pop()
                say(world, token, world.pull(1)["number"], "/pawl merge")
                world.deliver()
                world.look()

        world.running = running
        world.settle()
        assert world.outcomes() == {1: "overridden"}
        assert world.aim("main") == WORSE
        assert [(line.verb, line.obeyed) for line in asks(world)] == [("merge", True)]
        assert "The ledger says so" in answers(world, world.pull(1)["number"])[0]


def test_an_experiment_is_merged_where_merge_commits_are_not_allowed(tmp_path: Path) -> None:
    """Its one commit says [skip ci], which must not reach the branch as its tip's message."""
    with faulty_world(tmp_path, {1: WORSE}, config(1)) as world:
        world.hub.allow_merges(NAME, "squash")
        token, waiting = person(world, "ada", "write"), ["once"]

        def running(_: Any) -> None:
            if waiting:
                waiting.pop()
                say(world, token, world.pull(1)["number"], "/pawl merge")
                world.deliver()
                world.look()

        world.running = running
        world.settle()
        assert world.outcomes() == {1: "overridden"}
        message = world.api("GET", f"/git/commits/{world.tip('main')}")["message"]
        assert message.startswith("aim: experiment 1, merged because a person asked for it (#")
        assert "skip ci" not in message


def test_each_loop_hears_what_is_said_to_it(tmp_path: Path) -> None:
    text = config(1, aim="aim", other="other")
    with faulty_world(tmp_path, {}, text, ("aim", "other")) as world:
        say(world, person(world, "ada", "write"), world.tracking("other")["number"], "/pawl pause")
        world.settle()
        assert PAUSED_LABEL in world.tracking("other")["labels"]
        assert PAUSED_LABEL not in world.tracking("aim")["labels"]
        assert asks(world) == []
        assert [line.verb for line in world.lines("other") if isinstance(line, AskLine)] == ["pause"]


def test_a_button_is_of_the_loop_that_it_is_beside(tmp_path: Path) -> None:
    text = config(1, aim="aim", other="other")
    with faulty_world(tmp_path, {}, text, ("aim", "other")) as world:
        person(world, "ada", "write")
        check = next(each for each in world.checks() if each["name"] == "pawl/other/calibration")
        world.hub.checks.rerequest(
            world.hub.repository(NAME), world.hub.store.get("check_run", check["id"]), "ada"
        )
        world.settle()
        assert asks(world) == []
        (line,) = (line for line in world.lines("other") if isinstance(line, AskLine))
        assert (line.verb, line.obeyed) == ("rerun", False)
        (told,) = answers(world, world.tracking("other")["number"])
        assert "about one experiment" in told


def test_a_flood_over_two_loops_is_one_flood(tmp_path: Path) -> None:
    """Somebody who may only read had 20 answers from each loop: ten loops could be made to say 200 things."""
    text = config(1, aim="aim", other="other")
    with faulty_world(tmp_path, {}, text, ("aim", "other")) as world:
        world.settle()
        eve, ada = person(world, "eve", "read"), person(world, "ada", "triage")
        here, there = (world.tracking(loop)["number"] for loop in ("aim", "other"))
        for _ in range(15):
            said = [say(world, eve, number, "/pawl status") for number in (here, there)]
        say(world, ada, here, "/pawl budget")
        say(world, ada, there, "/pawl pause")
        world.settle()
        told = [*answers(world, here), *answers(world, there)]
        assert len(told) == PER_HOUR + 2, "twenty, one refusal, and what Ada asked"
        assert len([text for text in told if "no more of them" in text]) == 1, (
            "which says so once, and in one place"
        )
        assert [reactions(world, each["id"]) for each in said][-1] == ["eyes"]
        of_eve = [
            line
            for loop in ("aim", "other")
            for line in world.lines(loop)
            if getattr(line, "by", "") == "eve"
        ]
        assert len(of_eve) == 30, "each has its line, or it would be looked at for ever"
        assert PAUSED_LABEL in world.tracking("other")["labels"], "nobody else is to blame"
        writes = len(world.writes())
        world.app.workers.wake_all()
        world.settle()
        assert len(world.writes()) == writes


def test_whoever_floods_one_loop_can_still_stop_the_other(tmp_path: Path) -> None:
    text = config(1, aim="aim", other="other")
    with faulty_world(tmp_path, {}, text, ("aim", "other")) as world:
        world.settle()
        token = person(world, "ada", "triage")
        for _ in range(PER_HOUR + 5):
            say(world, token, world.tracking("aim")["number"], "/pawl status")
        world.settle()
        say(world, token, world.tracking("other")["number"], "/pawl pause")
        say(world, token, world.tracking("other")["number"], "/pawl status")
        world.settle()
        assert PAUSED_LABEL in world.tracking("other")["labels"]
        assert answers(world, world.tracking("other")["number"]) == []


def test_a_flood_of_presses_is_counted_with_what_was_said_to_the_other_loop(tmp_path: Path) -> None:
    text = config(1, aim="aim", other="other")
    with faulty_world(tmp_path, {}, text, ("aim", "other")) as world:
        token = person(world, "ada", "write")
        for _ in range(PER_HOUR):
            say(world, token, world.tracking("aim")["number"], "/pawl status")
        world.settle()
        check = next(each for each in world.checks() if each["name"] == "pawl/other/calibration")
        for _ in range(3):
            world.hub.checks.rerequest(
                world.hub.repository(NAME), world.hub.store.get("check_run", check["id"]), "ada"
            )
        world.settle()
        (told,) = answers(world, world.tracking("other")["number"])
        assert "no more of them" in told


# Buttons.


def check_of(world: World) -> dict[str, Any]:
    return max((each for each in world.checks() if each["name"] == "pawl/aim"), key=lambda each: each["id"])


def test_buttons_are_those_of_the_state(held: World) -> None:
    assert [each["identifier"] for each in check_of(held)["actions"]] == ["merge", "rerun", "close"]


def test_a_button_is_obeyed_from_those_who_may(held: World) -> None:
    person(held, "eve", "read")
    person(held, "ada", "write")
    number = held.pull(1)["number"]
    held.hub.checks.press(NAME, check_of(held)["id"], "merge", "eve")
    held.settle()
    assert held.outcomes() == {}
    assert "yours is read" in answers(held, number)[0]
    held.hub.checks.press(NAME, check_of(held)["id"], "merge", "ada")
    held.webhooks = lambda waiting: [*waiting, *waiting]
    held.settle().once()
    assert held.outcomes() == {1: "merged"}
    assert [(line.by, line.obeyed) for line in asks(held)] == [("eve", False), ("ada", True)]


def test_a_button_asks_what_its_presser_may_do_by_now(held: World) -> None:
    """GitHub tells of no change of it: who had commented before they were let in was refused for half an hour more."""
    say(held, person(held, "eve", "read"), held.pull(1)["number"], "/pawl merge")
    held.settle()
    held.hub.add_collaborator(NAME, "eve", "write")
    press(held, "merge", "eve")
    held.settle()
    assert [(line.level, line.obeyed) for line in asks(held)] == [("read", False), ("write", True)]
    assert held.outcomes() == {1: "merged"}


def press(world: World, verb: str, login: str) -> None:
    world.hub.checks.press(NAME, check_of(world)["id"], verb, login)


@pytest.mark.parametrize("kind", ["after", "before"])
@pytest.mark.parametrize("place", [0, 3])
def test_a_press_is_obeyed_though_its_answer_fails_and_the_app_is_killed(
    held: World, kind: Any, place: int
) -> None:
    """It exists nowhere but in the inbox: what a failed look has not answered is still there for the next process."""
    person(held, "ada", "write")
    press(held, "rerun", "ada")
    held.hub.faults = FailingWrites(kind, 502 if kind == "before" else 500, lambda count: count == place)
    held.deliver()
    held.look()
    held.kill()
    held.settle()
    assert [(line.verb, line.obeyed) for line in asks(held)] == [("rerun", True)]
    assert held.verdicts()[1] == ["keep", "keep"]
    assert len(answers(held, held.pull(1)["number"])) == 1
    assert held.app.database.presses(NAME) == []


def test_a_press_that_is_replayed_under_another_id_is_no_other_press(held: World) -> None:
    """GitHub's signature covers the body alone: whoever has recorded a delivery can send it again under any id."""
    person(held, "ada", "write")
    press(held, "rerun", "ada")
    (sent,) = [each for each in held.hub.deliveries if each["key"] == "pending"]
    held.settle()
    data = json.dumps(sent["payload"]).encode()
    headers = held.hub.events.headers(sent, data) | {"X-GitHub-Delivery": "another"}
    assert held.processes[0].client.post("/webhooks", data=data, headers=headers).status_code == 202
    held.settle()
    assert [line.verb for line in asks(held)] == ["rerun"]
    assert held.verdicts()[1] == ["keep", "keep"]
    assert held.app.database.presses(NAME) == []


def test_a_press_waits_for_an_app_that_does_not_know_the_repository_yet(held: World) -> None:
    person(held, "ada", "write")
    press(held, "merge", "ada")
    held.kill()
    held.deliver()  # before it has asked GitHub where it is installed
    held.settle().once()
    assert held.outcomes() == {1: "merged"}


def test_a_press_whose_line_could_not_be_written_is_kept(held: World) -> None:
    """Somebody else moves the ledger in between: the look ends without an error, and without an answer."""
    person(held, "ada", "write")
    press(held, "rerun", "ada")
    held.deliver()
    app = held.app
    (loops,) = app._repositories.values()
    apply, raised = loops._actor.apply, []

    def moved(action: Any, snapshot: Any) -> bool:
        if type(action).__name__ == "Append" and not raised:
            raised.append(action)
            raise Moved("the ledger has moved")
        return apply(action, snapshot)

    loops._actor.apply = moved  # type: ignore[method-assign]
    held.look()
    assert raised
    assert len(app.database.presses(NAME)) == 1
    held.timer = True
    held.settle()
    assert [line.verb for line in asks(held)] == ["rerun"]
    assert app.database.presses(NAME) == []


def test_a_button_of_an_earlier_head_lets_no_other_bytes_in(held: World) -> None:
    person(held, "ada", "write")
    press(held, "merge", "ada")
    held.force(f"pawl/{LOOP}/1", held.tip("main") or "", f"{LOOP}/train.py", SOURCE.replace("1.0", "0.9"))
    held.settle()
    (line,) = asks(held)
    assert not line.obeyed
    assert "earlier head" in line.reason
    assert held.outcomes() == {1: "closed"}


def test_a_hold_is_heeded_by_the_very_merge_though_its_webhook_is_lost(tmp_path: Path) -> None:
    """The label is put on after the last look before the merge."""
    with faulty_world(tmp_path, {1: BETTER}, config(1)) as world:
        held_back, going = list[int](), merging._require_going

        def late(view: Any, snapshot: Any, pull: Any) -> None:
            if not held_back:
                held_back.append(pull.number)
                world.api("POST", f"/issues/{pull.number}/labels", {"labels": [HOLD_LABEL]})
                world.webhooks = lambda waiting: []
            going(view, snapshot, pull)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(merging, "_require_going", late)
            world.settle()
        assert held_back
        assert world.outcomes() == {}
        world.api("DELETE", f"/issues/{held_back[0]}/labels/{HOLD_LABEL}")
        world.webhooks = lambda waiting: waiting
        world.timer = True
        world.settle().once()
        assert world.outcomes() == {1: "merged"}


def test_githubs_own_button_measures_a_keep_again(held: World) -> None:
    person(held, "ada", "write")
    held.hub.checks.rerequest(
        held.hub.repository(NAME), held.hub.store.get("check_run", check_of(held)["id"]), "ada"
    )
    held.settle()
    assert held.verdicts()[1] == ["keep", "keep"]
    assert [line.verb for line in asks(held)] == ["rerun"]


def rerun_all(world: World, check: dict[str, Any], login: str) -> None:
    """*Re-run all checks* beside a check run."""
    world.hub.checks.rerequest_all(
        world.hub.repository(NAME), world.hub.store.get("check_run", check["id"]), login
    )


def test_rerunning_all_checks_measures_a_keep_again(held: World) -> None:
    person(held, "ada", "write")
    rerun_all(held, check_of(held), "ada")
    held.webhooks = lambda waiting: [*waiting, *waiting]
    held.settle()
    assert held.verdicts()[1] == ["keep", "keep"]
    assert [(line.by, line.verb, line.obeyed) for line in asks(held)] == [("ada", "rerun", True)]


def test_rerunning_all_checks_of_the_base_asks_for_nothing(held: World) -> None:
    """Calibrations and `pawl/config` stand there; what the event makes stale is read again, and that is all."""
    check = next(each for each in held.checks() if each["name"] == "pawl/aim/calibration")
    person(held, "ada", "write")
    rerun_all(held, check, "ada")
    held.settle()
    assert asks(held) == []


def test_every_request_and_answer_is_as_github_has_it(tmp_path: Path) -> None:
    contract, wrong = Contract.load(), list[str]()

    def exchange(method: str, path: str, query: dict[str, str], body: Any, status: int, answer: Any) -> None:
        if status < 400:
            wrong.extend(contract.check_request(method, path, query, body))
        wrong.extend(contract.check_response(method, path, status, answer))

    with faulty_world(tmp_path, {1: BETTER}, REVIEW, observer=exchange) as world:
        world.settle()
        token, number = person(world, "ada", "maintain"), world.pull(1)["number"]
        for command in ("help", "status", "explain", "budget", "try more", "hold", "nonsense"):
            say(world, token, number, f"/pawl {command}")
        say(world, person(world, "eve", "read"), number, "/pawl close")
        world.settle()
        assert len(asks(world)) == 8
    assert not wrong, wrong[:10]


# The label that ends an incident.


def test_an_incident_ends_by_a_maintainers_label_and_by_no_others(tmp_path: Path) -> None:
    with faulty_world(tmp_path, {1: BETTER}, config(1)) as world:
        world.forge = lambda request, record: record.model_copy(update={"request": "0" * 64})
        world.settle()
        assert "pawl:incident" in world.tracking()["labels"]
        eve, ada, number = (
            person(world, "eve", "write"),
            person(world, "ada", "admin"),
            world.tracking()["number"],
        )
        label(world, eve, number)
        world.settle()
        assert RESUME_LABEL not in world.tracking()["labels"]
        assert "pawl:incident" in world.tracking()["labels"]
        assert "it takes maintain access to let the loop go on; yours is write" in answers(world, number)[0]
        label(world, ada, number)
        world.settle()
        assert "pawl:incident" not in world.tracking()["labels"]
        assert [line.by for line in world.lines() if isinstance(line, ResumeLine)] == ["ada"]


def test_a_label_counts_by_what_its_author_may_do_by_now(tmp_path: Path) -> None:
    """Ada lost her access while the loop went on, and ended the next incident by what she had been."""
    with faulty_world(tmp_path, {1: BETTER}, config(1)) as world:
        world.forge = lambda request, record: record.model_copy(update={"request": "0" * 64})
        world.settle()
        ada, number = person(world, "ada", "admin"), world.tracking()["number"]
        say(world, ada, number, "/pawl status")
        world.settle()
        world.hub.add_collaborator(NAME, "ada", "write")
        label(world, ada, number)
        world.settle()
        assert "yours is write" in answers(world, number)[-1]
        assert "pawl:incident" in world.tracking()["labels"]


def label(world: World, token: str, number: int) -> None:
    answer = requests.post(
        f"{world.server.api_url}/repos/{NAME}/issues/{number}/labels",
        json={"labels": [RESUME_LABEL]},
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    assert answer.ok, answer.text
