"""The supervisor's credential: a token in a file that nobody else can read."""

from __future__ import annotations

import os
from pathlib import Path

from pawl.runner.errors import Unfit


def problem(path: Path) -> str:
    """Why a file is no safe place for a token, and what to do; empty if it is one."""
    try:
        status = path.stat()
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}. Put the token there, and chmod 600 it"
    if status.st_mode & 0o077:
        return f"{path} can be read by other users of this machine; run: chmod 600 {path}"
    if status.st_uid != os.getuid():
        return f"{path} belongs to another user than the supervisor's; run: chown {os.getuid()} {path}"
    return ""


def read_token(path: Path) -> str:
    """The token in a file.

    Raises:
        Unfit: it cannot be read, or others can read it too.
    """
    if why := problem(path):
        raise Unfit(why)
    token = path.read_text(encoding="utf-8", errors="replace").strip()
    if not token or len(token.split()) != 1:
        raise Unfit(f"{path} holds no token: one line with it is wanted, and nothing else")
    return token
