"""Reads from the environment what whoever runs Pawl lets its proposers use."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from pawl.control.errors import SettingsError
from pawl.meta.means import Means

PROVIDERS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}
"""Variables of the providers' own keys."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WITHHELD = re.compile(r"(?i)^(GITHUB|GH|ACTIONS|PAWL)_|^SSH_AUTH_SOCK$|^GIT_")
"""Variables that no proposer's command is ever given: they reach the repository, or are Pawl's own."""


def read_means(environment: Mapping[str, str]) -> Means:
    """Keys, addresses and permissions from these variables.

    ``ANTHROPIC_API_KEY`` and ``OPENAI_API_KEY`` go to the providers' own addresses alone. ``PAWL_MODEL_ADDRESSES`` lists the
    ``base_url`` values that rules may name, ``PAWL_MODEL_KEYS`` is a JSON object of keys by such a value.
    ``PAWL_ALLOW_COMMANDS=1`` lets rules start coding agents on this machine, and ``PAWL_COMMAND_ENV`` lists the variables
    that these are given.

    Raises:
        SettingsError: one of them cannot be used.
    """
    keys = {name: environment[variable] for name, variable in PROVIDERS.items() if environment.get(variable)}
    keys |= _keys(environment.get("PAWL_MODEL_KEYS", ""))
    listed = _listed(environment.get("PAWL_MODEL_ADDRESSES", ""))
    allowed = environment.get("PAWL_ALLOW_COMMANDS", "")
    if allowed not in ("", "0", "1"):
        raise SettingsError(f"PAWL_ALLOW_COMMANDS is 1 or nothing, not {allowed!r}")
    return Means(
        keys=keys,
        addresses=frozenset(listed) | frozenset(keys.keys() - PROVIDERS.keys()),
        commands=allowed == "1",
        command_environment=_passed_on(environment),
    )


def _keys(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    known = isinstance(found, dict) and all(
        address.startswith(("https://", "http://")) and isinstance(key, str) and key
        for address, key in found.items()
    )
    if not known:
        # What stands there is a secret: it is not repeated.
        raise SettingsError(
            'PAWL_MODEL_KEYS is a JSON object of keys by base_url, like {"https://models.example.com/v1": "…"}'
        )
    keys: dict[str, str] = found
    return keys


def _passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    names = _listed(environment.get("PAWL_COMMAND_ENV", ""))
    for name in names:
        if not _NAME.fullmatch(name):
            raise SettingsError(
                f"PAWL_COMMAND_ENV lists names of variables, separated by commas; {name!r} is none"
            )
        if _WITHHELD.search(name):
            raise SettingsError(
                f"PAWL_COMMAND_ENV names {name}, which no coding agent may have: it reaches the repository or Pawl itself"
            )
    return {name: environment[name] for name in names if name in environment}


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
