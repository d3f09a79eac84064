"""What keeps a process from starting."""

from __future__ import annotations


class SettingsError(Exception):
    """Pawl cannot start like this; the text says which setting is wrong, and what to do."""
