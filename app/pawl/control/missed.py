"""Webhooks that did not arrive. GitHub keeps a record of each attempt for days, and never tries again by itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog

from pawl.control.figures import Figures
from pawl.github.app import App, Delivery
from pawl.github.errors import GitHubError, NotFound, Unprocessable

log = structlog.get_logger(__name__)

LOOKED_BACK = timedelta(hours=1)
"""How old an attempt may be that is asked for again. What is older, the timer has made up for long ago."""
ATTEMPTS = 3
"""Attempts, the first one included, after which a delivery is given up: the server was not to be reached."""
LISTED = 300
"""Attempts that are looked through in one round: three requests."""


def missed(attempts: Iterable[Delivery], now: datetime) -> tuple[int, ...]:
    """The attempts that are to be made again, oldest first: one of each delivery that never arrived.

    Args:
        attempts: newest first, as GitHub lists them; read no further than needed.
        now: the time, with its zone.
    """
    arrived: set[str] = set()
    failed: dict[str, list[int]] = {}
    for number, attempt in enumerate(attempts):
        if number >= LISTED or datetime.fromisoformat(attempt.delivered_at) < now - LOOKED_BACK:
            break
        if 200 <= attempt.status_code < 300:
            arrived.add(attempt.guid)
        else:
            failed.setdefault(attempt.guid, []).append(attempt.id)
    lost = [ids for guid, ids in failed.items() if guid not in arrived and len(ids) < ATTEMPTS]
    return tuple(ids[0] for ids in reversed(lost))


def ask_again(github: App, now: datetime, figures: Figures) -> None:
    """Have GitHub deliver again what did not arrive. The timer makes up for it too, only later, so it may fail."""
    try:
        for attempt in missed(github.deliveries(), now):
            try:
                github.redeliver(attempt)
            except (NotFound, Unprocessable) as error:  # GitHub has forgotten this one; others may be left
                log.info("a lost delivery is gone", attempt=attempt, why=str(error))
                continue
            figures.redelivered.inc()
            log.info("asked for a lost delivery", attempt=attempt)
    except GitHubError as error:
        log.warning("lost deliveries were not asked for again", why=str(error))
