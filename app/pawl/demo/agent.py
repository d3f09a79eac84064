"""Who proposes in a run on this machine: what the person at the terminal chose, and what that may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import ValidationError

from pawl.control.errors import SettingsError
from pawl.control.means import read_means
from pawl.core.config_parts import Agent
from pawl.demo.town import DemoError
from pawl.meta.means import Means

OWN_VARIABLES = "HOME,ANTHROPIC_API_KEY,OPENAI_API_KEY,GEMINI_API_KEY,CODEX_HOME,CLAUDE_CONFIG_DIR"
"""What a coding agent started from one's own terminal is given, unless PAWL_COMMAND_ENV names others."""


@dataclass(frozen=True)
class AgentChoice:
    """The options of the command line; what is None there stays as the configuration has it."""

    proposer: str | None = None
    model: str | None = None
    base_url: str | None = None
    command: str | None = None

    def section(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The loop's ``agent`` section with these options in it.

        Args:
            given: the section as the configuration has it; empty where it has none.

        Raises:
            DemoError: the options do not go together.
        """
        chosen = {name: value for name, value in asdict(self).items() if value is not None}
        if not chosen:
            return dict(given)
        proposer = chosen.get("proposer") or ("command" if "command" in chosen else "llm")
        kept = given if given.get("proposer") == proposer else {}
        section = {**kept, **chosen, "proposer": proposer}
        try:
            Agent.model_validate(section)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            message = first["msg"].removeprefix("Value error, ")
            raise DemoError(
                f"these options do not go together{f' (--{place})' if place else ''}: {message}"
            ) from None
        return section


def means_here(environment: Mapping[str, str], agent: Agent) -> Means:
    """What a run on one's own machine lets its proposer use: the address and the command that its owner has just named.

    Raises:
        DemoError: a variable cannot be used.
    """
    try:
        means = read_means({"PAWL_COMMAND_ENV": OWN_VARIABLES, **environment})
    except SettingsError as error:
        raise DemoError(str(error)) from None
    named = {agent.base_url} if agent.base_url is not None else set()
    return replace(means, addresses=means.addresses | named, commands=True)
