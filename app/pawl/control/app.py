"""The App: webhooks and a timer bring its repositories forward."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from pawl import __version__
from pawl.control.database import Arrival, Database
from pawl.control.desk import Desk
from pawl.control.errors import DatabaseUnusable
from pawl.control.events import INSTALLATION_EVENTS, LISTING_EVENTS, SUBSCRIBED, Delivered, Event
from pawl.control.figures import Figures
from pawl.control.installations import Installations
from pawl.control.library import library_of
from pawl.control.loops import Beside, RepositoryLoops
from pawl.control.missed import ask_again
from pawl.control.noticing import Noticing, command_comment
from pawl.control.presses import read_press
from pawl.control.queue import Known, Look, LookQueue, Scheduler, Workers
from pawl.control.settings import Settings
from pawl.control.signing_in import app_of
from pawl.control.tending import Tending
from pawl.control.thinking import Thinker
from pawl.core.config_file import ConfigError
from pawl.github.act import Actor
from pawl.github.errors import Forbidden, NotFound, RateLimited
from pawl.github.view import RepositoryView

log = structlog.get_logger(__name__)

INSTALLATIONS = "*"
"""The queue's key for "ask GitHub where the App is installed"."""
PROPOSALS_AT_ONCE = 4
REACTIONS_AT_ONCE = 2
FULL_ROUNDS = 6
"""Rounds of the timer between two that read everything again, also where webhooks arrive: half an hour by default."""
IDLE_ROUNDS = 12
"""Rounds of the timer between two looks at a repository that has no loop: an hour by default. Webhooks tell of the rest."""


