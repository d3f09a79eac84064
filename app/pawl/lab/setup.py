"""`setup`: base code that fetches and builds what runs need, once for each digest of what it depends on."""

from __future__ import annotations

import json
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pawl.core.config import Loop
from pawl.core.digest import TreeEntry, canonical_json, inputs_digest, sha256
from pawl.lab.errors import Refused, Stopped
from pawl.lab.locks import locked
from pawl.lab.output import last_complaint, tail
from pawl.lab.sandbox import Folder, Job, Limits, Mount, Sandbox, Stop
from pawl.lab.tree import Overlay, remove

SECONDS = 3600.0
"""Wall time a setup may take."""
MEMORY = 8 * 2**30
"""Bytes a setup may use where runs may use less."""
LOG_TAIL = 1500

Kind = Literal["setup", "evaluate"]


@dataclass(frozen=True)
class Prepared:
    """What a setup left: its data (PAWL_SETUP), and its Python packages, which can be shown without the data."""

    digest: str
    data: Mount
    packages: Mount


@dataclass(frozen=True)
class Setups:
    """Makes setups, or finds them made.

    Args:
        cache: shared by all measuring jobs of this user.
        folder: private folder for a setup's own copy of the tree; must not exist yet.
        image: name of the container's image; empty in the process sandbox.
    """

    cache: Path
    folder: Folder
    sandbox: Sandbox
    overlay: Overlay
    rules: Loop
    stop: Stop
    image: str = ""

    def prepare(self, kind: Kind, command: str) -> Prepared:
        """What this command leaves: from the cache, or by running it now.

        It runs in the base's tree without the editable file, so that a keep does not make it run again; the evaluator's
        own also sees what is private. PIP_TARGET points at its packages, so ``pip install -r requirements.txt`` works.

        Raises:
            Refused: it failed; with the end of its log.
            Stopped: stop was asked for meanwhile.
        """
        digest = self.digest(kind, command)
        place = folder_of(self.cache, kind) / digest
        prepared = Prepared(digest, *self._mounts(kind, place, writable=False))
        done = place / "done.json"
        if done.exists():
            done.touch()  # `lab.kept` removes what has not been used for long
            return prepared
        with locked(self.cache / "locks" / f"setup-{digest}", self.stop):
            if not done.exists():
                self._make(kind, command, place)
                done.write_text(json.dumps({"kind": kind, "command": command}))
        return prepared

    def digest(self, kind: Kind, command: str) -> str:
        """Names what a setup depends on: the inputs but for the editable file, the command, and where it runs."""
        rules = self.rules
        where = self.image or [
            platform.machine(),
            *(shutil.which(name) or "" for name in ("python", "python3")),
        ]
        return sha256(
            canonical_json([kind, command, rules.cwd, where, fixed_inputs(self.overlay.entries, rules)])
        )

    def _mounts(self, kind: Kind, place: Path, writable: bool) -> tuple[Mount, Mount]:
        return (
            Mount(place / "data", f"/pawl/{kind}/data", writable),
            Mount(place / "packages", f"/pawl/{kind}/packages", writable),
        )

    def _make(self, kind: Kind, command: str, place: Path) -> None:
        remove(place)  # what a killed one left
        data, packages = self._mounts(kind, place, writable=True)
        data.host.mkdir(parents=True)
        packages.host.mkdir()
        (data.host / "site-packages").symlink_to("../packages")
        self.overlay.lay(self.folder, None, private=kind == "evaluate")
        job = Job(
            name=kind,
            command=command,
            folder=self.folder,
            cwd=self.rules.cwd,
            limits=Limits(SECONDS, max(self.rules.run.memory, MEMORY), cores=0),
            env={"PAWL_SETUP": data, "PIP_TARGET": packages},
            mounts=(data, packages),
            packages=(packages,),
            network=True,
            trusted=True,
        )
        try:
            ended = self.sandbox.run(job)
        finally:
            remove(self.folder.top)
        if ended.outcome == "stopped":
            raise Stopped
        if ended.outcome != "exited" or ended.exit_code != 0:
            how = (
                f"ended with exit code {ended.exit_code}"
                if ended.outcome == "exited"
                else f"hit its limit ({ended.outcome})"
            )
            log = tail(ended.log, LOG_TAIL)
            raise Refused(f"{_NAMES[kind]} {how}: {last_complaint(ended.log)}\nThe end of its log:\n{log}")
        for top in (data.host, packages.host):
            _read_only(top)


_NAMES = {"setup": "The loop's setup", "evaluate": "The evaluator's setup"}


def folder_of(cache: Path, kind: Kind) -> Path:
    """Where setups of a kind are kept. Those of evaluators lie apart, and are hidden from all candidates."""
    return cache / ("setups" if kind == "setup" else "evaluator-setups")


def fixed_inputs(entries: tuple[TreeEntry, ...], rules: Loop) -> str:
    """Digest of those inputs of a loop that no experiment changes."""
    return inputs_digest(entries, rules.input_globs, (*rules.ignored_globs, rules.edit), "")


def _read_only(top: Path) -> None:
    for path in (top, *top.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)
