"""The local way: `pawl demo`, `pawl try` and `pawl hub`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pawl.cli.options import LoopName
from pawl.commands.failing import fail

commands = typer.Typer()

Home = Annotated[
    Path, typer.Option(help="Folder that holds everything; run again with the same one to go on.")
]
Port = Annotated[
    int, typer.Option(min=0, max=65535, help="Port of the local GitHub's pages; 0 picks a free one.")
]
Experiments = Annotated[int, typer.Option(min=1, help="Stop when this many experiments are concluded.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the results to this file, as JSON.")]
ProposerName = Annotated[
    str | None, typer.Option(help="Who proposes: search (no key needed), llm or command.")
]
Model = Annotated[
    str | None,
    typer.Option(help="For llm: anthropic:MODEL or openai:MODEL; the key is read from the environment."),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        help="For llm: another address that speaks that provider's language, such as a local model's."
    ),
]
Coder = Annotated[
    str | None,
    typer.Option(
        "--command",
        help="For command: a coding agent, such as 'claude -p {prompt}', run here with your rights.",
    ),
]


@commands.command()
def demo(
    loop: Annotated[
        str,
        typer.Option(
            help="packing (seconds, no dependency), nanogpt (torch) or harness (an agent to improve)."
        ),
    ] = "packing",
    experiments: Experiments = 12,
    home: Home = Path(".pawl/demo"),
    port: Port = 0,
    json_file: JsonFile = None,
    proposer: ProposerName = None,
    model: Model = None,
    base_url: BaseUrl = None,
    command: Coder = None,
) -> None:
    """Run a loop on an example, end to end, against a GitHub that fits in this process."""
    from pawl.demo.agent import AgentChoice
    from pawl.demo.plan import Terms
    from pawl.demo.run import run_demo
    from pawl.demo.town import DemoError

    terms = Terms(experiments, port, json_file, AgentChoice(proposer, model, base_url, command))

    try:
        sys.exit(run_demo(loop, home, terms))
    except (DemoError, OSError) as error:
        fail(error)


@commands.command(name="try")
def try_(
    path: Annotated[Path, typer.Argument(help="Your repository, with its own .github/pawl.yml.")],
    loop: LoopName = None,
    experiments: Experiments = 12,
    home: Annotated[Path | None, typer.Option(help="Folder that holds everything.")] = None,
    port: Port = 0,
    json_file: JsonFile = None,
    proposer: ProposerName = None,
    model: Model = None,
    base_url: BaseUrl = None,
    command: Coder = None,
) -> None:
    """Run your own repository's loop on a copy; nothing of yours is changed, and the result can be taken home."""
    from pawl.demo.agent import AgentChoice
    from pawl.demo.plan import Terms
    from pawl.demo.run import run_try
    from pawl.demo.town import DemoError

    terms = Terms(experiments, port, json_file, AgentChoice(proposer, model, base_url, command))

    try:
        sys.exit(run_try(path, loop, home, terms))
    except (DemoError, OSError) as error:
        fail(error)


@commands.command()
def hub(
    home: Home = Path(".pawl/hub"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on, on loopback only.")] = 4080,
) -> None:
    """Run the local GitHub alone, and print its App, key, secret and tokens as JSON."""
    from pawl.localhub import serve as serve_hub

    try:
        serve_hub(home, port)
    except OSError as error:
        fail(f"the local GitHub cannot run in {home} on port {port}: {error}; --home and --port name others")
