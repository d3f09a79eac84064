"""Where the App is installed: its repositories, the installation that each is reached through, and what that grants."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from pawl.github.app import App
from pawl.github.client import Repository
from pawl.github.errors import GitHubError, NotFound
from pawl.github.grants import Grant

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a repository is reached. Removed and installed again, or deleted and made again, it is another place."""

    installation: int
    repository: int
    """The repository's id: whatever it is called, another one has another."""


@dataclass(frozen=True)
class News:
    """What GitHub has said, beside what was known."""

    places: Mapping[str, Place]
    """Every repository by name."""
    new: tuple[str, ...]
    """Repositories that were not known at this place."""
    gone: frozenset[str]
    """Names under which there is nothing any more."""
    others: frozenset[str]
    """Names under which there is another repository now."""
    granted: tuple[str, ...]
    """Repositories whose installation grants something else than before."""


class Installations:
    """What GitHub said last of where the App is installed."""

    def __init__(self, github: App) -> None:
        self._github = github
        self._places: Mapping[str, Place] = {}
        self._everywhere: set[int] = set()
        """Installations on everything an account has: nobody picked a repository there."""
        self._grants: dict[int, Grant] = {}
        self._clients: dict[tuple[str, Place], Repository] = {}
        self._guard = threading.Lock()

    def installation_of(self, name: str) -> int:
        """The installation through which a repository is reached; 0 where there is none."""
        place = self._places.get(name)
        return place.installation if place is not None else 0

    def chosen(self, installation: int) -> bool:
        """Whether somebody picked the repositories of an installation one by one."""
        return installation not in self._everywhere

    def client(self, name: str) -> Repository | None:
        """A client of a repository for something small beside its looks; none where the App is not installed."""
        place = self._places.get(name)
        if place is None:
            return None
        with self._guard:
            key = (name, place)  # at another place it has no token
            if key not in self._clients:
                self._clients[key] = self._github.repository(name, place.installation)
            return self._clients[key]

    def ask(self) -> News:
        """Ask GitHub. What it says is known once it is taken.

        Raises:
            GitHubError: it did not say where the App is installed.
        """
        places: dict[str, Place] = {}
        regranted = set[int]()
        for installation in self._github.installations():
            if installation.suspended:
                continue
            if installation.everything:
                self._everywhere.add(installation.id)
            if self._grants.get(installation.id, installation.grant) != installation.grant:
                regranted.add(installation.id)
            self._grants[installation.id] = installation.grant
            places |= self._repositories(installation.id)
        known = self._places
        new = tuple(name for name in places if known.get(name) != places[name])
        return News(
            places,
            new,
            frozenset(known.keys() - places.keys()),
            frozenset(
                name for name in new if known.get(name, places[name]).repository != places[name].repository
            ),
            tuple(name for name, place in places.items() if place.installation in regranted),
        )

    def _repositories(self, installation: int) -> dict[str, Place]:
        try:
            return {
                name: Place(installation, number) for name, number in self._github.repositories(installation)
            }
        except NotFound:
            return {}  # it went in this moment
        except GitHubError as error:
            # No tenant's trouble stops another one: what was known of this one stays until the next round.
            log.warning("installation cannot be listed", installation=installation, why=str(error))
            return {name: at for name, at in self._places.items() if at.installation == installation}

    def take(self, news: News) -> None:
        """This is how it is now."""
        self._places = news.places
