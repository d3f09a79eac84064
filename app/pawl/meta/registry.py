"""Which proposer a loop's rules ask for. Each is imported only when it is."""

from __future__ import annotations

from pawl.core.config import Loop
from pawl.meta.proposer import Proposer


def proposer_for(rules: Loop) -> Proposer:
    """The proposer that ``agent.proposer`` names."""
    match rules.agent.proposer:
        case "search":
            from pawl.meta.search import Search

            return Search()
