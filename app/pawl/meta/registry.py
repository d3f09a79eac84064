"""Which proposer a loop's rules ask for. Each is imported only when it is."""

from __future__ import annotations

from pawl.core.config import Loop
from pawl.meta.means import Means
from pawl.meta.proposer import Proposer


def proposer_for(rules: Loop, means: Means) -> Proposer:
    """The proposer that ``agent.proposer`` names.

    Args:
        rules: the loop's rules.
        means: what whoever runs Pawl lets it use.
    """
    match rules.agent.proposer:
        case "search":
            from pawl.meta.search import Search

            return Search()
        case "llm":
            from pawl.meta.llm import Llm

            return Llm(means)
        case "command":
            from pawl.meta.command import Command

            return Command(means)
