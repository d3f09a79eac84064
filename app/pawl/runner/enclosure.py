"""The wall between the supervisor, GitHub's runner program and jobs: three users, and namespaces around the last two.

GitHub's program (`run.sh`) runs as one user and starts a process for its job (`bin/Runner.Worker`). In a runner's own copy
of the program that process is put under another user, so that a job can read neither the runner's key nor its memory. The
copy is made of hard links to files that belong to the supervisor: it costs nothing, and nobody inside can change them.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pawl.runner.errors import Unfit

JIT_VARIABLE = "ACTIONS_RUNNER_INPUT_JITCONFIG"
"""Read by GitHub's program like its option `--jitconfig`; in a list of arguments every user could read it."""
KEY = ".credentials_rsaparams"
"""Where GitHub's program writes the runner's key."""
TOOK_A_JOB = ".pawl-job"
LOG = "pawl-runner.log"
WORKER = Path("bin/Runner.Worker")
_CAPABILITIES = "-all,+setuid,+setgid,+kill"
"""What the program keeps, to start a process of the job's user and to end it."""

_COVER = """\
count=$1; shift
while [ "$count" -gt 0 ]; do
    if [ -d "$1" ]; then mount -t tmpfs -o ro,nosuid,nodev,noexec,mode=000,size=4k none "$1"
    elif [ -e "$1" ]; then mount --bind /dev/null "$1"; fi
    shift; count=$((count - 1))
done
# Stays the namespace's first process, as one that keeps its user: it dies with its parent, and everything in here with it.
"$@"
exit $?
"""


@dataclass(frozen=True)
class User:
    """An account of this machine."""

    name: str
    uid: int
    gid: int

    @classmethod
    def named(cls, name: str) -> User:
        """The account of that name.

        Raises:
            Unfit: there is none, or it is root's.
        """
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            raise Unfit(
                f"there is no user {name}; make one: useradd --system --no-create-home {name}"
            ) from None
        if entry.pw_uid == 0:
            raise Unfit(f"{name} is root: runner and jobs need users without rights")
        return cls(name, entry.pw_uid, entry.pw_gid)


SHARED = "runner and jobs need two users: a job could else read the runner's key"


def lacking(program: Path) -> str:
    """Why a folder is no runner program, and what to do; empty: it is one."""
    for part in (Path("run.sh"), WORKER):
        if not (program / part).is_file():
            return f"{program} holds no runner program: {part} is missing. Unpack a release of actions/runner there"
    return ""


@dataclass(frozen=True)
class Grounds:
    """What all runners of a machine share."""

    program: Path
    """GitHub's runner program, unpacked; must belong to the supervisor."""
    state: Path
    """Where runners' folders and the jobs' cache live."""
    runner: User
    job: User
    hidden: tuple[Path, ...] = ()
    """Files and folders that neither may see, whatever their modes say."""

    @property
    def cache(self) -> Path:
        """Setups of loops, kept from job to job, and the locks on cores and GPUs."""
        return self.state / "cache"

    def slot(self, index: int) -> Path:
        """A slot's folder."""
        return self.state / "slots" / str(index)

    def prepare(self, slots: Sequence[int]) -> None:
        """Make the folders, and clear away what runners of before have left.

        Raises:
            Unfit: this cannot be done, or the program is none.
        """
        if self.runner.uid == self.job.uid:
            raise Unfit(SHARED)
        if why := lacking(self.program):
            raise Unfit(why)
        try:
            for folder in (self.state, self.state / "slots"):
                folder.mkdir(mode=0o711, parents=True, exist_ok=True)
                folder.chmod(0o711)
            for slot in slots:
                shutil.rmtree(self.slot(slot), ignore_errors=True)
                self.slot(slot).mkdir(mode=0o711)
            _own(self.cache, self.job.uid, self.job.gid, 0o700)
        except OSError as error:
            raise Unfit(
                f"{self.state} cannot be used: {error.strerror}; run as root, or name another with --state"
            ) from None


