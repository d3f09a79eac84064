"""`pawl demo` and `pawl try`: a loop from beginning to end on this machine."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.live import Live

from pawl.commands.history import HistoryError, read_histories
from pawl.commands.logs import log_as_json
from pawl.core.config import CONFIG_PATH, Config, Loop
from pawl.core.config_file import ConfigError, parse_config
from pawl.core.config_parts import Agent
from pawl.core.digest import sha256
from pawl.core.ledger import AnyLine, OutcomeLine, VerdictLine
from pawl.core.measurement import Record, Request
from pawl.demo.agent import AgentChoice, means_here
from pawl.demo.results import Results, results
from pawl.demo.screen import Progress, picture, tell_end
from pawl.demo.town import OWNER, DemoError, Town, git
from pawl.lab import default_cache

REFRESH = 0.25
"""Seconds between two pictures."""
AT_REST = 8
"""Pictures in a row without anything to do before a run is over."""
EXAMPLES = ("packing", "nanogpt", "harness")


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


def run_demo(loop: str, home: Path, terms: Terms) -> int:
    """Run an example's loop; gives the exit code.

    Raises:
        DemoError: there is no such example, or it cannot run here.
    """
    if loop not in EXAMPLES:
        raise DemoError(f"no example named {loop!r}; there are {', '.join(EXAMPLES)}")
    source = _examples() / loop
    if loop == "nanogpt" and find_spec("torch") is None:
        raise DemoError("nanogpt needs torch, which is not installed: `make demo-nanogpt` installs it")
    plan = _plan(f"{OWNER}/{loop}", loop, _config(source / CONFIG_PATH), terms)
    # An example's packages, torch among them, are installed beside Pawl.
    own = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    with Town(home / loop, terms.port, own).open() as town:
        if not town.has(plan.name):
            town.publish(plan.name, source, f"The example {loop}, as it is before anybody has tuned it")
        return _run(town, plan)


def run_try(path: Path, loop: str | None, home: Path | None, terms: Terms) -> int:
    """Run a loop of the user's own repository on a copy; gives the exit code.

    The copy holds what is committed and, in one more commit, what lies in the working tree and git does not ignore.

    Raises:
        DemoError: the repository has no usable loop.
    """
    top = git(path, "rev-parse", "--show-toplevel") if path.is_dir() else None
    if top is None:
        raise DemoError(
            f"{path} is no git repository; run `git init` there, commit your files, and try again"
        )
    path = Path(top)
    config = _config(path / CONFIG_PATH)
    loop = loop or next(iter(config.loops))
    if loop not in config.loops:
        raise DemoError(f"{CONFIG_PATH} has no loop named {loop!r}; it has {', '.join(config.loops)}")
    head = git(path, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if head is None:
        raise DemoError(f"{path} has no commit yet; commit your files, and try again")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.name).strip("-.") or "repository"
    plan = _plan(f"{OWNER}/{name}", loop, config, terms)
    home = home or default_cache() / "try" / f"{name}-{loop}-{sha256(str(path))[:8]}"
    branch = config.loops[loop].branch
    with Town(home, terms.port).open() as town:
        began = town.home / "began"
        if not town.has(plan.name):
            town.publish_copy(plan.name, path, branch)
            began.write_text(f"{head} {_state(path)}", encoding="utf-8")
        since, state = began.read_text(encoding="utf-8").split() if began.is_file() else (head, "")
        if (since, state) != (head, _state(path)):
            print(  # noqa: T201 - for the person at the terminal
                f"{path} has changed since its copy was made, and the copy goes on as it was. "
                f"To start from what is there now: rm -r {shlex.quote(str(town.home))}"
            )

        def fetching() -> str:
            result = f"result/{loop}"
            if not town.take_home(plan.name, since, branch, result):
                return ""
            fetch = ["git", "-C", str(path), "fetch", str(town.git_folder(plan.name)), f"{result}:{result}"]
            return shlex.join(fetch)

        return _run(town, plan, fetching)


def _plan(name: str, loop: str, config: Config, terms: Terms) -> Plan:
    """The run, with the chosen agent among its rules.

    Raises:
        DemoError: the results cannot be written, or the options do not go together.
    """
    _writable(terms.json_file)
    rules = config.loops[loop]
    section = terms.agent.section(rules.agent.model_dump(mode="json", exclude_defaults=True))
    chosen = rules.model_copy(update={"agent": Agent.model_validate(section)})
    return Plan(name, loop, config.model_copy(update={"loops": {**config.loops, loop: chosen}}), terms)


def _state(path: Path) -> str:
    """What lies uncommitted in a working tree, as a digest of names, sizes and times. Nothing is written there."""
    said = git(path, "--no-optional-locks", "status", "--porcelain", "-z", "--no-renames", "-uall") or ""
    listed = []
    for entry in filter(None, said.split("\0")):
        with contextlib.suppress(OSError):
            found = (path / entry[3:]).lstat()
            entry = f"{entry} {found.st_size} {found.st_mtime_ns}"
        listed.append(entry)
    return sha256(os.fsencode("\0".join(listed)))


def _writable(json_file: Path | None) -> None:
    """See that the file can be written: to be told so after an hour would be late.

    Raises:
        DemoError: it cannot.
    """
    if json_file is not None and (json_file.is_dir() or not os.access(json_file.absolute().parent, os.W_OK)):
        raise DemoError(f"--json {json_file} cannot be written")


def _examples() -> Path:
    """The examples: beside the sources in a checkout, inside the package when it was installed."""
    here = Path(__file__).resolve()
    for folder in (here.parents[3] / "examples", here.parents[1] / "examples"):
        if (folder / "packing").is_dir():
            return folder
    raise DemoError("the examples were not installed with this package; run `make demo` in a checkout")


def _config(path: Path) -> Config:
    try:
        return parse_config(path.read_text(encoding="utf-8"), CONFIG_PATH)
    except FileNotFoundError:
        raise DemoError(f"there is no {path}; `pawl init` writes a first one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DemoError(f"{path} cannot be read: {error}") from None
    except ConfigError as error:
        raise DemoError(f"the configuration cannot be used:\n{error}") from None


def _run(town: Town, plan: Plan, fetching: Callable[[], str] = str) -> int:
    """Bring the loop forward until its experiments are concluded, and show it meanwhile.

    Args:
        town: where it runs.
        plan: what to run.
        fetching: the command that takes the result home, once there is one; empty where there is none.
    """
    rules = plan.rules
    agent = rules.agent.model_dump(mode="json", exclude_defaults=True)
    town.configure(plan.name, plan.loop, plan.terms.experiments, rules.branch, agent)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    log_as_json(plan_log(town.home))
    town.runner.start()
    town.start_app(plan.name, means_here(os.environ, rules.agent))
    watch = Watch(town, plan)
    watch.read()
    finished = watch.complete()
    console = Console()
    if not console.is_terminal:
        console.width = 140  # a log or a pipe is as wide as it needs to be
    pages = f"{town.server.url}/{plan.name}"
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            said = ""
            while not watch.over():
                progress = watch.progress()
                now = datetime.now(UTC)
                if console.is_terminal:
                    live.update(
                        picture(watch.results(pages), progress, watch.notices(), now, pages), refresh=True
                    )
                elif (line := watch.news(progress, now)) != said:
                    said = line
                    console.print(line, markup=False, highlight=False, soft_wrap=True)
                time.sleep(REFRESH)
    except KeyboardInterrupt:
        console.print("stopped; run the same command again to go on")
        _tell_fetch(console, fetching())
        return 130
    found = watch.results(pages)
    tell_end(console, found, pages, _check_commands(town, plan) if found.experiments else "")
    if plan.terms.json_file is not None:
        plan.terms.json_file.write_text(json.dumps(found.as_json(), indent=2) + "\n", encoding="utf-8")
    for notice in watch.notices():
        console.print(notice, markup=False, highlight=False, soft_wrap=True)
    if finished:
        console.print(
            "nothing was left to do; --experiments with more goes on, --home with a new folder begins anew"
        )
    _tell_fetch(console, fetching())  # before the wait: who leaves the pages up must see it, too
    if console.is_terminal and sys.stdin.isatty():
        console.print("the pages stay up until you press Ctrl-C")
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
        console.print()  # what comes next must not follow the terminal's ^C
    return 0 if watch.complete() else 1


def _tell_fetch(console: Console, command: str) -> None:
    if command:
        console.print(f"take it home   {command}", markup=False, highlight=False, soft_wrap=True)


def _check_commands(town: Town, plan: Plan) -> str:
    """What anybody can type to check the ledger; it needs no password, and works when the pages are gone as well."""
    clone = f"{plan.name.partition('/')[2]}-copy"
    pawl = "pawl" if shutil.which("pawl") else sys.argv[0]
    commands = (
        ["git", "clone", str(town.mirror(plan.name)), clone],
        [pawl, "verify", clone],
        [pawl, "ledger", clone],
    )
    return " && ".join(map(shlex.join, commands))


def plan_log(home: Path) -> TextIO:
    """Where the App's own log goes while its screen is in use."""
    return (home / "pawl.log").open("a", encoding="utf-8")


