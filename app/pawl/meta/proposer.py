"""The proposer port: what a meta-agent is shown, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pawl.core.config import Loop
from pawl.core.edit import Edit


@dataclass(frozen=True)
class Tried:
    """One concluded experiment, as a proposer may see it: never a sealed number, and effects only coarsely."""

    number: int
    verdict: str
    parameters: dict[str, float]
    gain: float | None
    """Effect in sigma, rounded to half a sigma, positive where better; none where nothing was measured."""
    hypothesis: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Context:
    """Everything one proposal may depend on."""

    loop: str
    rules: Loop
    source: str
    """The editable file on the base."""
    number: int
    """The experiment this proposal is for; it also seeds whatever the proposer draws."""
    tried: tuple[Tried, ...] = ()
    in_flight: tuple[dict[str, float], ...] = ()
    """Parameters of experiments that are open now."""
    sources: frozenset[str] = frozenset()
    """Digests (SHA-256) of every content that was tried or is in flight: proposing one again would spend runs on nothing."""


class NoProposal(Exception):
    """The proposer has nothing to offer; its text says why, for a person."""


class Proposer(Protocol):
    """Whoever proposes edits. Holds no write token, and sees no seal or holdout number."""

    name: str

    def propose(self, context: Context) -> Edit:
        """An edit of the context's source.

        Raises:
            NoProposal: there is nothing to propose.
        """
        ...
