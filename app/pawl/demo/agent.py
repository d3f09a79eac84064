"""Who proposes in a run on this machine: what the person at the terminal chose, and what that may use."""

from __future__ import annotations

import shlex
import shutil
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from pawl.control.errors import SettingsError
from pawl.control.means import read_means
from pawl.core.config_file import said
from pawl.core.config_parts import Agent
from pawl.demo.town import DemoError
from pawl.meta.means import Means
from pawl.meta.models import LOCAL, VARIABLES, key_for, split_model
from pawl.meta.proposer import NoProposal

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
            option = "".join(f"--{str(part).replace('_', '-')}" for part in first["loc"])
            raise DemoError(f"{option or 'these options do not go together'}: {said(dict(first))}") from None
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


def must_be_able(agent: Agent, means: Means) -> None:
    """See that the proposer can be asked at all: to be told so after the calibration would be late.

    Raises:
        DemoError: a key, a package, a server or a program is missing.
    """
    if agent.proposer == "llm":
        _model(agent, means)
    elif agent.proposer == "command":
        word = shlex.split(agent.command or "")[0]
        if shutil.which(word) is None:
            raise DemoError(
                f"{word}, which is to propose, is no program on your PATH: install it, or name its path in --command"
            )


def _model(agent: Agent, means: Means) -> None:
    if find_spec("pydantic_ai") is None:
        raise DemoError(
            "the proposer llm needs more packages; install them with: pip install '.[demo,llm]' in a checkout of Pawl"
        )
    try:
        key_for(agent, means)
    except NoProposal as error:
        if agent.base_url is not None:
            raise DemoError(str(error)) from None
        raise DemoError(
            f"there is no key for {agent.model}: set {VARIABLES[split_model(agent)[0]]} in this terminal, or name a "
            "server of your own with --base-url; --proposer search needs neither"
        ) from None
    address = urlsplit(agent.base_url or "")
    if address.hostname not in LOCAL:
        return  # it may lie behind a proxy, and is best asked by whoever knows that
    try:
        port = address.port or (443 if address.scheme == "https" else 80)
        socket.create_connection((address.hostname, port), 5).close()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DemoError(
            f"no model answers at {agent.base_url} ({why}): start its server, or correct --base-url"
        ) from None