@dataclass(frozen=True)
class Enclosure:
    """The folder and the walls of one runner."""

    grounds: Grounds
    slot: int
    others: tuple[int, ...]
    """Other slots of the machine, whose folders are not to be seen."""
    name: str
    gpu: str = ""

    @property
    def folder(self) -> Path:
        """The runner's own folder, made for it and removed after it."""
        return self.grounds.slot(self.slot) / self.name

    @property
    def log(self) -> Path:
        """What the program prints; beside its folder, where nobody inside can write anything else."""
        return self.grounds.slot(self.slot) / LOG

    @property
    def worked(self) -> bool:
        """Whether it took a job."""
        return (self.folder / TOOK_A_JOB).exists()

    def lay(self) -> None:
        """Make the folder: the program, room for the job, and nothing of any job before.

        Raises:
            OSError: it cannot be made.
        """
        runner, job, program = self.grounds.runner, self.grounds.job, self.grounds.program
        shutil.copytree(program, self.folder, symlinks=True, copy_function=_link)
        worker, real = self.folder / WORKER, self.folder / f"{WORKER}.program"
        worker.rename(real)
        worker.write_text(_as_job(self.folder, real, job), encoding="utf-8")
        worker.chmod(0o755)
        _own(self.folder, runner.uid, job.gid, 0o750)
        for name in ("_work", "_diag"):
            _own(self.folder / name, job.uid, runner.gid, 0o770)
        for name in ("home", "tmp"):
            _own(self.folder / name, job.uid, job.gid, 0o700)
        # The program writes its key into the file that it finds, whose mode it keeps.
        handle = os.open(self.folder / KEY, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        os.fchown(handle, runner.uid, runner.gid)
        os.close(handle)

    def clear(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self, jit: str) -> dict[str, str]:
        """The program's whole environment: nothing of the supervisor's."""
        own = str(Path(sys.executable).parent)
        return {
            "PATH": f"{own}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
            "XDG_CACHE_HOME": str(self.grounds.cache),
            "CUDA_VISIBLE_DEVICES": self.gpu,
            "PAWL_PYTHON": sys.executable,
            JIT_VARIABLE: jit,
        }

    def command(self) -> list[str]:
        """The command that starts the program inside its walls; it ends with whoever started it."""
        grounds = self.grounds
        hidden = [*grounds.hidden, *(grounds.slot(other) for other in self.others)]
        return [
            *("setpriv", "--pdeathsig", "KILL", "--"),
            *("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--mount", "--ipc"),
            *("--propagation", "private", "--"),
            *("sh", "-euc", _COVER, "pawl-runner", str(len(hidden)), *map(str, hidden)),
            *("setpriv", "--reuid", str(grounds.runner.uid), "--regid", str(grounds.runner.gid), "--init-groups"),
            *("--no-new-privs", "--inh-caps", _CAPABILITIES, "--ambient-caps", _CAPABILITIES),
            *("--bounding-set", _CAPABILITIES, "--", str(self.folder / "run.sh")),
        ]  # fmt: skip


def _as_job(folder: Path, program: Path, job: User) -> str:
    """What stands in the place of the program that runs a job."""
    return (
        "#!/bin/sh\n"
        "# Jobs run as another user than the runner, which keeps its key to itself.\n"
        f": > {shlex.quote(str(folder / TOOK_A_JOB))}\n"
        f"unset {JIT_VARIABLE}\n"
        f"export HOME={shlex.quote(str(folder / 'home'))} USER={job.name} LOGNAME={job.name}\n"
        f"exec setpriv --reuid {job.uid} --regid {job.gid} --init-groups --no-new-privs \\\n"
        f'    --inh-caps=-all --ambient-caps=-all -- {shlex.quote(str(program))} "$@"\n'
    )


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system
        shutil.copy2(source, target, follow_symlinks=False)


def _own(folder: Path, uid: int, gid: int, mode: int) -> None:
    folder.mkdir(exist_ok=True)
    os.chown(folder, uid, gid)
    folder.chmod(mode)
