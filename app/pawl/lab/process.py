"""The process sandbox: jobs as processes of this machine, each under its own `keeper`.

With Linux namespaces (as root, or where ordinary users may make them) a job sees the host read-only, hidden paths covered,
no network, and its own processes alone. Without them it is held by limits and killed to the last process, but it can read
what the user can read: `caveats` says so.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

from pawl.lab import keeper
from pawl.lab.keeping import Keeping
from pawl.lab.sandbox import HOME, WORKSPACE, Ended, Job, Mount, Stop

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_INSTALLING = (
    "PIP_",
    "UV_",
    "SSL_CERT_",
    "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
)


class ProcessSandbox:
    """Runs jobs as processes of this machine.

    Args:
        stop: ends the running job when it is set.
        cores: the cores that jobs are bound to; those this process may use if empty.
    """

    kind: Literal["process"] = "process"

    def __init__(self, stop: Stop, cores: tuple[int, ...] = (), isolated: bool | None = None) -> None:
        self._stop = stop
        self._cores = cores
        self.isolated = can_isolate() if isolated is None else isolated
        with contextlib.suppress(OSError):
            # Another process of the same user could else read this one's environment in /proc.
            keeper.prctl(keeper.PR_SET_DUMPABLE, 0)
            # Orphans of a keeper that was killed come here, and not to init.
            keeper.prctl(keeper.PR_SET_CHILD_SUBREAPER, 1)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What is not enforced on this machine."""
        if self.isolated:
            return ()
        return (
            "This machine does not let Pawl make namespaces: a run can reach the network, write to data mounts, and read "
            "what this user can read. Use the docker sandbox, or run as a user who may make namespaces.",
        )

    def beside(self, stop: Stop) -> ProcessSandbox:
        """Another one on the same cores."""
        return ProcessSandbox(stop, self._cores, self.isolated)

    def close(self) -> None:
        """Nothing to give back."""

    def objection(self, mount: Mount) -> str:
        """Only the tree and the home can hold links to other places."""
        if mount.inside == str(mount.host) or _below(mount.inside, WORKSPACE) or _below(mount.inside, HOME):
            return ""
        return (
            f"the process sandbox cannot show {mount.host} at {mount.inside}: use the same path on both sides, "
            "a path below ~ or relative to cwd, or the docker sandbox (run.image)"
        )

    def run(self, job: Job) -> Ended:
        """Run a job to its end.

        Raises:
            RuntimeError: the keeper could not start it.
            OSError: the folder or the processes could not be made.
        """
        for mount in job.mounts:
            _link(mount, job)
        keeping = Keeping(job, self._stop, self._spec(job), environment(job))
        return keeping.run()

    def _spec(self, job: Job) -> dict[str, Any]:
        folder = job.folder
        writable = [folder.tree, folder.home, folder.temporary]
        writable += [mount.host for mount in job.mounts if mount.writable]
        return {
            "command": job.command,
            "cwd": str(folder.tree / job.cwd),
            "parent": os.getpid(),
            "isolated": self.isolated,
            "network": job.network,
            "writable": [str(path) for path in writable],
            "hidden": [str(path) for path in (*job.hidden, *_ENGINES)],
            "memory": job.limits.memory,
            "cores": list(self._cores) if job.limits.cores else [],
            "file_bytes": job.limits.file_bytes,
            "trusted": job.trusted,
        }


_ENGINES = (Path("/run/docker.sock"), Path("/run/containerd"), Path("/run/podman"))
"""Sockets behind which root of this machine is for the asking."""


def environment(job: Job) -> dict[str, str]:
    """A job's whole environment in the process sandbox: what it was given, and little of the host's."""
    binaries = [str(mount.host / "bin") for mount in job.packages]
    # The interpreter Pawl runs in comes last, for machines where no other python is on the PATH.
    path = os.pathsep.join([*binaries, os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    env = {
        "PATH": path,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "HOME": str(job.folder.home),
        "TMPDIR": str(job.folder.temporary),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CUDA_VISIBLE_DEVICES": job.gpu,
    }
    if job.limits.cores:
        env |= dict.fromkeys(THREADS, str(job.limits.cores))
    if job.packages:
        env["PYTHONPATH"] = os.pathsep.join(str(mount.host) for mount in job.packages)
    if job.network:
        env |= installing()
    return env | {name: seen(value, job) for name, value in job.env.items()}


def installing() -> dict[str, str]:
    """Variables of the host that say how packages are fetched here; for setups alone."""
    found = {name: value for name, value in os.environ.items() if name.upper().startswith(_INSTALLING)}
    user = Path("~/.config/pip/pip.conf").expanduser()
    if user.is_file():
        found.setdefault("PIP_CONFIG_FILE", str(user))
    return found


def seen(value: str | Mount, job: Job) -> str:
    """A variable's value as a job of the process sandbox sees it."""
    return value if isinstance(value, str) else str(_place(value, job))


def _below(path: str, top: str) -> bool:
    return path.startswith(top + "/")


def _place(mount: Mount, job: Job) -> Path:
    for top, folder in ((WORKSPACE, job.folder.tree), (HOME, job.folder.home)):
        if _below(mount.inside, top):
            return folder / mount.inside.removeprefix(top + "/")
    return mount.host


def _link(mount: Mount, job: Job) -> None:
    place = _place(mount, job)
    if place == mount.host:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)  # as a container's mount would cover it
    place.unlink(missing_ok=True)
    place.symlink_to(mount.host)


@functools.cache
def can_isolate() -> bool:
    """Whether this user may make namespaces here. Tried once, with a job that does nothing."""
    if not keeper.LINUX:
        return False
    import tempfile

    with tempfile.TemporaryDirectory(prefix="pawl-probe-") as folder:
        spec = {
            "command": ":", "cwd": "/", "parent": os.getpid(), "isolated": True, "network": False,
            "writable": [folder], "hidden": [], "memory": 2**20, "cores": [], "file_bytes": 2**20, "trusted": False,
        }  # fmt: skip
        reader, writer = os.pipe()
        try:
            subprocess.run(
                [sys.executable, "-I", "-S", keeper.__file__, str(writer)],
                input=json.dumps(spec).encode(), pass_fds=[writer], capture_output=True, timeout=20, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False
        finally:
            os.close(writer)
            with os.fdopen(reader, "rb") as status:
                said = status.read()
        return b'"at": "ended", "code": 0' in said
