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
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from pawl.commands.logs import log_as_json
from pawl.core.config import CONFIG_PATH
from pawl.core.digest import sha256
from pawl.demo.agent import means_here
from pawl.demo.plan import Plan, Terms, config_at, examples, plan_of
from pawl.demo.results import Results
from pawl.demo.screen import picture, tell, tell_end
from pawl.demo.town import OWNER, DemoError, Town, git
from pawl.demo.watch import Watch
from pawl.github.names import experiment_branch
from pawl.lab import default_cache

REFRESH = 0.25
"""Seconds between two pictures."""
HUB_PORT = 4080
"""Where `pawl hub` is told to serve the pages of a run that has ended."""
EXAMPLES = ("packing", "nanogpt", "harness")


def run_demo(loop: str, home: Path, terms: Terms) -> int:
    """Run an example's loop; gives the exit code.

    Raises:
        DemoError: there is no such example, or it cannot run here.
    """
    if loop not in EXAMPLES:
        raise DemoError(f"no example named {loop!r}; there are {', '.join(EXAMPLES)}")
    source = examples() / loop
    if loop == "nanogpt" and find_spec("torch") is None:
        raise DemoError("nanogpt needs torch, which is not installed: `make demo-nanogpt` installs it")
    plan = plan_of(f"{OWNER}/{loop}", loop, config_at(source / CONFIG_PATH), terms)
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
    config = config_at(path / CONFIG_PATH)
    loop = loop or next(iter(config.loops))
    if loop not in config.loops:
        raise DemoError(f"{CONFIG_PATH} has no loop named {loop!r}; it has {', '.join(config.loops)}")
    head = git(path, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if head is None:
        raise DemoError(f"{path} has no commit yet; commit your files, and try again")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.name).strip("-.") or "repository"
    plan = plan_of(f"{OWNER}/{name}", loop, config, terms)
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

        here = ["git", "-C", str(path)]

        def taking(found: Results) -> dict[str, str]:
            words, result = {}, f"result/{loop}"
            merged = town.take_home(plan.name, since, branch, result)
            folder = str(town.mirror(plan.name))
            if merged:
                words["take it home"] = shlex.join([*here, "fetch", folder, f"{result}:{result}"])
            waiting = [
                row.number for row in found.experiments if (row.verdict, row.outcome) == ("keep", "open")
            ]
            for number in waiting:
                fetch = shlex.join([*here, "fetch", folder, experiment_branch(loop, number)])
                pick = shlex.join([*here, "cherry-pick", "FETCH_HEAD"])
                words[f"take keep {number}"] = f"{fetch} && {pick}"
            return words

        return _run(town, plan, taking)


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


def _run(town: Town, plan: Plan, taking: Callable[[Results], dict[str, str]] = lambda _: {}) -> int:
    """Bring the loop forward until its experiments are concluded, and show it meanwhile.

    Args:
        town: where it runs.
        plan: what to run.
        taking: the commands that take what came out home, by what they are for.
    """
    rules = plan.rules
    agent = rules.agent.model_dump(mode="json", exclude_defaults=True)
    town.configure(plan.name, plan.loop, plan.terms.experiments, rules.branch, agent)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    log_as_json(_app_log(town.home))
    town.runner.start()
    town.start_app(plan.name, means_here(os.environ, rules.agent))
    watch = Watch(town, plan)
    watch.read()
    finished = watch.complete()
    console = Console(emoji=False)  # the name of a model may hold ":x:"
    pages = f"{town.server.url}/{plan.name}"
    if not console.is_terminal:
        console.width = 140  # a log or a pipe is as wide as it needs to be
        console.print(Text(f"watch it at {pages} while it runs"), soft_wrap=True)
    try:
        _show(watch, console, pages)
    except KeyboardInterrupt:
        console.print("stopped; run the same command again to go on")
        tell(console, taking(watch.results(pages)))
        return 130
    found = watch.results(pages)
    stays = console.is_terminal and sys.stdin.isatty()
    tell_end(console, found)
    if plan.terms.json_file is not None:
        plan.terms.json_file.write_text(json.dumps(found.as_json(), indent=2) + "\n", encoding="utf-8")
    words = {
        "pull requests": f"{pages}/pulls" if stays else "",
        "pages": "" if stays else _pages_command(town, plan),
        "check it": _check_commands(town, plan) if found.experiments else "",
        **taking(found),  # before the wait: who leaves the pages up must see it, too
    }
    tell(console, words)
    for notice in watch.notices():
        console.print(Text(notice), soft_wrap=True)
    if finished:
        console.print(
            "nothing was left to do; --experiments with more goes on, --home with a new folder begins anew"
        )
    if stays:
        console.print("the pages stay up until you press Ctrl-C")
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
        console.print()  # what comes next must not follow the terminal's ^C
        tell(console, {"pages": _pages_command(town, plan)})
    return 0 if watch.complete() else 1


def _show(watch: Watch, console: Console, pages: str) -> None:
    """A picture of the run as long as it goes on; a line for each news where there is no terminal."""
    with Live(console=console, auto_refresh=False, transient=True) as live:
        said: set[str] = set()
        while not watch.over():
            progress, now = watch.progress(), datetime.now(UTC)
            if console.is_terminal:
                shown = picture(watch.results(pages), progress or watch.idle(), watch.notices(), now, pages)
                live.update(shown, refresh=True)
            else:
                news = list(watch.news(progress))
                for line in (line for line in news if line not in said):
                    console.print(Text(line), soft_wrap=True)
                said = set(news)
            time.sleep(REFRESH)


def _pages_command(town: Town, plan: Plan) -> str:
    """How to see the pages again: they end with this process."""
    serve = shlex.join([_pawl(), "hub", "--home", str(town.home / "github"), "--port", str(HUB_PORT)])
    return f"{serve}   serves them again at http://127.0.0.1:{HUB_PORT}/{plan.name}/pulls"


def _pawl() -> str:
    return "pawl" if shutil.which("pawl") else sys.argv[0]


def _check_commands(town: Town, plan: Plan) -> str:
    """What anybody can type to check the ledger; it needs no password, and works when the pages are gone as well."""
    clone = f"{plan.name.partition('/')[2]}-copy"
    commands = (
        ["git", "clone", str(town.mirror(plan.name)), clone],
        [_pawl(), "verify", clone],
        [_pawl(), "ledger", clone],
    )
    return " && ".join(map(shlex.join, commands))


def _app_log(home: Path) -> TextIO:
    """Where the App's own log goes while its screen is in use."""
    return (home / "pawl.log").open("a", encoding="utf-8")
