"""What all jobs of one measuring job share, and how a job of each kind is set up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pawl.core.config import Loop
from pawl.core.measurement import Arm, Request
from pawl.lab.errors import Refused
from pawl.lab.sandbox import HOME, WORKSPACE, Folder, Job, Limits, Mount, Sandbox
from pawl.lab.setup import Prepared
from pawl.lab.tree import Overlay, remove
from pawl.lab.workplace import Workplace

if TYPE_CHECKING:
    from pawl.lab.task_model import Reached

EVALUATOR_SECONDS = 60.0
"""An evaluator gets the loop's grace, and at least this."""


@dataclass(frozen=True)
class Bench:
    """Everything that stays the same from run to run."""

    request: Request
    overlay: Overlay
    sandbox: Sandbox
    work: Workplace
    data: tuple[Mount, ...]
    evaluator_data: tuple[Mount, ...]
    hidden: tuple[Path, ...]
    """What no candidate may see of the host."""
    setup: Prepared | None = None
    evaluator_setup: Prepared | None = None
    gpu: str = ""
    image: str = ""
    """Id of the image; empty in the process sandbox."""
    candidate: Bench | None = None
    """Where the candidate arm runs, if it has a tree of its own and not the base's with one file replaced."""

    def of(self, arm: Arm) -> Bench:
        """The bench for an arm's runs."""
        return self.candidate if arm is Arm.CANDIDATE and self.candidate is not None else self

    @property
    def rules(self) -> Loop:
        """The loop's rules."""
        return self.request.rules

    @contextmanager
    def folder(self, name: str, content: bytes, private: bool) -> Iterator[Folder]:
        """A fresh private folder with its own copy of the tree, gone afterwards. Its path tells no arm and no stage."""
        folder = Folder((self.work.private if private else self.work.runs) / name)
        try:
            self.overlay.lay(folder, content, private)
            yield folder
        finally:
            remove(folder.top)

    def limits(self, seconds: float) -> Limits:
        """The loop's limits, for a job of so many seconds."""
        return Limits(seconds, self.rules.run.memory, self.rules.run.cores)

    def variables(self, seed: int, split: str) -> dict[str, str | Mount]:
        """What every job of a run is told."""
        return {"PAWL_SEED": str(seed), "PAWL_BUDGET": f"{self.request.budget:g}", "PAWL_SPLIT": split}

    def run_job(self, folder: Folder, variables: Mapping[str, str | Mount]) -> Job:
        """The run itself: with the setup and the data, without anything private."""
        setup = self.setup
        env = dict(variables) | ({"PAWL_SETUP": setup.data} if setup else {})
        return Job(
            name="run",
            command=self.rules.command,
            folder=folder,
            cwd=self.rules.cwd,
            limits=self.limits(self.request.budget + self.request.grace),
            env=env,
            mounts=(*self.data, *((setup.data,) if setup else ())),
            packages=(setup.packages,) if setup else (),
            hidden=self.hidden,
            gpu=self.gpu,
        )

    def predict_job(self, folder: Folder, variables: Mapping[str, str | Mount], inputs: Mount) -> Job:
        """The candidate's second process: packages and questions, and no data to train on."""
        assert self.rules.predict is not None
        setup = self.setup
        return Job(
            name="predict",
            command=self.rules.predict.command,
            folder=folder,
            cwd=self.rules.cwd,
            limits=self.limits(self.rules.grace),
            env={**variables, "PAWL_INPUTS": inputs},
            mounts=(inputs,),
            packages=(setup.packages,) if setup else (),
            hidden=(
                *self.hidden,
                *(mount.host for mount in self.data),
                *((setup.data.host,) if setup else ()),
            ),
            gpu=self.gpu,
        )

    def task_job(
        self,
        folder: Folder,
        variables: Mapping[str, str | Mount],
        inputs: Mount,
        model: Reached | None,
    ) -> Job:
        """A run that is a block of tasks: it sees their instructions, and its model through one socket."""
        mounts: tuple[Mount, ...] = (inputs,)
        hidden = self.hidden
        env: dict[str, str | Mount] = {**variables, "PAWL_INPUTS": inputs}
        if model is not None:
            mounts, hidden = (inputs, model.socket), (*self.hidden, *model.hidden)
            env["PAWL_MODEL_SOCKET"] = model.socket
        job = self.run_job(folder, env)
        return replace(job, mounts=(*job.mounts, *mounts), hidden=hidden)

    def model_job(self, folder: Folder, seed: int, place: Mount, socket: Mount) -> Job:
        """The server of a task agent's model: like an evaluator, it is the base's own code and may see all of it.

        Args:
            folder: its private folder.
            seed: of the run that it serves.
            place: the folder that it may write its socket to.
            socket: the socket, in that folder.
        """
        model = self.rules.tasks.model if self.rules.tasks else None
        assert model is not None
        assert model.command is not None
        seconds = self.rules.budget + self.rules.grace + EVALUATOR_SECONDS
        variables: dict[str, str | Mount] = {"PAWL_SEED": str(seed), "PAWL_MODEL_SOCKET": socket}
        return self._base_job("model", model.command, seconds, folder, variables, (place,))

    def evaluate_job(
        self, folder: Folder, variables: Mapping[str, str | Mount], mounts: tuple[Mount, ...]
    ) -> Job:
        """The evaluator: the whole base, its own data and setup. Python packages of the loop's setup are there too."""
        assert self.rules.evaluate is not None
        seconds = max(self.rules.grace, EVALUATOR_SECONDS)
        return self._base_job("evaluate", self.rules.evaluate.command, seconds, folder, variables, mounts)

    def _base_job(
        self,
        name: str,
        command: str,
        seconds: float,
        folder: Folder,
        variables: Mapping[str, str | Mount],
        mounts: tuple[Mount, ...],
    ) -> Job:
        setups = [setup for setup in (self.evaluator_setup, self.setup) if setup is not None]
        env = dict(variables) | ({"PAWL_SETUP": setups[0].data} if setups else {})
        return Job(
            name=name,
            command=command,
            folder=folder,
            cwd=self.rules.cwd,
            limits=self.limits(seconds),
            env=env,
            mounts=(*mounts, *self.evaluator_data, *((setups[0].data,) if setups else ())),
            packages=tuple(setup.packages for setup in setups),
            gpu=self.gpu,
            apart=True,
        )


