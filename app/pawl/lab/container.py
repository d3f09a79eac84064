"""The docker sandbox: every job in a container of its own, without network, powers or a writable system.

Containers see what is mounted and nothing else of this machine. They are removed in every case; those of a measuring process
that was killed are removed by the next one.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pawl.lab import keeper
from pawl.lab.errors import Refused
from pawl.lab.output import one_line
from pawl.lab.process import THREADS
from pawl.lab.sandbox import HOME, WORKSPACE, Ended, Job, Mount, Stop
from pawl.lab.watching import Watch

if TYPE_CHECKING:
    from docker import DockerClient

NOBODY = 65534
LABEL = "pawl.lab"


class ContainerSandbox:
    """Runs jobs as containers of the local Docker Engine.

    Args:
        stop: ends the running job when it is set.
        cores: the cores containers are bound to; all if empty.
        image: id of the image. It may be set later, before the first job.

    Raises:
        Refused: no engine answers.
    """

    kind: Literal["docker"] = "docker"
    caveats: tuple[str, ...] = ()

    def __init__(self, stop: Stop, cores: tuple[int, ...] = (), image: str = "") -> None:
        import docker
        from docker.errors import DockerException

        self._stop, self._cores, self.image = stop, cores, image
        try:
            self.client: DockerClient = docker.from_env(timeout=120)
            rootless = any("rootless" in option for option in self.client.info().get("SecurityOptions") or ())
            _remove_orphans(self.client)
        except (DockerException, OSError) as error:
            raise Refused(
                f"The loop runs in a container, but no Docker Engine answers here: {one_line(str(error), 200)}. "
                "Start Docker on the runner, and let its user reach it."
            ) from None
        # A rootless engine maps its root to this user, and nobody to somebody who may not write here.
        own = f"{os.getuid()}:{os.getgid()}" if os.getuid() else f"{NOBODY}:{NOBODY}"
        self._user = "0:0" if rootless else own

    def objection(self, mount: Mount) -> str:
        """A container can show anything anywhere."""
        return ""

    def beside(self, stop: Stop) -> ContainerSandbox:
        """Another one on the same cores, of the same image."""
        return ContainerSandbox(stop, self._cores, self.image)

    def close(self) -> None:
        """Give the connections to the engine back."""
        self.client.close()

    def run(self, job: Job) -> Ended:
        """Run a job to its end.

        Raises:
            RuntimeError: the engine failed.
            OSError: the folder could not be handed to the job.
        """
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        self._hand_over(job)
        try:
            container = self.client.containers.create(**self._asked(job))
            try:
                return Watch(self.client, container, job, self._stop).run()
            finally:
                container.remove(force=True, v=True)
        except (DockerException, RequestException) as error:
            raise RuntimeError(f"the Docker Engine failed: {one_line(str(error), 500)}") from None

    def _hand_over(self, job: Job) -> None:
        """The job's own user owns what it may write to."""
        if self._user != f"{NOBODY}:{NOBODY}":
            return
        folder = job.folder
        for top in (folder.tree, folder.home, folder.temporary, *(m.host for m in job.mounts if m.writable)):
            for path in (top, *top.rglob("*")):
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)

    def _asked(self, job: Job) -> dict[str, Any]:
        """The container, as the engine is asked for it."""
        from docker.types import DeviceRequest, LogConfig, Ulimit

        limits, gpu = job.limits, [job.gpu] if job.gpu else []
        cores = self._cores if limits.cores else ()
        return {
            "image": self.image,
            "entrypoint": ["/bin/sh", "-c", job.command],
            "command": [],
            "name": f"pawl-{job.name}-{os.getpid()}-{time.monotonic_ns()}",
            "labels": {LABEL: _identity(os.getpid())},
            "user": self._user,
            "working_dir": f"{WORKSPACE}/{job.cwd}".rstrip("/"),
            "environment": self._environment(job),
            "mounts": list(_mounts(job)),
            "tmpfs": {} if job.trusted else {"/tmp": f"mode=1777,exec,size={limits.memory // 2}"},  # noqa: S108
            "shm_size": limits.memory // 2,
            "network_mode": "bridge" if job.network else "none",
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "mem_limit": limits.memory,
            "memswap_limit": limits.memory,
            "pids_limit": keeper.PROCESSES,
            "nano_cpus": limits.cores * 10**9 or None,
            "cpuset_cpus": ",".join(map(str, cores)) or None,
            "ulimits": [
                Ulimit(name="core", soft=0, hard=0),
                Ulimit(name="fsize", soft=limits.file_bytes, hard=limits.file_bytes),
            ],
            "device_requests": [DeviceRequest(device_ids=gpu, capabilities=[["gpu"]])] if gpu else None,
            "log_config": LogConfig(type=LogConfig.types.NONE),
            "init": True,
            "stdin_open": False,
        }

    def _environment(self, job: Job) -> dict[str, str]:
        env = {
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "HOME": HOME,
            "TMPDIR": "/tmp",  # noqa: S108 - the container's own
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if not job.gpu:
            env["CUDA_VISIBLE_DEVICES"] = env["NVIDIA_VISIBLE_DEVICES"] = ""
        if job.limits.cores:
            env |= dict.fromkeys(THREADS, str(job.limits.cores))
        if job.packages:
            env["PYTHONPATH"] = ":".join(mount.inside for mount in job.packages)
            env["PATH"] = ":".join([*(f"{mount.inside}/bin" for mount in job.packages), self._path()])
        if job.network:
            env |= {name: value for name, value in os.environ.items() if name.upper().endswith("_PROXY")}
        given = {name: value if isinstance(value, str) else value.inside for name, value in job.env.items()}
        return env | given

    def _path(self) -> str:
        variables = self.client.images.get(self.image).attrs["Config"].get("Env") or []
        found = [line.removeprefix("PATH=") for line in variables if line.startswith("PATH=")]
        return found[0] if found else os.defpath


def _mounts(job: Job) -> Iterator[Any]:
    from docker.types import Mount as Bind

    folder = job.folder
    yield Bind(WORKSPACE, str(folder.tree), type="bind")
    yield Bind(HOME, str(folder.home), type="bind")
    if job.trusted:  # a setup may unpack more than memory holds
        yield Bind("/tmp", str(folder.temporary), type="bind")  # noqa: S108
    for mount in dict.fromkeys((*job.mounts, *job.packages)):
        yield Bind(mount.inside, str(mount.host), type="bind", read_only=not mount.writable)


def _identity(pid: int) -> str:
    """Names a living process of this machine: a number alone is given again."""
    born = ""
    with contextlib.suppress(OSError, IndexError):
        born = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    return f"{platform.node()}/{pid}/{born}"


def _remove_orphans(client: DockerClient) -> None:
    """Containers whose measuring process, on this machine, is gone."""
    from docker.errors import DockerException

    for container in client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True):
        node, pid, _ = container.labels[LABEL].rsplit("/", 2)
        if node == platform.node() and container.labels[LABEL] != _identity(int(pid)):
            with contextlib.suppress(DockerException):
                container.remove(force=True, v=True)
