from __future__ import annotations

import math
import random
import statistics
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pawl.core.config import Loop
from pawl.core.config_parts import Limits, Metric
from pawl.core.digest import sha256
from pawl.core.edit import Edit, objections
from pawl.meta.literals import dials, rewrite
from pawl.meta.means import Means
from pawl.meta.proposer import Context, InFlight, NoProposal, Tried
from pawl.meta.registry import proposer_for
from pawl.meta.scale import REACH, coordinate, written

RULES = Loop(edit="train.py", metric=Metric(name="loss", goal="minimize"))
SOURCE = "LEARNING_RATE = 3e-4\nMOMENTUM = 0.9\nHIDDEN = 24\nBATCH = 64\nSEED = 7\n"


def context(source: str = SOURCE, number: int = 1, **more: object) -> Context:
    return replace(Context("demo", RULES, source, number), **more)  # type: ignore[arg-type]


def propose(shown: Context) -> Edit:
    edit = proposer_for(shown.rules, Means()).propose(shown).edit
    assert edit is not None
    return edit


def history(count: int, source: str = SOURCE) -> tuple[Tried, ...]:
    """A ledger of a proposer that was let loose on the source, where a larger learning rate helps."""
    tried: list[Tried] = []
    for number in range(1, count + 1):
        edit = propose(context(source, number * 2 - 1))
        gain = math.log(edit.parameters["LEARNING_RATE"] / 3e-4)
        tried.append(Tried(number, "discard", dict(edit.parameters), round(2 * gain) / 2))
    return tuple(tried)


def test_an_edit_says_what_it_changes_and_why() -> None:
    edit = propose(context(number=5))
    assert edit.proposer == "search"
    assert edit.predicted is None
    assert edit.parameters.keys() == {"LEARNING_RATE", "MOMENTUM", "HIDDEN", "BATCH"}
    changed = {
        name: value
        for name, value in edit.parameters.items()
        if value != {"LEARNING_RATE": 3e-4, "MOMENTUM": 0.9, "HIDDEN": 24, "BATCH": 64}[name]
    }
    assert changed
    assert all(f"{name} " in edit.hypothesis for name in changed)
    assert edit.hypothesis.endswith("help?") or edit.hypothesis.endswith("help together?")
    assert {dial.name: dial.value for dial in dials(edit.content)} == edit.parameters


@pytest.mark.parametrize("number", [7, 8])
def test_the_same_context_gives_the_same_edit(number: int) -> None:
    shown = context(number=number, tried=history(8))
    assert propose(shown) == propose(shown)


def test_proposals_stay_new_small_and_allowed() -> None:
    sources: set[str] = set()
    tried = history(8)
    for number in range(1, 61):
        edit = propose(context(number=number, tried=tried, sources=frozenset(sources)))
        assert sha256(edit.content) not in sources
        assert not objections("train.py", SOURCE.encode(), edit.content.encode(), 6)
        assert "SEED = 7" in edit.content
        sources.add(sha256(edit.content))


def test_it_learns_from_the_ledger_alone() -> None:
    """Every even proposal asks what was told; where only larger learning rates ever helped, it goes there."""
    tried = history(30)
    rates = [
        propose(context(number=number, tried=tried)).parameters["LEARNING_RATE"] for number in range(2, 62, 2)
    ]
    turned = [rate for rate in rates if rate != 3e-4]
    assert len(turned) >= 8
    assert statistics.median(turned) > 6e-4


def test_a_dial_that_breaks_runs_is_left_alone_more_and_more() -> None:
    bad = tuple(
        Tried(
            number,
            "crash",
            {"LEARNING_RATE": 3e-4, "MOMENTUM": 0.9, "HIDDEN": 24, "BATCH": 32.0 * number},
            None,
        )
        for number in range(3, 13)
    )

    def touched(tried: tuple[Tried, ...]) -> int:
        return sum(
            propose(context(number=number, tried=tried)).parameters["BATCH"] != 64
            for number in range(1, 81, 2)
        )

    assert touched(bad) * 2 < touched(())


def test_parameters_nobody_knows_are_ignored() -> None:
    foreign = tuple(Tried(number, "discard", {"GONE": 1.0, "OTHER": -2.5}, 0.5) for number in range(1, 20))
    assert propose(context(number=20, tried=foreign)).content != SOURCE


