"""What a proposer is worth: `search` beside random search and plain Optuna at equal runs.

All three propose to the same loop, whose decision procedure asks for every run: a screen, confirming pairs, a seal. What
counts is the true gain of the base after so many runs, as a share of the best there is. Nothing was tuned with these
seeds. For comparison the note tells what the peers bring home without a loop: one run for each trial, the best one seen, and
nothing that would tell luck from gain.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import fmean, median, quantiles
from typing import Any

from benchmarks.figures import Figure
from benchmarks.surfaces import Surface, bowl
from pawl.core.config import SELECT, Loop
from pawl.core.config_parts import Metric
from pawl.core.decision import Finding, Verdict, advance
from pawl.core.digest import sha256
from pawl.core.measurement import Arm, Calibration, Purpose, Request, RunFact, RunStatus, Stage
from pawl.core.noise import pooled
from pawl.meta.literals import dials, rewrite
from pawl.meta.proposer import Context, NoProposal, Tried
from pawl.meta.scale import REACH, coordinate, written
from pawl.meta.search import Search

SEEDS = range(9000, 9020)
RUNS = 120
"""Runs that each of them may make: ten hours at five minutes."""
POOL = 8


def measure() -> list[Figure]:
    """The median over twenty seeds of the share of the best gain, on three surfaces."""
    return [figure for name in ("packing", "nanogpt", "bowl") for figure in _surface(name)]


def _surface(name: str) -> Iterator[Figure]:
    shares: dict[str, list[float]] = {}
    for seed in SEEDS:
        surface = bowl(seed) if name == "bowl" else Surface.load(name)
        for kind in ("search", "random", "tpe"):
            shares.setdefault(kind, []).append(_Loop(surface, seed, PROPOSERS[kind](seed)).share())
        for kind in ("random", "tpe"):
            shares.setdefault(f"{kind} without a loop", []).append(_alone(surface, seed, kind))
    told = "; ".join(f"{kind} {_spread(values)}" for kind, values in shares.items())
    for peer in ("random", "tpe"):
        yield Figure(
            f"{peer}'s share of the gain / search's, {name}, {RUNS} runs",
            median(shares[peer]) / max(1e-9, median(shares["search"])),
            "",
            1.0 if peer == "random" else None,
            f"median of {len(SEEDS)} seeds (quartiles): {told}"
            if peer == "random"
            else "plain Optuna turns all dials at once; search turns three at most, so that a person can read the edit",
        )


def _spread(values: list[float]) -> str:
    low, middle, high = quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


class _Plain:
    """Optuna as it comes: every dial at once, told what the ledger says of each trial."""

    def __init__(self, kind: str, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler: optuna.samplers.BaseSampler = (
            optuna.samplers.RandomSampler(seed) if kind == "random" else optuna.samplers.TPESampler(seed=seed)
        )
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._ranges: dict[str, tuple[float, float]] = {}
        self.best = 0

    def ask(self, source: str) -> tuple[str, dict[str, float], Any]:
        """A trial: the text, its values, and Optuna's own name for it. Ranges stay those of the first source."""
        known = dials(source)
        for dial in known:
            here = coordinate(dial, dial.value)
            self._ranges.setdefault(dial.name, (here - REACH, here + REACH))
        trial = self._study.ask()
        texts = {
            dial: written(dial, trial.suggest_float(dial.name, *self._ranges[dial.name])) for dial in known
        }
        content = rewrite(source, texts)
        return content, {dial.name: float(dial.value) for dial in dials(content)}, trial

    def tell(self, trial: Any, value: float) -> None:
        """How good it was."""
        self._study.tell(trial, value)
        self.best = self._study.best_trial.number


