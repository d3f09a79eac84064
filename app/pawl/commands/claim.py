"""Whether a server is the only one on its database."""

from __future__ import annotations

import fcntl
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy.engine import make_url

ENDING = ".lock"
"""Of the file beside the database that a server holds a lock on. It stays when the server ends; the lock does not."""


def claimed(database: str, held: ExitStack) -> bool:
    """Whether no other server of this machine works with a database, from now until `held` is closed.

    True where that cannot be known: for a database that is no file, and in a folder without locks.

    Args:
        database: its SQLAlchemy address.
        held: keeps the claim.
    """
    url = make_url(database)
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return True
    try:
        file = Path(f"{url.database}{ENDING}").open("a", encoding="ascii")  # noqa: SIM115 - as long as the claim is held
        held.callback(file.close)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
