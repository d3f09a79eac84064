"""`pawl runner`: make this machine a runner, and say whether it is fit to be one."""

from __future__ import annotations

import json
import os
import random
import secrets
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from pawl.control.errors import SettingsError
from pawl.control.settings import api_address
from pawl.core.config_file import ConfigError
from pawl.github import runners
from pawl.github.app import Token
from pawl.github.client import Repository
from pawl.github.errors import GitHubError
from pawl.github.requester import API
from pawl.lab.device import gpus
from pawl.lab.kept import prune_images, prune_setups
from pawl.runner import JOB_USER, PROGRAM, RUNNER_USER, STATE, TOKEN_FILE, facts, images
from pawl.runner.credential import problem, read_token
from pawl.runner.enclosure import Grounds, User
from pawl.runner.errors import Unfit
from pawl.runner.fitness import Facts, judge
from pawl.runner.slots import slots_for
from pawl.runner.supervisor import Means, Supervisor


@dataclass(frozen=True)
class Wish:
    """What the command line says of a machine."""

    repository: str
    """``owner/name``."""
    gpus: str = ""
    """Indices, separated by commas; empty: all there are."""
    token_file: Path = TOKEN_FILE
    program: Path = PROGRAM
    state: Path = STATE
    runner_user: str = RUNNER_USER
    job_user: str = JOB_USER
    labels: tuple[str, ...] = ()
    accept_public: bool = False
    api: str = ""

    def chosen(self) -> list[int] | None:
        """The GPUs that are wanted; None: all of them.

        Raises:
            Unfit: it is no such list.
        """
        if not self.gpus:
            return None
        words = self.gpus.split(",")
        if not all(word.strip().isdigit() for word in words):
            raise Unfit(f"--gpus is a list like 0,1, not {self.gpus!r}")
        return [int(word) for word in words]


def up(wish: Wish, environment: Mapping[str, str]) -> int:
    """Serve until a signal; 0 where that was what ended it.

    Raises:
        Unfit: this cannot be done here.
    """
    client = client_for(wish, environment)
    try:
        private = runners.is_private(client)
    except GitHubError as error:
        raise Unfit(
            f"{error}. The token needs metadata (read), administration (write) and issues (write)"
        ) from None
    if not private and not wish.accept_public:
        raise Unfit(
            f"{wish.repository} is public, so anybody can open a pull request from a fork that runs on this machine. "
            "Make it private, or read docs/runner-hardening.md and say --accept-public"
        )
    if os.geteuid() != 0:
        raise Unfit("run it as root: runners and jobs are started as two other users")
    slots = slots_for(socket.gethostname(), gpus(), wish.chosen(), wish.labels)
    accounts = User.named(wish.runner_user), User.named(wish.job_user)
    grounds = Grounds(wish.program, wish.state, *accounts, hidden=(wish.token_file,))
    if why := facts.program(wish.program) or facts.walls():
        raise Unfit(why)
    grounds.prepare([slot.index for slot in slots])
    try:
        images.fetch(runners.pinned_images(client), _say)
    except (ConfigError, GitHubError) as error:
        _say(f"images were not fetched: {error}")
    means = Means(client, grounds, time.time, _Chance(), _say)
    why = Supervisor(socket.gethostname(), slots, means).run()
    if why:
        raise Unfit(why)
    return 0


def check(wish: Wish, environment: Mapping[str, str], as_json: bool) -> int:
    """Say whether this machine is fit; 1 where something would not work or not be safe."""
    wrong, runner, job = facts.users(wish.runner_user, wish.job_user)
    missing = ""
    try:
        slots_for(socket.gethostname(), gpus(), wish.chosen())
    except Unfit as error:
        missing = str(error)
    date = facts.date_of(_api(wish, environment))
    findings = judge(
        Facts(
            gpus=facts.gpu_facts(),
            missing_gpus=missing,
            engine=facts.engine_facts(job),
            skew=facts.skew(date, time.time()),
            free=facts.free(wish.state),
            root=os.geteuid() == 0,
            users=wrong,
            program=facts.program(wish.program),
            credential=problem(wish.token_file),
            walls=facts.walls(),
            readable=facts.readable(wish.token_file, (runner, job)),
            repository=wish.repository,
            private=facts.private(lambda: client_for(wish, environment)),
            accepted=wish.accept_public,
        )
    )
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(f"{finding.level:8} {finding.about}: {finding.message}")
    return 1 if any(finding.level == "problem" for finding in findings) else 0


def prune(state: Path, days: int) -> Iterator[str]:
    """Remove setups and images that no job has used for so many days; gives a line for each."""
    import docker
    from docker.errors import DockerException

    before = time.time() - days * 86_400
    for digest in prune_setups(state / "cache" / "pawl", before):
        yield f"removed the setup {digest[:12]}"
    try:
        client = docker.from_env(timeout=120)
    except (DockerException, OSError):
        return  # without an engine there are no images
    try:
        for name in prune_images(client, before):
            yield f"removed the image {name}"
    except (DockerException, OSError) as error:
        yield f"images were left: {error}"
    finally:
        client.close()


def client_for(wish: Wish, environment: Mapping[str, str]) -> Repository:
    """A client with the machine's own credential.

    Raises:
        Unfit: there is none.
    """
    if wish.repository.count("/") != 1:
        raise Unfit(f"{wish.repository!r} is no repository; write it as OWNER/NAME")
    return Token(read_token(wish.token_file), api=_api(wish, environment)).repository(wish.repository)


def _api(wish: Wish, environment: Mapping[str, str]) -> str:
    try:
        return api_address(wish.api or environment.get("PAWL_API") or API)
    except SettingsError as error:
        raise Unfit(error) from None


class _Chance:
    def random(self) -> float:
        return random.random()  # noqa: S311 (it spreads tries in time, and hides nothing)

    def name(self) -> str:
        return secrets.token_hex(4)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