class Watch:
    """Reads how far a run has come: from the ledger as anyone could, and from the record that is being written."""

    def __init__(self, town: Town, plan: Plan) -> None:
        self._town, self._plan = town, plan
        self._folder = town.git_folder(plan.name)
        self._commit = ""
        self._lines: tuple[AnyLine, ...] = ()
        self._requests: dict[int, int] = {}
        self._counted = 0
        self._rest = 0

    def over(self) -> bool:
        """Whether there has been nothing to do for a while: all experiments concluded, or no way forward."""
        self.read()
        town = self._town
        idle = town.runner.running is None and town.at_rest() and town.hub.wait_idle(0)
        done = (
            len({line.experiment for line in self._lines if isinstance(line, VerdictLine)})
            >= self._plan.terms.experiments
        )
        self._rest = self._rest + 1 if idle and (done or self.notices()) else 0
        return self._rest >= AT_REST

    def _ended(self) -> set[int]:
        """Experiments that are over: with a verdict, or superseded before one."""
        return {line.experiment for line in self._lines if isinstance(line, (VerdictLine, OutcomeLine))}

    def complete(self) -> bool:
        """Whether as many experiments are over as were asked for."""
        return len(self._ended()) >= self._plan.terms.experiments

    def read(self) -> None:
        """Look at the ledger."""
        commit = self._town.ledger_commit(self._plan.name)
        if commit == self._commit:
            return
        try:
            found = read_histories(self._folder, self._plan.loop, commit)[0].lines
        except HistoryError:
            return  # no verdict and no calibration yet
        self._commit = commit
        for line in found[len(self._lines) :]:
            if isinstance(line, VerdictLine):
                total = self._town.hub.api_requests(self._plan.name)
                number = line.experiment
                self._requests[number] = self._requests.get(number, 0) + total - self._counted
                self._counted = total
            else:
                self._counted = self._counted or self._town.hub.api_requests(self._plan.name)
        self._lines = found

    def results(self, pages: str) -> Results:
        """What the run has come to so far."""
        return results(self._lines, self._plan.rules.metric, pages, self._requests)

    def progress(self) -> Progress | None:
        """The job that runs now."""
        running = self._town.runner.running
        if running is None:
            return None
        try:
            request = Request.model_validate_json(running.request)
            text = (running.out / "record.json").read_text(encoding="utf-8")
            record: Record | None = Record.model_validate_json(text)
        except (OSError, ValueError):
            return Progress(Request.model_validate_json(running.request), None)
        return Progress(request, record)

    def notices(self) -> list[str]:
        """Why nothing happens, as the App's last look saw it."""
        return list(self._town.notices(self._plan.name, self._plan.loop))

    def news(self, progress: Progress | None, now: datetime) -> str:
        """One line for a log: what runs, or what was concluded last."""
        found = self.results("").experiments
        last = f"{len(self._ended())} of {self._plan.terms.experiments} concluded"
        if found:
            last += f", last: experiment {found[-1].number} {found[-1].verdict}"
        return f"{last}; {progress.brief() if progress else 'no job'}"
