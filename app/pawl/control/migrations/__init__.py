"""Brings a database to the form that this version of Pawl knows, by alembic.

What lies in it is a cache and an inbox. So one that is older than migrations is emptied and not guessed at, and one that a
newer version has written is left alone.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData

from pawl.control.errors import SettingsError

FOLDER = Path(__file__).parent
HEAD = "0001"
"""The newest revision that this version knows; a test holds it to the last file in ``versions``."""


def migrate(connection: Connection) -> None:
    """Bring a database to the newest revision, in the transaction that the connection is in.

    Raises:
        SettingsError: a newer version of Pawl has written it.
    """
    present = MigrationContext.configure(connection).get_current_revision()
    if present == HEAD:
        return
    known = {script.revision for script in ScriptDirectory(str(FOLDER)).walk_revisions()}
    if present is not None and present not in known:
        raise SettingsError(
            f"a newer version of Pawl has written the database PAWL_DATABASE (its revision is {present}). Start that "
            "version, or delete the database: it is a cache and an inbox, and nothing is lost with it"
        )
    if present is None:
        old = MetaData()
        old.reflect(connection)
        old.drop_all(connection)
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
