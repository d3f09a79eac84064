"""What `pawl runner check` finds out about the machine that it runs on."""

from __future__ import annotations

import contextlib
import grp
import os
import shutil
import subprocess
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path

from pawl.github.client import Repository
from pawl.github.errors import GitHubError
from pawl.github.runners import is_private
from pawl.lab.device import crowded_gpus
from pawl.lab.output import one_line
from pawl.runner.enclosure import SHARED, WORKER, User, lacking
from pawl.runner.errors import Unfit
from pawl.runner.fitness import EngineFacts, GpuFacts

CDI = (Path("/etc/cdi"), Path("/var/run/cdi"))
SOCKET = Path("/var/run/docker.sock")


def gpu_facts() -> tuple[GpuFacts, ...]:
    """The GPUs, as the driver tells of them."""
    return tuple(GpuFacts(*told) for told in crowded_gpus())


def engine_facts(job: User | None) -> EngineFacts:
    """The Docker Engine, and whether the jobs' user may use it."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=20)
    except (DockerException, OSError) as error:
        return EngineFacts(one_line(str(error), 200))
    try:
        info = client.info()
    except (DockerException, OSError) as error:
        return EngineFacts(one_line(str(error), 200))
    finally:
        client.close()
    rootless = any("rootless" in option for option in info.get("SecurityOptions") or ())
    cdi = any(folder.is_dir() and any(folder.glob("*nvidia*")) for folder in CDI)
    return EngineFacts(
        "", rootless, "nvidia" in (info.get("Runtimes") or {}) or cdi, job is not None and _may_use(job)
    )


def _may_use(user: User) -> bool:
    try:
        socket = SOCKET.stat()
    except OSError:
        return False
    groups = {user.gid, *(entry.gr_gid for entry in grp.getgrall() if user.name in entry.gr_mem)}
    return socket.st_uid == user.uid or (bool(socket.st_mode & 0o020) and socket.st_gid in groups)


def skew(date: str, now: float) -> float | None:
    """The machine's clock less that of an answer's Date header, in seconds; None where there is no such header."""
    try:
        return now - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


def date_of(api: str) -> str:
    """The Date header of an API; empty where it does not answer."""
    import requests

    try:
        return requests.get(api, timeout=20).headers.get("Date", "")
    except requests.RequestException:
        return ""


def users(runner: str, job: str) -> tuple[str, User | None, User | None]:
    """What is wrong with the two users, and who they are."""
    found: list[User | None] = []
    wrong = []
    for name in (runner, job):
        try:
            found.append(User.named(name))
        except Unfit as error:
            found.append(None)
            wrong.append(str(error))
    if not wrong and runner == job:
        wrong.append(SHARED)
    return "; ".join(wrong), found[0], found[1]


def program(folder: Path) -> str:
    """What is wrong with the runner program; empty: nothing."""
    if why := lacking(folder):
        return why
    for path in (folder, folder / "bin", folder / "run.sh", folder / WORKER):
        status = path.stat()
        if status.st_uid != os.getuid() or status.st_mode & 0o022:
            return f"{path} could be changed by others: chown -R root:root {folder} && chmod -R go-w {folder}"
    return ""


def walls() -> str:
    """Why namespaces cannot be made; empty: they can."""
    for tool in ("unshare", "setpriv", "mount"):
        if shutil.which(tool) is None:
            return f"{tool} is missing: install util-linux and mount"
    tried = ["unshare", "--pid", "--fork", "--mount-proc", "--mount", "--ipc", "true"]
    done = subprocess.run(tried, capture_output=True, text=True, check=False)
    if done.returncode:
        return (
            f"namespaces cannot be made here ({one_line(done.stderr, 150)}); in a container, run it with "
            "--cap-add SYS_ADMIN and --security-opt apparmor=unconfined"
        )
    return ""


def readable(file: Path, accounts: tuple[User | None, ...]) -> str:
    """Whether one of the accounts can read the token: tried as that account, not read off the modes."""
    for account in accounts:
        if account is None or os.getuid() != 0:
            continue
        as_them = ["setpriv", "--reuid", str(account.uid), "--regid", str(account.gid), "--init-groups", "--"]
        tried = subprocess.run([*as_them, "test", "-r", str(file)], capture_output=True, check=False)
        if tried.returncode == 0:
            return f"{account.name} can read {file}: chmod 600 {file}"
    return ""


def private(client: Callable[[], Repository]) -> bool | None:
    """Whether the repository is private; None where that cannot be read."""
    with contextlib.suppress(GitHubError, Unfit):
        return is_private(client())
    return None


def free(folder: Path) -> int:
    """Free bytes where a folder is, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
