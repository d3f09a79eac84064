"""Proposals apart from looks: whatever a proposer does, a look goes on, and no exact number reaches a proposer."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import core_builders as build
import pytest

from pawl.control.contexts import context_of
from pawl.control.thinking import TRIES, Thinker, Thought, think
from pawl.core.decision import Verdict
from pawl.core.edit import Edit
from pawl.core.ledger import AnyLine, VerdictLine
from pawl.core.measurement import Arm, Stage
from pawl.core.snapshot import Base, Snapshot
from pawl.meta.proposer import Context, NoProposal, Proposal

pytestmark = pytest.mark.usefixtures("quiet")

SOURCE = "RATE = 1.0\n"
EDIT = Edit("RATE = 2.0\n", "double the rate", "test", None, {"RATE": 2.0})


class Offers:
    """A proposer that hands in one thing after another, the last one again and again."""

    name = "offers"
    reads = True

    def __init__(self, *things: Any) -> None:
        self._things = list(things)
        self.asked: list[Context] = []

    def propose(self, context: Context) -> Any:
        self.asked.append(context)
        thing = self._things.pop(0) if len(self._things) > 1 else self._things[0]
        if isinstance(thing, Exception):
            raise thing
        return Proposal(thing) if isinstance(thing, Edit) else thing


def snapshot(*lines: AnyLine) -> Snapshot:
    base = Base(sha=build.SHA, inputs=build.INPUTS, content=SOURCE.encode())
    return Snapshot("us/loop", "loop", build.rules(), base, ledger=lines)


def thinks(proposer: Offers, shown: Snapshot, number: int) -> Thought:
    return think(proposer, shown, number, None, NOW)


def shown_of(seen: Snapshot, number: int) -> Context:
    return context_of(seen, number, None, NOW)


def test_a_good_edit_is_taken() -> None:
    assert thinks(Offers(EDIT), snapshot(), 1) == Thought(1, build.SHA, Proposal(EDIT))


def test_nothing_to_propose_is_a_reason() -> None:
    thought = thinks(Offers(NoProposal("the space is empty")), snapshot(), 3)
    assert (thought.edit, thought.reason, thought.number) == (None, "the space is empty", 3)


@pytest.mark.parametrize(
    "error", [ValueError("key sk-123"), RecursionError(), KeyError("x"), OSError(5, "no")]
)
def test_a_proposer_that_fails_is_named_without_its_words(error: Exception) -> None:
    """What an error says may hold anything, a key too; it is for the log alone."""
    thought = thinks(Offers(error), snapshot(), 1)
    assert thought.edit is None
    assert thought.reason == f"the proposer offers failed ({type(error).__name__})"


@pytest.mark.parametrize(
    "rubbish",
    [
        None,
        "RATE = 2.0",
        {"content": "RATE = 2.0"},
        Edit(None, "h", "test"),  # type: ignore[arg-type]
        Edit(b"RATE = 2.0\n", "h", "test"),  # type: ignore[arg-type]
        Edit("RATE = 2.0\n", 7, "test"),  # type: ignore[arg-type]
        Edit("RATE = 2.0\n", "h", None),  # type: ignore[arg-type]
        Edit("RATE = 2.0\n", "h", "test", "much"),  # type: ignore[arg-type]
        Edit("RATE = '\ud800'\n", "h", "test"),
    ],
)
def test_rubbish_is_refused_in_a_sentence(rubbish: Any) -> None:
    """It used to raise where nobody caught it: the loop was never proposed for again."""
    proposer = Offers(rubbish)
    thought = thinks(proposer, snapshot(), 1)
    assert thought.edit is None
    assert "offered no edit that may be made" in thought.reason
    assert len(proposer.asked) == TRIES


@pytest.mark.parametrize(
    "content",
    [
        SOURCE,
        "x" * 600_000,
        "".join(f"A{n} = {n}\n" for n in range(2000)),
        "RATE = 2.0\u202e\n",
        "exec('RATE = 2.0')\n" + "#" * 500 + "\n",
    ],
    ids=["nothing", "huge", "many lines", "hidden", "long line"],
)
def test_an_edit_against_the_rules_is_offered_again_and_not_opened(content: str) -> None:
    wrong = Edit(content, "h", "test")
    assert thinks(Offers(wrong), snapshot(), 1).edit is None
    assert thinks(Offers(wrong, wrong, EDIT), snapshot(), 1).edit == EDIT


NOW = datetime(2026, 5, 4, tzinfo=UTC)
SECRETS = (0.6180339, 1.7724538, 2.7182818, 3.1415926, 9.8696044)


def measured(reason: str, verdict: Verdict, **figures: Any) -> VerdictLine:
    """A verdict line whose every exact figure is one of `SECRETS`, sealed numbers included."""
    sealed: dict[str, Any] = {"metric": {"select": SECRETS[0], "seal": SECRETS[1]}, "printed": SECRETS[2]}
    runs = (build.run_of(Arm.CANDIDATE, Stage.SEAL, 0, **sealed),)
    return build.History().verdict(1, runs, reason=reason, verdict=verdict, **figures)


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        ("the run printed score = 2.7182818, the evaluator measured 0.6180339", Verdict.VIOLATION),
        ("score = 1.7724538 lies outside the possible range [0.0, 1.0]", Verdict.VIOLATION),
        ("the screening run scored +3.1415926 sigma against the pool, +1.65 is needed", Verdict.DISCARD),
        ("4 fresh pairs do not confirm the gain (evidence -9.8696044, dropped at -1.61)", Verdict.DISCARD),
        ("4 sealed runs repeat the gain, and every guard holds", Verdict.KEEP),
    ],
)
def test_a_proposer_sees_no_sealed_number_and_no_exact_effect(reason: str, verdict: Verdict) -> None:
    """Reasons quote the very figures that are kept from proposers, sealed ones too: they come without them."""
    line = measured(
        reason, verdict, stage=Stage.SEAL, effect=SECRETS[0], effect_sigma=SECRETS[3], sigma=SECRETS[4],
        screen_z=SECRETS[3], llr=SECRETS[2],
    )  # fmt: skip
    context = shown_of(snapshot(line), 2)
    (tried,) = context.tried
    assert tried.gain == 3.0
    assert tried.verdict == verdict
    shown = json.dumps(asdict(tried))
    assert not [secret for secret in SECRETS if str(secret)[:5] in shown], shown
    assert not any(char.isdigit() for char in tried.reason), tried.reason


def test_a_gain_is_coarse_and_bounded() -> None:
    for effect_sigma, gain in ((0.24, 0.0), (0.26, 0.5), (-1.3, -1.5), (1e300, 99.0), (-1e300, -99.0)):
        line = measured("r", Verdict.DISCARD, effect_sigma=effect_sigma)
        assert shown_of(snapshot(line), 2).tried[0].gain == gain


def test_a_reason_without_runs_keeps_its_names() -> None:
    line = build.History().verdict(1, verdict="violation", reason="it also changes model_v2.py")
    assert shown_of(snapshot(line), 2).tried[0].reason == "it also changes model_v2.py"


class Later(Executor):
    """Runs what it is given when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, lambda: fn(*args, **kwargs)))
        return future

    def run(self) -> None:
        waiting, self.waiting = self.waiting, []
        for future, work in waiting:
            future.set_result(work())


