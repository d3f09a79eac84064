"""What keeps a process from starting."""

from __future__ import annotations


class DatabaseUnusable(Exception):
    """The database does not take or give what it should; the text says what to do. Nothing is lost with it."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(
            f"the database PAWL_DATABASE cannot be used: {str(cause).splitlines()[0]}. Nothing is lost, and this is tried "
            "again, later and later. If its disk is full or may not be written, mend that; if it is damaged, stop the "
            "server, remove the file with its -wal and -shm, and start again: it is an inbox and a cache"
        )


class SettingsError(Exception):
    """Pawl cannot start like this; the text says which setting is wrong, and what to do."""
