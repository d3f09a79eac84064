"""A GitHub in one process, for the demo, for trying a repository, and for the tests of the GitHub edge.

Real HTTP, real git, signed webhooks, a state that survives the process. It knows what `pawl.github` calls, and nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pawl.localhub.hub import AppRegistration, Hub
    from pawl.localhub.server import HubServer
    from pawl.localhub.standalone import serve

__all__ = ["AppRegistration", "Hub", "HubServer", "serve"]

_HOMES = {"AppRegistration": "hub", "Hub": "hub", "HubServer": "server", "serve": "standalone"}


def __getattr__(name: str) -> Any:
    # Flask, dulwich and the rest are loaded when the hub is used, not when its package is named.
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f"pawl.localhub.{_HOMES[name]}"), name)
