"""The `pawl` command. Each command imports what it needs when it runs, so that `pawl --help` answers at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pawl.cli_runner import runner
from pawl.commands.failing import fail

app = typer.Typer(
    name="pawl",
    help="The Karpathy loop on a GitHub repository: propose, measure, decide, merge.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

EXTRAS = {"demo": "demo", "try": "demo", "hub": "demo", "runner": "runner"}
"""The extra that a command needs, where that is not ``app``. What measures, or reads a clone, needs none."""

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
LoopName = Annotated[str | None, typer.Option("--loop", help="Only this loop.")]
Clone = Annotated[Path, typer.Argument(help="A clone of the repository.")]


app.add_typer(runner, name="runner")


def main() -> None:
    """Entry point: what the user must know is one sentence on standard error, never a traceback."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "pawl"):
            raise
        command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
        extra = EXTRAS.get(command, "app")
        fail(
            f"`pawl {command}` needs the package {package}, which is not installed here. Install Pawl with what it "
            f"takes: pip install '.[{extra}]' in a checkout of Pawl"
        )


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    """Shared options."""
    if version:
        from pawl import __version__

        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
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
    from pawl.demo.run import Terms, run_demo
    from pawl.demo.town import DemoError

    terms = Terms(experiments, port, json_file, AgentChoice(proposer, model, base_url, command))

    try:
        sys.exit(run_demo(loop, home, terms))
    except (DemoError, OSError) as error:
        fail(error)


@app.command(name="try")
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
    from pawl.demo.run import Terms, run_try
    from pawl.demo.town import DemoError

    terms = Terms(experiments, port, json_file, AgentChoice(proposer, model, base_url, command))

    try:
        sys.exit(run_try(path, loop, home, terms))
    except (DemoError, OSError) as error:
        fail(error)


@app.command()
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


@app.command()
def serve(
    app_id: Annotated[int | None, typer.Option(help="PAWL_APP_ID")] = None,
    private_key_file: Annotated[Path | None, typer.Option(help="PAWL_PRIVATE_KEY_FILE")] = None,
    api: Annotated[
        str | None, typer.Option(help="PAWL_API; for GitHub Enterprise Server or a local GitHub")
    ] = None,
    database: Annotated[str | None, typer.Option(help="PAWL_DATABASE, an SQLAlchemy address")] = None,
    host: Annotated[str | None, typer.Option(help="PAWL_HOST")] = None,
    port: Annotated[int | None, typer.Option(help="PAWL_PORT")] = None,
    server: Annotated[str | None, typer.Option(help="PAWL_SERVER: waitress or granian")] = None,
    print_credentials: Annotated[
        bool,
        typer.Option("--print-credentials", help="Print a new App's credentials, and keep none of them."),
    ] = False,
) -> None:
    """Run the App: webhooks in, GitHub's API out. Without an App it serves /setup, where you register one."""
    import os

    from pawl.commands.serve import start
    from pawl.control.errors import SettingsError

    given = {"app_id": app_id, "private_key_file": private_key_file, "api": api, "database": database}
    try:
        start(os.environ, {**given, "host": host, "port": port, "server": server}, print_credentials)
    except SettingsError as error:
        fail(error, 2)


@app.command()
def rebuild(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare, and leave the database as it is.")
    ] = False,
    database: Annotated[str | None, typer.Option(help="PAWL_DATABASE, an SQLAlchemy address")] = None,
    api: Annotated[str | None, typer.Option(help="PAWL_API")] = None,
) -> None:
    """Make the App's database anew from GitHub, and say where the old one differed. A server may run meanwhile."""
    import os

    from pawl.commands.rebuild import Rebuilding
    from pawl.control.errors import SettingsError

    try:
        run = Rebuilding(os.environ, {"database": database, "api": api}, not dry_run)
        for line in run.lines():
            typer.echo(line)
    except SettingsError as error:
        fail(error, 2)
    sys.exit(0 if run.sound else 1)


@app.command()
def step(
    repo: Annotated[str, typer.Option(help="OWNER/NAME")],
    loop: LoopName = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the actions as JSON.")] = False,
    proposal: Annotated[
        Path | None,
        typer.Option(help="Open what `pawl propose` wrote to this file, instead of asking a proposer here."),
    ] = None,
    api: Annotated[str | None, typer.Option(help="PAWL_API")] = None,
) -> None:
    """Run one round by hand: look at the loops of a repository, decide, act, and print the actions.

    Signs in as the App (PAWL_APP_ID, PAWL_PRIVATE_KEY_FILE) or with GITHUB_TOKEN.
    """
    import os

    from pawl.commands.step import Round, StepError, run_step

    try:
        sys.exit(run_step(os.environ, Round(repo, loop, dry_run, api), as_json, proposal))
    except StepError as error:
        fail(error)


@app.command()
def propose(
    repo: Annotated[str, typer.Option(help="OWNER/NAME")],
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("proposal.json"),
    loop: LoopName = None,
    api: Annotated[str | None, typer.Option(help="PAWL_API")] = None,
) -> None:
    """Ask for the edits that loops are ready for, and write them to a file; `pawl step --proposal` opens them.

    Needs a token that can read, and whatever keys the proposer wants. Writes nothing to GitHub.
    """
    import os

    from pawl.commands.propose import run_propose
    from pawl.commands.step import Round, StepError

    try:
        sys.exit(run_propose(os.environ, Round(repo, loop, api=api), out))
    except StepError as error:
        fail(error)


