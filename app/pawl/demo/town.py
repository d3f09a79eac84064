"""A whole small world in one process: a GitHub, a repository on it, the App installed there, and one runner."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from ruamel.yaml import YAML

from pawl.commands.serve import AppServer
from pawl.control.settings import Settings
from pawl.core.chain import LEDGER_BRANCH
from pawl.core.config import CONFIG_PATH, WORKFLOW_PATH
from pawl.core.config_parts import Agent
from pawl.demo.runner import LocalRunner
from pawl.localhub import Hub, HubServer
from pawl.messages.scaffold import workflow
from pawl.meta.means import Means

OWNER = "you"
TIMER = 15.0
"""Seconds between two rounds over everything; on one machine a look costs milliseconds."""


LOCK = ".lock"
"""File in a town's folder that says whose it is, and that is locked while it is in use."""


class DemoError(Exception):
    """The run cannot be made; the text says why, and what to do."""


class Town:
    """Everything that a loop needs, in a folder that can be closed and opened again.

    Args:
        home: the folder; a new one, or one that was a town before.
        port: of the local GitHub; 0 for a free one.
        path: on which runs find their `python`; by default this process's own PATH.

    Raises:
        DemoError: the folder or the port cannot be used.
    """

    def __init__(self, home: Path, port: int = 0, path: str | None = None) -> None:
        self.home = home = home.absolute()
        _free(port)
        try:
            self._lock = _locked(home)
            self.hub = Hub.open(home / "github")
        except (OSError, sqlite3.Error) as error:
            raise DemoError(f"{home} cannot be used: {error}; name another folder with --home") from None
        self.server = HubServer(self.hub, port=port)
        self.runner = LocalRunner(self.hub, home / "runner", path or os.environ.get("PATH", os.defpath))
        self.app: AppServer | None = None
        self.token = ""

    @contextmanager
    def open(self) -> Iterator[Town]:
        """The local GitHub is up; afterwards everything that was started is stopped."""
        self.server.start()
        self.token = self.hub.create_user(OWNER)
        try:
            yield self
        finally:
            self.runner.stop()
            if self.app is not None:
                self.app.stop()
            self.server.stop()
            self.hub.close()
            self._lock.close()

    def has(self, name: str) -> bool:
        """Whether a repository is there already."""
        return any(repository["full_name"] == name for repository in self.hub.repositories())

    def publish(self, name: str, files: Path, message: str, branch: str = "main") -> None:
        """Create a repository and push a folder to it, with git, as its owner would."""
        self.hub.create_repository(name, private=True, default_branch=branch)
        with tempfile.TemporaryDirectory(prefix="pawl-publish-") as folder:
            work = Path(folder) / "work"
            shutil.copytree(files, work, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            _git(work, "init", "--quiet", f"--initial-branch={branch}")
            self._commit_and_push(work, name, message, branch)

    def publish_copy(self, name: str, clone: Path, branch: str) -> None:
        """Create a repository from a user's: its commits, and one more for what lies uncommitted in the working tree."""
        self.hub.create_repository(name, private=True, default_branch=branch)
        with tempfile.TemporaryDirectory(prefix="pawl-copy-") as folder:
            work = Path(folder) / "work"
            _git(None, "clone", "--quiet", "--no-hardlinks", str(clone), str(work))
            listed = _git(clone, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
            for path in filter(None, listed.split("\0")):
                source, target = clone / path, work / path
                if source.is_symlink() or source.is_file():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.unlink(missing_ok=True)
                    shutil.copy2(source, target, follow_symlinks=False)
                elif not source.exists():
                    target.unlink(missing_ok=True)
            if _git(work, "status", "--porcelain"):
                self._commit_and_push(work, name, "What lies uncommitted in the working tree", branch)
            else:
                _git(work, "push", "--quiet", self._address(name), f"HEAD:refs/heads/{branch}")

    def take_home(self, name: str, head: str, branch: str, result: str) -> bool:
        """Put what was merged on top of the user's own commit, as a branch; false if nothing was, or it does not fit."""
        with tempfile.TemporaryDirectory(prefix="pawl-home-") as folder:
            work = Path(folder) / "work"
            _git(None, "clone", "--quiet", "--branch", branch, self._address(name), str(work))
            merged = git(work, "log", "--reverse", "--format=%H", "--grep=^Pawl-Record: ", f"{head}..HEAD")
            if not merged:
                return False
            _git(work, "checkout", "--quiet", "--detach", head)
            try:
                _git(work, *_author(), "cherry-pick", "--allow-empty", *merged.split())
            except OSError:
                return False
            _git(work, "push", "--quiet", "--force", self._address(name), f"HEAD:refs/heads/{result}")
            return True

    def git_folder(self, name: str) -> Path:
        """The bare repository itself. Its objects are always there; its refs, as of the last `mirror`."""
        return Path(self.hub.git(self.hub.repository(name)).path)

    def mirror(self, name: str) -> Path:
        """The bare repository, with its refs as they are now: what plain git clones without a password."""
        repository = self.hub.repository(name)
        refs = self.hub.store.refs(repository["id"])
        self.hub.git(repository).mirror(refs, repository["default_branch"])
        return self.git_folder(name)

    def ledger_commit(self, name: str) -> str:
        """The tip of the ledger's branch; empty before the first line."""
        return self.hub.store.ref(self.hub.repository(name)["id"], f"refs/heads/{LEDGER_BRANCH}") or ""

    def at_rest(self) -> bool:
        """Whether the App has nothing to look at, and no job waits for the runner."""
        return self.app is not None and self.app.app.at_rest() and not self.hub.store.all("queue")

    def thinking(self) -> bool:
        """Whether an edit is being made, waits to be opened, or is to be asked for again after a while."""
        return self.app is not None and self.app.app.thinking()

    def notices(self, name: str, loop: str) -> tuple[str, ...]:
        """Why nothing happens, in sentences."""
        return self.app.app.notices(name).get(loop, ()) if self.app else ()

    def configure(
        self, name: str, loop: str, experiments: int, branch: str, agent: Mapping[str, Any] | None = None
    ) -> None:
        """See that the workflow is there, that the loop ends after so many experiments, and that this agent proposes.

        It is pushed only if it changes anything.
        """
        with tempfile.TemporaryDirectory(prefix="pawl-configure-") as folder:
            work = Path(folder) / "work"
            _git(None, "clone", "--quiet", "--branch", branch, self._address(name), str(work))
            config = work / CONFIG_PATH
            config.write_text(
                limited(config.read_text(encoding="utf-8"), loop, experiments, agent), encoding="utf-8"
            )
            target = work / WORKFLOW_PATH
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(workflow(), encoding="utf-8")
            if _git(work, "status", "--porcelain"):
                self._commit_and_push(work, name, "Configure the loop", branch)

    def start_app(self, name: str, means: Means | None = None) -> None:
        """Run the App against this GitHub, and install it on the repository, which it learns from a webhook."""
        registration = self.hub.app
        settings = Settings(
            app_id=registration.id,
            private_key=registration.private_key_pem,
            webhook_secret=registration.webhook_secret,
            api=self.server.api_url,
            database=f"sqlite:///{self.home / 'pawl.db'}",
            port=0,
            timer=TIMER,
            seconds_between_writes=0.0,
            means=means or Means(),
        )
        self.app = AppServer(settings)
        self.hub.set_webhook_url(f"{self.app.address}/webhooks")
        self.app.start()
        self.hub.installations.install(name)

    def _commit_and_push(self, work: Path, name: str, message: str, branch: str) -> None:
        _git(work, "add", "--all", "--force", ".")
        _git(work, *_author(), "commit", "--quiet", "--message", message)
        _git(work, "push", "--quiet", self._address(name), f"HEAD:refs/heads/{branch}")

    def _address(self, name: str) -> str:
        """Where git finds a repository, as its owner. The token opens nothing but this folder's own GitHub."""
        return self.server.url.replace("://", f"://{OWNER}:{self.token}@") + f"/{name}.git"


def _free(port: int) -> None:
    """See that nobody listens on a port yet, before anything is opened that would have to be closed again."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise DemoError(
            f"port {port} cannot be used: {error.strerror}; name another with --port, or 0 for a free one"
        ) from None


def _locked(home: Path) -> TextIO:
    """Take a folder for one town: what lies in it is neither shared, nor mixed with other files, nor committed."""
    fresh = not home.exists() or not any(home.iterdir())
    if not fresh and not (home / LOCK).exists() and not (home / "github").is_dir():
        raise DemoError(f"{home} holds other files; name an empty folder, or a new one, with --home")
    home.mkdir(parents=True, exist_ok=True)
    lock = (home / LOCK).open("a", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise DemoError(
            f"another pawl works in {home}; end that one, or name another folder with --home"
        ) from None
    if fresh:
        (home / ".gitignore").write_text("*\n", encoding="utf-8")
    return lock


def limited(text: str, loop: str, experiments: int, agent: Mapping[str, Any] | None = None) -> str:
    """A configuration of one loop, which stops by itself; comments and order are kept.

    Args:
        text: the configuration.
        loop: the loop's name.
        experiments: after which it stops.
        agent: its ``agent`` section; None leaves the one that is there.

    Raises:
        DemoError: there is no such loop.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    document = yaml.load(text)
    loops = document["loops"]
    if loop not in loops:
        raise DemoError(f"this folder is the copy of loop {', '.join(loops)}; name another with --home")
    rules = loops[loop]
    same_agent = agent is None or _agent(rules.get("agent")) == _agent(agent)
    if len(loops) == 1 and same_agent and (rules.get("limits") or {}).get("experiments") == experiments:
        return text
    for other in [name for name in loops if name != loop]:
        del loops[other]  # it would run without end beside the one that was asked for
    if not rules.get("limits"):
        rules["limits"] = {}
    rules["limits"]["experiments"] = experiments
    if agent is not None and not same_agent:
        rules["agent"] = dict(agent)
    written = io.StringIO()
    yaml.dump(document, written)
    return written.getvalue()


def _agent(section: Mapping[str, Any] | None) -> Agent:
    return Agent.model_validate(dict(section or {}))


def _author() -> list[str]:
    return ["-c", f"user.name={OWNER}", "-c", f"user.email={OWNER}@users.noreply.github.com"]


def git(work: Path, *arguments: str) -> str | None:
    """What a git command that only reads says, without the last line's end; none where it fails."""
    try:
        return _git(work, *arguments).rstrip("\n")
    except OSError:
        return None


def _git(work: Path | None, *arguments: str) -> str:
    where = ["-C", str(work)] if work else []
    quiet = ["-c", "core.hooksPath=/dev/null", "-c", "commit.gpgsign=false", "-c", "credential.helper="]
    done = subprocess.run(
        ["git", *where, *quiet, *arguments],
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",  # a file's name need not be UTF-8
        timeout=300,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise OSError(f"git {arguments[0]} failed: {said[-1]}")
    return done.stdout
