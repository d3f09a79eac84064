"""What a local run is to do: which loop, by which rules, on which terms."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from pawl.core.config import CONFIG_PATH, Config, Loop
from pawl.core.config_file import ConfigError, parse_config
from pawl.core.config_parts import Agent
from pawl.demo.agent import AgentChoice, means_here, must_be_able
from pawl.demo.town import DemoError


@dataclass(frozen=True)
class Terms:
    """How to run it."""

    experiments: int = 12
    port: int = 0
    json_file: Path | None = None
    agent: AgentChoice = field(default_factory=AgentChoice)


@dataclass(frozen=True)
class Plan:
    """What to run."""

    name: str
    """``owner/name`` on the local GitHub."""
    loop: str
    config: Config
    terms: Terms

    @property
    def rules(self) -> Loop:
        """The loop's rules."""
        return self.config.loops[self.loop]


def plan_of(name: str, loop: str, config: Config, terms: Terms) -> Plan:
    """The run, with the chosen agent among its rules.

    Raises:
        DemoError: the results cannot be written, the options do not go together, or the agent lacks what it needs.
    """
    _writable(terms.json_file)
    rules = config.loops[loop]
    section = terms.agent.section(rules.agent.model_dump(mode="json", exclude_defaults=True))
    chosen = rules.model_copy(update={"agent": Agent.model_validate(section)})
    must_be_able(chosen.agent, means_here(os.environ, chosen.agent))
    return Plan(name, loop, config.model_copy(update={"loops": {**config.loops, loop: chosen}}), terms)


def _writable(json_file: Path | None) -> None:
    """See that the file can be written: to be told so after an hour would be late.

    Raises:
        DemoError: it cannot.
    """
    if json_file is not None and (json_file.is_dir() or not os.access(json_file.absolute().parent, os.W_OK)):
        raise DemoError(
            f"--json {json_file} cannot be written: name a file in a folder that you may write to"
        )


def examples() -> Path:
    """The examples: beside the sources in a checkout, inside the package when it was installed."""
    here = Path(__file__).resolve()
    for folder in (here.parents[3] / "examples", here.parents[1] / "examples"):
        if (folder / "packing").is_dir():
            return folder
    raise DemoError("the examples were not installed with this package; run `make demo` in a checkout")


def config_at(path: Path) -> Config:
    """A configuration.

    Raises:
        DemoError: there is none, or it cannot be used.
    """
    try:
        return parse_config(path.read_text(encoding="utf-8"), CONFIG_PATH)
    except FileNotFoundError:
        raise DemoError(f"there is no {path}; `pawl init` writes a first one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DemoError(f"{path} cannot be read: {error}") from None
    except ConfigError as error:
        raise DemoError(f"the configuration cannot be used:\n{error}") from None