@app.command()
def measure(
    request: Annotated[str, typer.Option(help="File with the measuring request; - reads standard input.")],
    out: Annotated[
        Path, typer.Option(help="Folder for record.json; a record of the same request is gone on with.")
    ],
    repo: Annotated[Path, typer.Option(help="Clone that holds the commits, or can fetch them.")] = Path(),
    sandbox: Annotated[
        str | None, typer.Option(help="process or docker; by default what the request says.")
    ] = None,
) -> None:
    """Measure one request beside the GPU, and write its record."""
    from pawl.commands.measure import run_measure

    sys.exit(run_measure(request, out, repo, sandbox))


@app.command()
def verify(clone: Clone = Path(), loop: LoopName = None) -> None:
    """Recompute every verdict from the ledger alone; exit 1 at the first that disagrees."""
    from pawl.commands.history import HistoryError, disagreements, read_histories, runs_of
    from pawl.core.ledger import LedgerError

    try:
        for history in read_histories(clone, loop):
            found = disagreements(history)
            if found:
                fail(f"{history.loop}: {found[0]}")
            verdicts = len(history.verdicts())
            typer.echo(
                f"{history.loop}: {len(history.lines)} lines, {verdicts} verdicts and {runs_of(history)} runs agree"
            )
    except (HistoryError, LedgerError) as error:
        fail(error)


@app.command()
def ledger(
    clone: Clone = Path(),
    loop: LoopName = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every line, as one JSON array.")] = False,
    tsv: Annotated[bool, typer.Option("--tsv", help="autoresearch's results.tsv.")] = False,
) -> None:
    """Print a loop's history."""
    from pawl.commands.history import HistoryError, as_json_text, read_histories, table
    from pawl.core.ledger import LedgerError
    from pawl.messages import results_tsv

    try:
        histories = read_histories(clone, loop)
    except (HistoryError, LedgerError) as error:
        fail(error)
    if as_json:
        typer.echo(as_json_text(histories))
        return
    for history in histories:
        typer.echo(results_tsv(history.lines) if tsv else table(history), nl=False)


@app.command()
def explain(
    experiment: Annotated[int, typer.Argument(help="The experiment's number.")],
    clone: Annotated[Path, typer.Option("--repo", help="A clone of the repository.")] = Path(),
    loop: LoopName = None,
) -> None:
    """Tell how a verdict came about, run by run."""
    from pawl.commands.history import HistoryError, explained, read_histories
    from pawl.core.ledger import LedgerError

    try:
        typer.echo(explained(read_histories(clone, loop), experiment))
    except (HistoryError, LedgerError) as error:
        fail(error)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="Your repository.")] = Path(),
    loop: Annotated[str, typer.Option(help="Name of the loop.")] = "",
    edit: Annotated[str, typer.Option(help="The one editable file.")] = "",
    metric: Annotated[str, typer.Option(help="Name of the metric.")] = "",
    goal: Annotated[str, typer.Option(help="minimize or maximize")] = "",
    label: Annotated[list[str] | None, typer.Option(help="Runner label; give it several times.")] = None,
    mode: Annotated[
        str,
        typer.Option(help="app: an App runs the loop. action: the workflow's own jobs do, without a server."),
    ] = "app",
    uses: Annotated[
        str,
        typer.Option(help="For --mode action: where Pawl's Action is, like OWNER/pawl@COMMIT, 40 digits."),
    ] = "",
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Write over what is there; the rules only where something is said of a loop."
        ),
    ] = False,
) -> None:
    """Write a configuration, a workflow and a program skeleton."""
    from pawl.commands.scaffold import init as write
    from pawl.core.layout import LayoutError, Wishes

    try:
        wishes = Wishes(loop, edit, metric, goal, tuple(label or ("self-hosted",)))
        if mode not in ("app", "action"):
            raise LayoutError(f"there is no mode {mode!r}; there are app and action")
        if (mode == "action") != bool(uses):
            raise LayoutError("--mode action and --uses OWNER/pawl@COMMIT go together")
        for written in write(path, wishes, force, uses):
            typer.echo(f"wrote {written}")
        typer.echo("Next: fill in the program and commit, then `pawl check`, then `pawl try .`")
    except LayoutError as error:
        fail(error)


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="Your repository.")] = Path(),
    loop: LoopName = None,
    runs: Annotated[
        int, typer.Option(min=0, max=32, help="Baseline runs to measure here; 0 measures nothing.")
    ] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    repo: Annotated[
        str | None, typer.Option(help="OWNER/NAME: see whether a runner of it could take the jobs, too.")
    ] = None,
) -> None:
    """Say what is wrong with a set-up and how to mend it, and what a loop will cost."""
    from pawl.commands.check import run_check

    sys.exit(run_check(path, loop, runs, as_json, repo))


@app.command(hidden=True)
def action() -> None:
    """What the Action calls: its inputs are in the environment."""
    from pawl.commands.action import run_action

    sys.exit(run_action())


@app.command()
def schema() -> None:
    """Print the JSON Schema of .github/pawl.yml."""
    import json

    from pawl.core.config import config_schema

    typer.echo(json.dumps(config_schema(), indent=2))


@app.command()
def conformance(
    repo: Annotated[str, typer.Option(help="OWNER/NAME of a repository that may be written to.")],
    out: Annotated[Path, typer.Option(help="Where to save the transcript.")] = Path("conformance.json"),
    api: Annotated[str | None, typer.Option(help="PAWL_API")] = None,
) -> None:
    """Replay on a real repository what Pawl believes about GitHub, and save the transcript."""
    import os

    from pawl.commands.conformance import ConformanceError, run_conformance

    try:
        sys.exit(run_conformance(os.environ, repo, out, api))
    except ConformanceError as error:
        fail(error)


if __name__ == "__main__":
    main()
