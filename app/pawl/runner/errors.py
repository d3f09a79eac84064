"""What keeps a machine from being a runner."""

from __future__ import annotations


class Unfit(Exception):
    """The machine cannot be a runner like this; the text says why, and what to do."""
