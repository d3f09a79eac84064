"""The offline proposer: turns numbers of the editable file, by what the ledger says about numbers turned before.

Odd experiments take a local step from the present values; even ones ask Optuna's TPE, once there is enough to learn from.
Both turn few dials at a time, so that the edit can be read, and so that what it did can be told apart.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pawl.core.edit import MAX_BYTES, Edit
from pawl.meta.checking import check_edit
from pawl.meta.literals import Dial, Unreadable, dials, rewrite
from pawl.meta.places import Rank
from pawl.meta.proposer import Context, NoProposal, Proposal, Tried
from pawl.meta.scale import REACH, coordinate, value_of, written

ENOUGH_TOLD = 6
"""Trials that TPE needs before it is asked."""
MOST_TURNED = 3
"""Dials that one edit turns at most."""
DRAWS = 100
"""Edits that are drawn before giving up, each time from where the last draw left off."""
STEP = (math.log(1.2), math.log(4))
"""Smallest and largest local step, either way."""
PREFERENCE = {Rank.CONSTANT: 3.0, Rank.ARGUMENT: 1.0, Rank.OTHER: 1.0}
BROKEN = ("crash", "violation")

Texts = Mapping[Dial, str]


class Search:
    """The proposer `search`: no model, no key, no network."""

    name = "search"
    reads = False

    def propose(self, context: Context) -> Proposal:
        """A few numbers of the source changed.

        Raises:
            NoProposal: the file has no number to turn, cannot be read, or nothing near its values is left untried.
        """
        turnable = _turnable(context)
        rng = random.Random(f"{context.loop}/{context.number}")  # noqa: S311 - a search, no secret
        told = tuple(_told(turnable, context))
        local = _local(turnable, context, rng)
        sources = [local]
        if context.number % 2 == 0 and len(told) >= ENOUGH_TOLD:
            sources.insert(0, _tpe(turnable, told, context, rng))
        for source in sources:
            for texts in islice(source, DRAWS):
                content = rewrite(context.source, texts)
                if _acceptable(content, context):
                    return Proposal(_edit(content, texts, turnable))
        raise NoProposal(
            f"nothing new is left near the present values of {_names(turnable)} in {context.rules.edit}. Put more numbers "
            "into named constants at its top level, or choose another agent.proposer in .github/pawl.yml"
        )


def _turnable(context: Context) -> tuple[Dial, ...]:
    path = context.rules.edit
    if not path.endswith(".py"):
        raise NoProposal(
            f"search turns numbers of Python files, and {path} is none; choose another agent.proposer in .github/pawl.yml"
        )
    if len(context.source) > MAX_BYTES:
        raise NoProposal(
            f"{path} is larger than {MAX_BYTES:,} bytes; move what no experiment should touch elsewhere"
        )
    if context.rules.limits.changed_lines < 2:
        raise NoProposal(
            "a turned number is one line removed and one added; set limits.changed_lines to 2 or more"
        )
    try:
        found = dials(context.source)
    except Unreadable as error:
        raise NoProposal(f"{path} cannot be read as Python ({error}); repair it on the base") from None
    if not found:
        raise NoProposal(
            f"{path} has no number that search may turn; give its dials names at the top level, for example "
            "LEARNING_RATE = 3e-4, or choose another agent.proposer in .github/pawl.yml"
        )
    return found


def _acceptable(content: str, context: Context) -> bool:
    return not check_edit(context, content)


def _edit(content: str, texts: Texts, turnable: Sequence[Dial]) -> Edit:
    changes = [
        f"{dial.name} {'-' if dial.value < 0 else ''}{dial.text} -> {'-' if dial.value < 0 else ''}{text}"
        for dial, text in sorted(texts.items(), key=lambda item: item[0].start)
    ]
    if len(texts) == 1:
        ((dial, text),) = texts.items()
        larger = abs(value_of(dial, text)) > abs(dial.value)
        question = f"does a {'larger' if larger else 'smaller'} value help?"
    else:
        question = "do these values help together?"
    parameters = {
        dial.name: value_of(dial, texts[dial]) if dial in texts else float(dial.value) for dial in turnable
    }
    return Edit(content, f"{', '.join(changes)}: {question}", Search.name, parameters=parameters)


def _names(turnable: Sequence[Dial]) -> str:
    shown = ", ".join(dial.name for dial in turnable[:4])
    return shown if len(turnable) <= 4 else f"{shown} and {len(turnable) - 4} more"


@dataclass(frozen=True)
class _Trial:
    """An assignment, and how good it was on one scale for the whole ledger."""

    parameters: Mapping[str, float]
    value: float


def _told(turnable: Sequence[Dial], context: Context) -> Iterator[_Trial]:
    """What the ledger teaches, in sigmas above the first base.

    A gain is relative to the base of its day, so the gains of the keeps before it are added. What broke is one sigma worse
    than anything that was measured, and what is in flight is taken for a little worse than the base, so that it is not drawn
    again meanwhile.
    """
    known = {dial.name for dial in turnable}
    height, measured, broken = 0.0, [], []
    for tried in context.tried:
        if tried.verdict in BROKEN:
            broken.append(tried.parameters)
        elif tried.gain is not None:
            measured.append(_Trial(tried.parameters, height + tried.gain))
        if tried.verdict == "keep":
            height += tried.gain or 0.0
    worst = min((trial.value for trial in measured), default=0.0) - 1
    trials = [
        *measured,
        *(_Trial(parameters, worst) for parameters in broken),
        *(
            _Trial(parameters, height - 1)
            for parameters in (flying.parameters for flying in context.in_flight)
        ),
    ]
    for trial in trials:
        parameters = {name: value for name, value in trial.parameters.items() if name in known}
        if parameters:
            yield _Trial(parameters, trial.value)


def _weights(turnable: Sequence[Dial], tried: Sequence[Tried]) -> list[float]:
    """How readily each dial is turned: constants first, and less what broke when it was turned before."""
    weights = []
    for dial in turnable:
        turned = [each for each in tried if each.parameters.get(dial.name, dial.value) != dial.value]
        broken = sum(each.verdict in BROKEN for each in turned)
        weights.append(PREFERENCE[dial.rank] * (1 + len(turned) - broken) / (1 + len(turned) + 2 * broken))
    return weights


def _pick(rng: random.Random, turnable: Sequence[Dial], weights: Sequence[float], count: int) -> list[Dial]:
    """Some distinct dials, by weight."""
    left = dict(zip(turnable, weights, strict=True))
    picked = []
    for _ in range(min(count, len(left))):
        (dial,) = rng.choices(list(left), list(left.values()))
        del left[dial]
        picked.append(dial)
    return picked


def _changed(points: Mapping[Dial, float]) -> Texts:
    """The texts of some dials at new points, without those that would read the same number."""
    texts = {dial: written(dial, point) for dial, point in points.items()}
    return {dial: text for dial, text in texts.items() if value_of(dial, text) != dial.value}


def _local(turnable: Sequence[Dial], context: Context, rng: random.Random) -> Iterator[Texts]:
    """Steps from the present values: one dial, sometimes two."""
    weights = _weights(turnable, context.tried)
    while True:
        picked = _pick(rng, turnable, weights, 2 if rng.random() < 0.3 else 1)
        points = {
            dial: coordinate(dial, dial.value) + rng.choice((-1, 1)) * rng.uniform(*STEP) for dial in picked
        }
        yield _changed(points)


def _tpe(
    turnable: Sequence[Dial], told: Sequence[_Trial], context: Context, rng: random.Random
) -> Iterator[Texts]:
    """What TPE would try next, for a few dials at a time; the others keep the base's values."""
    try:
        import optuna  # takes most of a second, which nobody else should pay
    except ImportError:
        raise NoProposal(
            "search needs Optuna; install it with: pip install '.[search]' in a checkout of Pawl"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    by_name = {dial.name: dial for dial in turnable}
    ranges: dict[str, Any] = {}
    points = [
        {name: coordinate(by_name[name], value) for name, value in trial.parameters.items()} for trial in told
    ]
    for name, dial in by_name.items():
        present = coordinate(dial, dial.value)
        seen = [each[name] for each in points if name in each]
        low, high = min(present - REACH, *seen, present), max(present + REACH, *seen, present)
        ranges[name] = optuna.distributions.FloatDistribution(low, high)
    sampler = optuna.samplers.TPESampler(seed=rng.getrandbits(32), n_startup_trials=0, multivariate=False)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials(
        optuna.create_trial(
            params=each, distributions={name: ranges[name] for name in each}, value=trial.value
        )
        for each, trial in zip(points, told, strict=True)
    )
    weights = _weights(turnable, context.tried)
    while True:
        picked = _pick(rng, turnable, weights, rng.randint(1, MOST_TURNED))
        asked = study.ask({dial.name: ranges[dial.name] for dial in picked})
        yield _changed({dial: asked.params[dial.name] for dial in picked})