def test_values_far_outside_the_range_are_learned_from_all_the_same() -> None:
    far = tuple(
        Tried(number, "discard", {"LEARNING_RATE": 10.0**-number, "MOMENTUM": 1.5, "HIDDEN": 0.0}, -1.0)
        for number in range(1, 9)
    )
    flying = (InFlight(19, "", {"LEARNING_RATE": 1e3}),)
    assert propose(context(number=20, tried=far, in_flight=flying)).content != SOURCE


@pytest.mark.parametrize(
    ("source", "rules", "says"),
    [
        ("x = (1\n", RULES, "train.py cannot be read as Python .line 1"),
        ("print('hello')\n", RULES, "give its dials names"),
        ("SEED = 42\n", RULES, "give its dials names"),
        ("", RULES, "give its dials names"),
        ("rate: 0.5\n", RULES.model_copy(update={"edit": "prompt.md"}), "choose another agent.proposer"),
        (SOURCE, RULES.model_copy(update={"limits": Limits(changed_lines=1)}), "limits.changed_lines to 2"),
        ("A = 1\n" + "#" * 600_000, RULES, "larger than"),
    ],
)
def test_without_a_number_to_turn_it_says_what_to_do(source: str, rules: Loop, says: str) -> None:
    with pytest.raises(NoProposal, match=says):
        propose(context(source, rules=rules))


def test_it_gives_up_when_everything_near_was_tried() -> None:
    sources = frozenset(sha256(f"BATCH = {number}\n") for number in range(200))
    with pytest.raises(NoProposal, match="nothing new is left near the present values of BATCH"):
        propose(context("BATCH = 16\n", number=2, sources=sources))


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(NoProposal, match=r"pip install '.\[search\]' in a checkout"):
        propose(context(number=8, tried=history(8)))


def test_edits_of_the_examples_compile() -> None:
    for path in ("examples/packing/pack.py", "examples/nanogpt/train.py"):
        source = (Path(__file__).parents[2] / path).read_text()
        for number in range(1, 20, 2):
            content = propose(context(source, number)).content
            compile(content, path, "exec")


# -- does it find anything ------------------------------------------------------------------------------

TRIALS = 40


def loop_on_a_noisy_bowl(seed: int, uniform: bool) -> float:
    """Share of the way to the optimum that kept edits go, on a bowl in log space, 30 sigma deep, noise of one sigma."""
    rng = random.Random(seed)
    start = {f"DIAL_{name}": float(f"{10 ** rng.uniform(-4, 1):.2g}") for name in "ABCDEF"}
    best = {name: value * rng.uniform(2, 4) ** rng.choice((-1, 1)) for name, value in start.items()}

    def depth(values: dict[str, float]) -> float:
        return sum(math.log(values[name] / best[name]) ** 2 for name in start)

    unit = 30 / depth(start)
    source = first = "".join(f"{name} = {value!r}\n" for name, value in start.items())
    base, tried, sources = dict(start), [], set()
    for number in range(1, TRIALS + 1):
        if uniform:
            content = rewrite(
                first,
                {
                    dial: written(dial, coordinate(dial, dial.value) + rng.uniform(-REACH, REACH))
                    for dial in dials(first)
                },
            )
            values = {dial.name: dial.value for dial in dials(content)}
        else:
            shown = context(source, number, tried=tuple(tried), sources=frozenset(sources))
            edit = propose(shown)
            content, values = edit.content, dict(edit.parameters)
        gain = unit * (depth(base) - depth(values))
        seen = gain + rng.gauss(0, 1)
        keep = seen > 1.65 and gain + rng.gauss(0, 0.7) > 1
        tried.append(Tried(number, "keep" if keep else "discard", values, round(2 * seen) / 2))
        sources.add(sha256(content))
        if keep:
            base, source = values, content
    return 1 - depth(base) / depth(start)


def test_it_climbs_well_above_uniform_draws() -> None:
    search = statistics.median(loop_on_a_noisy_bowl(seed, uniform=False) for seed in range(3))
    uniform = statistics.median(loop_on_a_noisy_bowl(seed, uniform=True) for seed in range(3))
    assert search > 0.65
    assert search > uniform + 0.1
