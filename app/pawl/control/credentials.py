"""The App's credentials where `/setup` leaves them: a file that its owner alone can read, or lines for a secret store."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pawl.control.errors import SettingsError


@dataclass(frozen=True)
class Credentials:
    """Who the App is. Secrets do not show in its repr."""

    app_id: int
    private_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)

    @classmethod
    def made(cls, app_id: int, private_key: str, webhook_secret: str) -> Credentials:
        """Those of a new App. Without webhooks a secret is drawn that nobody knows: the door stays shut."""
        return cls(app_id, private_key, webhook_secret or secrets.token_hex(32))

    def variables(self) -> str:
        """As variables of an environment, one a line; the key stands on one line, as such files want it."""
        key = self.private_key.strip().replace("\n", "\\n")
        return (
            f"PAWL_APP_ID={self.app_id}\n"
            f"PAWL_WEBHOOK_SECRET={self.webhook_secret}\n"
            f'PAWL_PRIVATE_KEY="{key}"\n'
        )


def read_credentials(path: Path) -> Credentials | None:
    """Credentials that were kept in a file; None if there is none.

    Raises:
        SettingsError: the file is something else, or others may read it.
    """
    try:
        status = path.stat()
        told = json.loads(path.read_text(encoding="utf-8"))
        found = Credentials(int(told["app_id"]), str(told["private_key"]), str(told["webhook_secret"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{path} (PAWL_CREDENTIALS) holds no credentials ({type(error).__name__}); restore it, or remove it and "
            "register the App again at /setup"
        ) from None
    if status.st_mode & 0o077:
        raise SettingsError(f"{path} can be read by other users of this machine; run: chmod 600 {path}")
    return found


def keep_credentials(path: Path, credentials: Credentials) -> None:
    """Write credentials to a new file that its owner alone can read.

    Raises:
        OSError: it cannot be written, or is there already.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(credentials), file)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