def data_mounts(data: Mapping[str, str], cwd: str, repo: Path, sandbox: Sandbox) -> tuple[Mount, ...]:
    """The mounts a configuration's ``data`` asks for.

    On the left ``~`` is the host user's home and ``./`` the checkout; on the right ``~`` is the job's home, and a relative
    path is relative to its cwd.

    Raises:
        Refused: a path is not there, or this sandbox cannot show it where it should be.
    """
    mounts = []
    for left, right in data.items():
        host = Path(left).expanduser()
        host = host if host.is_absolute() else repo / host
        if not host.exists():
            raise Refused(
                f"data names {left}, which is not on this machine ({host}); put it there, or correct the path."
            )
        mount = Mount(host.resolve(), _inside(right, cwd))
        if right == str(host):
            mount = Mount(host, right)
        objection = sandbox.objection(mount)
        if objection:
            raise Refused(f"data cannot be shown to runs: {objection}.")
        mounts.append(mount)
    return tuple(mounts)


def _inside(right: str, cwd: str) -> str:
    if right.startswith("/"):
        return right
    top, rest = (HOME, right[2:]) if right.startswith("~/") else (f"{WORKSPACE}/{cwd}".rstrip("/"), right)
    path = PurePosixPath(rest)
    if ".." in path.parts:
        raise Refused(
            f"data would be shown at {right}, which leaves the run's folders; write a path without '..'."
        )
    return str(PurePosixPath(top) / path)


def hidden_paths(overlay: Overlay, checkout: Path, others: Iterable[Path]) -> tuple[Path, ...]:
    """What is on the host, but for no candidate: the checkout's private files, and these others."""
    declared = (checkout / glob for glob in overlay.private if not glob.endswith("/**"))
    return tuple(dict.fromkeys([*(path.absolute() for path in declared), *others]))
