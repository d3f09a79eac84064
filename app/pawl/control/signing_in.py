"""How the settings become the App that talks to GitHub: one way for the server and for every command."""

from __future__ import annotations

from pawl.control.settings import Settings
from pawl.github.app import App
from pawl.github.client import Pace


def app_of(settings: Settings) -> App:
    """The App, at the pace that the settings allow: reads are never slower than writes."""
    writes = settings.seconds_between_writes
    pace = Pace(between_requests=min(Pace.between_requests, writes), between_writes=writes)
    return App(settings.app_id, settings.private_key, settings.api, pace)
