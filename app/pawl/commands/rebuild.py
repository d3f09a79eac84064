"""`pawl rebuild`: the App's database made anew from GitHub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy.exc import SQLAlchemyError

from pawl.control.database import Database
from pawl.control.errors import SettingsError
from pawl.control.rebuilding import Rebuilt, rebuild
from pawl.control.settings import read_settings
from pawl.control.signing_in import app_of
from pawl.github.errors import GitHubError

NAMED = 5
"""Objects that are named where the cache had them otherwise."""


class Rebuilding:
    """One run of the command.

    Args:
        environment: who signs in, and where the database is.
        given: options of the command line, which win.
        change: whether to replace what the database has.
    """

    def __init__(self, environment: Mapping[str, str], given: Mapping[str, object], change: bool) -> None:
        self._settings, self._change = read_settings(environment, **given), change
        self.sound = True
        """Whether nothing was found that differs from GitHub or cannot be looked at."""

    def lines(self) -> Iterator[str]:
        """What was found, line by line, as it is found.

        Raises:
            SettingsError: the database or GitHub cannot be used.
        """
        try:
            database = Database(self._settings.database)
        except SQLAlchemyError as error:
            first = str(error).splitlines()[0]
            raise SettingsError(f"the database PAWL_DATABASE cannot be used: {first}") from None
        try:
            for found in rebuild(app_of(self._settings), database, self._change):
                self.sound &= not (found.different or found.problems)
                yield from told(found, self._change)
        except GitHubError as error:
            raise SettingsError(f"GitHub cannot be asked: {error}") from None
        finally:
            database.close()


def told(found: Rebuilt, changed: bool) -> Iterator[str]:
    """One repository, for a person."""
    what = "replaced" if changed else "left as they are"
    same = found.objects - found.missing - len(found.different)
    yield (
        f"{found.repository}: {found.objects} objects read from GitHub; the cache had {same} of them, lacked "
        f"{found.missing} and had {len(found.different)} otherwise; {what}"
    )
    for sha in found.different[:NAMED]:
        yield f"  {sha} was not what GitHub has: the database was damaged, or somebody wrote to it"
    for problem in found.problems:
        yield f"  cannot be looked at: {problem}"