class PawlApp:
    """One process of the App.

    Args:
        settings: who it is, and where GitHub and its database are.
        clock: the time now, with its zone.
        seconds: seconds that only go forward.
        proposals: where proposals are made; threads of its own by default.
        reactions: where commands are shown to have arrived; threads of its own by default.
        schedule: makes what looks are taken by; threads of this process by default.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        seconds: Callable[[], float] = time.monotonic,
        proposals: Executor | None = None,
        reactions: Executor | None = None,
        schedule: Callable[[Look, Known], Scheduler] | None = None,
    ) -> None:
        self.settings, self._clock, self._seconds = settings, clock, seconds
        self.github = app_of(settings)
        self._installations = Installations(self.github)
        self.database = Database(settings.database)
        self.figures = Figures()
        self._proposals = proposals or ThreadPoolExecutor(PROPOSALS_AT_ONCE, thread_name_prefix="proposal")
        self._noticing = Noticing(
            reactions or ThreadPoolExecutor(REACTIONS_AT_ONCE, thread_name_prefix="reaction"),
            self._installations.client,
        )
        self._repositories: dict[str, RepositoryLoops] = {}
        self._waits: dict[int, float] = {}
        """Until when nothing is asked of GitHub through an installation (0: as the App itself), in this process' seconds."""
        self._rounds = 0
        self._guard = threading.Lock()
        self.workers = (schedule or self._threads)(self._look, self._known)
        self._unheard: frozenset[str] = frozenset()
        """Events that GitHub does not tell of."""
        self._login = ""
        """The App's own login; empty until GitHub has said where the App is installed."""

    def start(self) -> None:
        """Look at everything once, then at whatever webhooks and the timer name."""
        self.workers.wake(INSTALLATIONS)
        self.workers.start()

    def stop(self) -> None:
        """Let what runs end, and start nothing more. Nothing that is cut off is lost: the next start looks again."""
        self.workers.stop()
        self._proposals.shutdown(wait=False, cancel_futures=True)
        self._noticing.close()
        self.database.close()

    def _threads(self, look: Look, known: Known) -> Scheduler:
        return Workers(LookQueue(self._seconds), look, known, every=self.settings.timer)

    def receive(self, deliveries: Sequence[Delivered]) -> list[bool]:
        """Take deliveries: an insert each, and a note of what to look at. False for each that was received before.

        Raises:
            DatabaseUnusable: none of them could be noted, and nothing has come of them.
        """
        events = [Event.read(each.event, each.payload) for each in deliveries]
        arrivals = [
            Arrival(each.guid, event.name, event.action, event.repository, read_press(event, each.payload))
            for each, event in zip(deliveries, events, strict=True)
        ]
        noted = self.database.receive(arrivals, self._clock())
        for delivery, event, fresh in zip(deliveries, events, noted, strict=True):
            known = event.name if event.name in SUBSCRIBED | INSTALLATION_EVENTS else "other"
            self.figures.deliveries.labels(known, "fresh" if fresh else "seen").inc()
            if fresh:
                self._heed(delivery, event)
        return noted

    def _heed(self, delivery: Delivered, event: Event) -> None:
        """Wake whoever has to look again because of it."""
        log.info(
            "delivery",
            github_event=event.name,
            action=event.action,
            repository=event.repository,
            delivery=delivery.guid,
        )
        if event.name in LISTING_EVENTS:
            self.workers.wake(INSTALLATIONS)
        with self._guard:
            loops = self._repositories.get(event.repository)
        if loops is None:
            return
        facets = event.stale_facets(self._login)
        comment = command_comment(event, delivery.payload)
        if comment is not None and facets:
            self._noticing.notice(event.repository, comment)
        loops.news.hear(facets, event)
        if facets or event.merged is not None:
            self.workers.wake(event.repository)

    def ready(self) -> bool:
        """Whether deliveries can be taken, and GitHub has said where the App is installed."""
        return bool(self._login) and self.database.ready()

    def status(self) -> dict[str, Any]:
        """What this process is and does, without any secret."""
        with self._guard:
            repositories = sorted(self._repositories)
        return {
            "name": "pawl",
            "version": __version__,
            "app": self.settings.app_id,
            "repositories": len(repositories),
        }

    def at_rest(self) -> bool:
        """Whether nothing waits to be looked at, and no proposal is being made."""
        return not self.thinking() and self.workers.at_rest()

    def thinking(self) -> bool:
        """Whether a proposal is being made, waits to be opened, or is to be asked for again after a while."""
        with self._guard:
            return any(loops.thinking() for loops in self._repositories.values())

    def notices(self, repository: str) -> dict[str, tuple[str, ...]]:
        """Why nothing happens in a repository, by loop, as the last look saw it."""
        with self._guard:
            loops = self._repositories.get(repository)
        return dict(loops.notices) if loops else {}

    def _known(self) -> list[str]:
        """What the timer wakes; each view is read afresh then as far as a webhook may have been lost.

        Repositories without a loop can be a thousand, and all of them share their installation's requests for an hour.
        Where few of those are left, they are for what webhooks tell of.
        """
        with self._guard:
            due = {
                name: loops
                for name, loops in self._repositories.items()
                if (not loops.idle or self._rounds % IDLE_ROUNDS == 0) and not loops.view.client.scarce_until
            }
            self._rounds += 1
            everything = bool(self._unheard) or self._rounds % FULL_ROUNDS == 0
        for loops in due.values():
            loops.round(everything)
        return [INSTALLATIONS, *due]

    def metrics(self) -> bytes:
        """Figures in Prometheus' text format."""
        with self._guard:
            self.figures.repositories.set(len(self._repositories))
        self.figures.waiting.set(self.workers.due())
        return self.figures.text()

    def _look(self, key: str) -> float | None:
        with self.figures.looks.time():
            try:
                return self._one_look(key)
            except SQLAlchemyError as error:
                self.figures.failed_looks.labels(DatabaseUnusable.__name__).inc()
                raise DatabaseUnusable(error) from error
            except Exception as error:
                self.figures.failed_looks.labels(type(error).__name__).inc()
                raise

    def _one_look(self, key: str) -> float | None:
        """One look, unless GitHub has said to wait: who goes on asking meanwhile is shut out for longer."""
        installation, now = self._installations.installation_of(key), self._seconds()
        if (wait := self._waits.get(installation, now) - now) > 0:
            return wait
        try:
            return self._see_to(key)
        except RateLimited as limited:
            wait = max(1.0, limited.retry_at - self._clock().timestamp())
            self._waits[installation] = now + wait
            log.warning("rate limited", repository=key, retry_in=round(wait))
            return wait

    def _see_to(self, key: str) -> float | None:
        if key == INSTALLATIONS:
            self._find_repositories()
            if self.database.ready():  # or it would be lost again, and is asked for a few times only
                ask_again(self.github, self._clock(), self.figures)
            return None
        with self._guard:
            loops = self._repositories.get(key)
        if loops is None:
            return None
        try:
            for looked in loops.look():
                if looked.problem:
                    log.warning(
                        "loop cannot be looked at", repository=key, loop=looked.loop, why=looked.problem
                    )
        except ConfigError as error:
            log.warning("configuration cannot be used", repository=key, why=str(error))
        except (NotFound, Forbidden):
            # Uninstalled, suspended, renamed, archived or deleted: ask which repositories there are.
            self.workers.wake(INSTALLATIONS)
            raise
        return loops.asks_again_in()

    def _find_repositories(self) -> None:
        """Ask GitHub where the App is installed; start looking at new repositories, and forget those that went."""
        news = self._installations.ask()
        with self._guard:
            for name in self._repositories.keys() - news.places.keys():
                del self._repositories[name]
            for name in news.new:
                self._repositories[name] = self._loops(name, news.places[name].installation)
            self._installations.take(news)
            for name in news.granted:
                self._repositories[name].news.everything()
        for name in (*news.new, *news.granted):
            self.workers.wake(name)
        self.database.forget_deliveries(self._clock())
        if news.gone or news.others or not self._login:
            self.database.forget_others(news.places.keys() - news.others)
        self._login = self.github.ask_identity().login
        self._check_events()

    def _check_events(self) -> None:
        """What GitHub does not tell of, the timer must find: say so, once, where it was to tell of something."""
        unheard = SUBSCRIBED - self.github.events
        if unheard - self._unheard and self.github.events:
            log.warning(
                "the App is not subscribed to every event",
                why=f"GitHub does not tell of {', '.join(sorted(unheard))}: what happens there is seen by the timer alone. "
                "Subscribe to them on the App's settings page, under Permissions & events",
            )
        self._unheard = unheard

    def _loops(self, name: str, installation: int) -> RepositoryLoops:
        repository = self.github.repository(name, installation)
        view = RepositoryView(repository, self.database.blobs(name))
        thinker = Thinker(self._proposals, lambda: self.workers.wake(name))
        desk = Desk(thinker, self.settings.means, lambda snapshot: library_of(view, snapshot))
        actor = Actor(view, self._seconds)
        tending = Tending(view, actor, chosen=self._installations.chosen(installation))
        beside = Beside(self.figures, self.database, tending)
        return RepositoryLoops(view, actor, desk, self.settings.seed_key, self._clock, beside)