def test_one_proposal_at_a_time_until_it_is_taken() -> None:
    later, woken = Later(), list[str]()
    thinker, proposer = Thinker(later, lambda: woken.append("woken")), Offers(EDIT)
    for _ in range(3):
        thinker.submit(proposer, snapshot(), 1)
    assert thinker.busy("loop")
    assert thinker.take("loop") is None
    later.run()
    assert woken == ["woken"]
    thinker.submit(proposer, snapshot(), 1)
    assert not later.waiting
    assert thinker.busy("loop")
    assert thinker.take("loop") == Thought(1, build.SHA, Proposal(EDIT))
    assert thinker.take("loop") is None
    assert not thinker.busy("loop")
    assert len(proposer.asked) == 1


def test_a_proposal_that_could_not_be_opened_is_kept() -> None:
    thinker = Thinker(Later(), lambda: None)
    thought = Thought(1, build.SHA, EDIT)
    thinker.put_back("loop", thought)
    assert thinker.busy("loop")
    assert not thinker.busy("other")
    assert thinker.take("loop") == thought


def test_after_rubbish_the_loop_is_proposed_for_again() -> None:
    later = Later()
    thinker = Thinker(later, lambda: None)
    thinker.submit(Offers(None), snapshot(), 1)
    later.run()
    taken = thinker.take("loop")
    assert taken is not None
    assert taken.edit is None
    thinker.submit(Offers(EDIT), snapshot(), 2)
    later.run()
    taken = thinker.take("loop")
    assert taken is not None
    assert taken.edit == EDIT
