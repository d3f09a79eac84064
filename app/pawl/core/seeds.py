"""The seeds of a measurement: as many as its plan may need, and none that anybody could choose."""

from __future__ import annotations

import hashlib
import hmac

from pawl.core.measurement import Procedure


def draw_seeds(key: bytes, identity: str, count: int) -> tuple[int, ...]:
    """Seeds nobody can choose: HMAC of the frozen commit and the run's place under a key the runner never sees.

    Args:
        key: the App's own secret.
        identity: names what is measured, the candidate's commit included.
        count: how many, in the order of places.
    """
    digests = (
        hmac.new(key, f"{identity}|{place}".encode(), hashlib.sha256).digest() for place in range(count)
    )
    return tuple(int.from_bytes(digest[:4], "big") for digest in digests)


def seeds_needed(procedure: Procedure) -> int:
    """Places an experiment can reach: the screen, every pair and the whole seal."""
    pairs = max(procedure.max_pairs, procedure.task_pairs)
    return 1 + pairs + max(procedure.seal_candidates, procedure.seal_baselines, procedure.task_seal_pairs)
