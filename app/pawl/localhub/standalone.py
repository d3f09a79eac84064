"""The hub as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

from pawl.localhub.hub import Hub


def serve(home: Path, port: int = 0) -> None:
    """Serve the hub in `home` until SIGINT or SIGTERM, after printing one JSON object that says how to reach it."""
    from pawl.localhub.server import HubServer

    hub = Hub.open(home)
    key = home / "app.private-key.pem"
    handle = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(hub.app.private_key_pem)
    done = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: done.set())
    with HubServer(hub, port) as server:
        said = {
            "app_id": hub.app.id, "app_slug": hub.app.slug, "key_path": str(key.resolve()),
            "webhook_secret": hub.app.webhook_secret, "api_url": server.api_url, "url": server.url,
            "user_tokens": {login: hub.create_user(login) for login in hub.users()},
        }  # fmt: skip
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
        done.wait()
    hub.close()
