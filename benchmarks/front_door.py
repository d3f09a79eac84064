"""A server for `benchmarks.webhooks`: Pawl's App behind its front door, in a process that ends with its standard input.

Started as ``python -m benchmarks.front_door``. Variables as of `pawl serve`; with ``LOOKS=1`` it looks at its repositories.
The first line it prints is its port.
"""

from __future__ import annotations

import logging
import os
import sys

from pawl.commands.serve import front_door, log_as_json
from pawl.commands.server import WebServer
from pawl.control.app import PawlApp
from pawl.control.settings import read_settings


def main() -> None:
    """Serve until nobody is at the other end any more."""
    log_as_json(level=logging.INFO)
    settings = read_settings(os.environ)
    app = PawlApp(settings)
    server = WebServer(front_door(app), "127.0.0.1", 0, "web")
    server.start()
    if os.environ.get("LOOKS"):
        app.start()
    print(server.port, flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
