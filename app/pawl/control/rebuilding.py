"""The database made anew from GitHub, and compared with the one that was there.

Of its three tables the cache is the one that GitHub can tell again, object by object under git's names. Deliveries are ids,
and presses wait for the next look: both are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pawl.control.database import MAX_BLOB, Database
from pawl.core.chain import LedgerError
from pawl.core.config_file import ConfigError
from pawl.github.app import App
from pawl.github.errors import GitHubError, NotFound, Unobservable
from pawl.github.observe import observe
from pawl.github.view import RepositoryView


@dataclass(frozen=True)
class Rebuilt:
    """What came of one repository."""

    repository: str
    objects: int
    """Objects that a first look at its loops reads."""
    missing: int = 0
    """Those that the cache did not have."""
    different: tuple[str, ...] = ()
    """Names of those that it had otherwise than GitHub."""
    problems: tuple[str, ...] = ()
    """Why a loop cannot be looked at, for a person."""


class Gathered:
    """A store that holds what one look has read."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get(self, sha: str) -> bytes | None:
        """The bytes, or None."""
        return self.objects.get(sha)

    def put(self, sha: str, data: bytes) -> None:
        """Keep them, where the cache would."""
        if len(data) <= MAX_BLOB:
            self.objects[sha] = data


def rebuild(github: App, database: Database, change: bool = True) -> Iterator[Rebuilt]:
    """Read every repository as a first look does, without the cache; then compare the cache with it, and replace it.

    Each repository is replaced in one transaction, so a server may run meanwhile. Nothing on GitHub is changed.

    Args:
        github: the App.
        database: the one to compare.
        change: whether to replace what it has.

    Raises:
        GitHubError: GitHub does not say where the App is installed.
    """
    found: set[str] = set()
    for installation in github.installations():
        if installation.suspended:
            continue
        for name, _ in github.repositories(installation.id):
            found.add(name)
            gathered = Gathered()
            view = RepositoryView(github.repository(name, installation.id), gathered)
            problems = tuple(_look(view))
            known = {sha: database.blobs(name).get(sha) for sha in gathered.objects}
            if change:
                database.replace(name, gathered.objects)
            yield Rebuilt(
                name,
                len(gathered.objects),
                sum(data is None for data in known.values()),
                tuple(
                    sha for sha, data in known.items() if data is not None and data != gathered.objects[sha]
                ),
                problems,
            )
    if change:
        database.forget_others(found)


def _look(view: RepositoryView) -> Iterator[str]:
    """Read what the loops of a repository need; gives what keeps that from being whole."""
    try:
        config = view.config()
    except NotFound:
        return  # it went in this moment
    except (ConfigError, GitHubError) as error:
        yield str(error)
        return
    for loop, rules in (config.loops if config is not None else {}).items():
        try:
            observe(view, loop, rules)
        except (LedgerError, Unobservable, GitHubError) as error:
            yield f"{loop}: {error}"
