"""What whoever runs Pawl lets its proposers use. A repository's own rules can choose among these, and never add to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Means:
    """Keys, addresses and permissions of one process. Keys do not show in its repr."""

    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Model keys by address: a provider's own (``anthropic``, ``openai``) or one of `addresses`. Sent nowhere else."""
    addresses: frozenset[str] = frozenset()
    """``base_url`` values that a repository's rules may name, exactly as they are written there."""
    commands: bool = False
    """Whether ``proposer: command`` may start what a repository's rules name, on this machine."""
    command_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables that such a command is given beside a bare PATH, HOME and LANG: its own model key, as a rule."""