def _alone(surface: Surface, seed: int, kind: str) -> float:
    """The peers by themselves: every run tries one assignment, and the best one seen is taken home."""
    plain, rng = _Plain(kind, seed), random.Random(f"{kind}/{seed}")
    found = []
    for _ in range(RUNS):
        _, values, trial = plain.ask(surface.source)
        found.append(values)
        plain.tell(trial, surface.gain(values) + rng.gauss(0, 1))
    return surface.gain(found[plain.best]) / surface.best


PROPOSERS: dict[str, Callable[[int], _Plain | None]] = {
    "search": lambda seed: None,
    "random": lambda seed: _Plain("random", seed),
    "tpe": lambda seed: _Plain("tpe", seed),
}


@dataclass
class _Loop:
    """Pawl's loop without GitHub: `search` proposes, the decision procedure asks for runs, a keep is the next base."""

    surface: Surface
    seed: int
    peer: _Plain | None = None
    runs: int = 0
    tried: list[Tried] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"loop/{self.seed}")
        self.rules = Loop(edit="train.py", metric=Metric(name="gain", goal="maximize"))
        self.source = self.surface.source
        self.base = {dial.name: float(dial.value) for dial in dials(self.source)}
        self.pool: list[float] = []
        self.groups: list[list[float]] = []
        self.height = 0.0

    def share(self) -> float:
        """Run until the runs are over; the share of the best gain that the base has then."""
        self.pool = [self._run(self.base) for _ in range(POOL)]
        self.groups.append(list(self.pool))
        number = 0
        while self.runs < RUNS:
            number += 1
            if self.peer is not None:
                content, values, trial = self.peer.ask(self.source)
                self.peer.tell(trial, self.height + self._experiment(number, content, values))
                continue
            shown = Context(
                f"loop-{self.seed}",
                self.rules,
                self.source,
                number,
                tuple(self.tried),
                sources=frozenset(self.sources),
            )
            try:
                edit = Search().propose(shown).edit
            except NoProposal:
                break
            assert edit is not None
            self._experiment(number, edit.content, dict(edit.parameters))
        return self.surface.gain(self.base) / self.surface.best

    def _experiment(self, number: int, content: str, values: dict[str, float]) -> float:
        """Measure an edit as the decision procedure wants; the gain that the ledger tells, in sigma."""
        sigma, dof = pooled(self.groups)
        digest = sha256(content)
        request = Request(
            repository="bench/bench", loop="loop", rules=self.rules, purpose=Purpose.EXPERIMENT, number=number,
            base="0" * 40, inputs="0" * 64, baseline="0" * 40, candidate="1" * 40,
            candidate_digest=digest, seeds=tuple(range(20)),
            calibration=Calibration(sigma=sigma, dof=dof, pool=tuple(self.pool[-POOL:])),
        )  # fmt: skip
        facts: list[RunFact] = []
        while not isinstance(end := advance(request, facts), Finding):
            value = self._run(values if end.arm is Arm.CANDIDATE else self.base)
            facts.append(RunFact(**end.model_dump(), status=RunStatus.OK, metric={SELECT: value}))
        baselines = [run.metric[SELECT] for run in facts if run.arm is Arm.BASELINE]
        sealed = [run.metric[SELECT] for run in facts if run.stage is Stage.SEAL and run.arm is Arm.CANDIDATE]
        self.groups += [group for group in (baselines, sealed) if len(group) > 1]
        self.pool += baselines
        gain = end.effect_sigma
        if gain is None and self.pool:
            gain = (facts[0].metric[SELECT] - fmean(self.pool[-POOL:])) / (sigma or 1.0)
        keep = end.verdict is Verdict.KEEP
        rounded = round(gain * 2) / 2 if gain is not None else 0.0
        self.tried.append(Tried(number, end.verdict.value, values, rounded))
        self.sources.add(sha256(content))
        if keep:
            self.source, self.base, self.pool = content, values, sealed
            self.height += rounded
        return rounded

    def _run(self, values: dict[str, float]) -> float:
        self.runs += 1
        return self.surface.gain(values) + self.rng.gauss(0, 1)
