"""What a meta-agent is shown of a loop with 5,000 concluded experiments: how long it takes, and whether it fits."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from statistics import median

from benchmarks.figures import Figure
from benchmarks.history import BASE, INPUTS, history, rules
from pawl.control.contexts import context_of
from pawl.core.snapshot import Base, Snapshot
from pawl.meta.context import render

EXPERIMENTS = 5_000
ROUNDS = 9
NOW = datetime(2031, 5, 4, 12, tzinfo=UTC)
SOURCE = "".join(f"DIAL_{number} = {number}.5\n" for number in range(400))


def measure() -> list[Figure]:
    """Median of nine rounds, from the snapshot of a loop to the text that a model is sent."""
    snapshot = Snapshot(
        repository="us/lab", loop="lab", rules=rules(), base=Base(BASE, INPUTS, SOURCE.encode()), ledger=history(EXPERIMENTS)
    )  # fmt: skip
    budget, took, tokens = rules().agent.context_tokens, [], 0
    for _ in range(ROUNDS):
        start = time.perf_counter()
        shown = render(context_of(snapshot, EXPERIMENTS + 1, None, NOW), budget)
        took.append(time.perf_counter() - start)
        tokens = max(tokens, shown.tokens)
    return [
        Figure(
            f"context of a loop with {EXPERIMENTS:,} experiments",
            median(took),
            "s",
            0.2,
            f"slowest {max(took):.3f} s",
        ),
        Figure(
            "its size",
            tokens,
            "tokens",
            budget,
            "estimated on the safe side; the limit is agent.context_tokens",
        ),
    ]
