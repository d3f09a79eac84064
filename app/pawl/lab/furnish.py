"""Makes the bench of one measuring job: the overlay, the sandbox, the setups, and what is shown and hidden."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from pawl.core.config import Loop
from pawl.core.measurement import Request
from pawl.lab import trajectories
from pawl.lab.bench import Bench, data_mounts, hidden_paths
from pawl.lab.device import Device
from pawl.lab.objects import Repository
from pawl.lab.options import Options
from pawl.lab.process import ProcessSandbox
from pawl.lab.sandbox import Folder, Sandbox, Stop
from pawl.lab.setup import Kind, Prepared, Setups, folder_of
from pawl.lab.tree import Overlay, build, build_candidate
from pawl.lab.workplace import Workplace, private_top


@dataclass(frozen=True)
class Place:
    """Where one measuring job happens."""

    options: Options
    """With absolute paths."""
    device: Device
    work: Workplace
    kind: Literal["process", "docker"]
    stop: Stop


@contextlib.contextmanager
def furnished(request: Request, place: Place) -> Iterator[Bench]:
    """The bench for a request's runs.

    Raises:
        MeasureError: the repository cannot be used, or lacks a commit.
        Refused: the tree, the image, a setup or a data folder is not as it must be.
        Stopped: stop was asked for meanwhile.
    """
    rules, options, work = request.rules, place.options, place.work
    repository = Repository(options.repo, os.environ)
    overlay = build(repository, request, work.private / "base")
    with _sandbox(rules, overlay, place) as (sandbox, image):
        for note in (*place.device.notes, *overlay.notes, *sandbox.caveats):
            options.progress(f"Note: {note}")
        data = data_mounts(rules.data, rules.cwd, options.repo, sandbox)
        private_data = rules.evaluate.data if rules.evaluate else {}
        evaluator_data = data_mounts(private_data, rules.cwd, options.repo, sandbox)
        made = _setups(rules, overlay, place, sandbox, image)
        hidden = [
            *repository.folders(),
            *options.hidden,
            options.out / "record.json",
            options.out / trajectories.NAME,
            private_top(options.cache),
            folder_of(options.cache, "evaluate"),
            *(mount.host for mount in evaluator_data),
        ]
        bench = Bench(
            request=request,
            overlay=overlay,
            sandbox=sandbox,
            work=work,
            data=data,
            evaluator_data=evaluator_data,
            hidden=hidden_paths(overlay, options.repo, hidden),
            setup=made.get("setup"),
            evaluator_setup=made.get("evaluate"),
            gpu=place.device.gpu,
            image=image,
        )
        if options.restored is not None:
            other = build_candidate(repository, request, options.restored, work.private / "candidate")
            made = _setups(rules, other, place, sandbox, image)
            own = replace(bench, overlay=other, setup=made.get("setup"), evaluator_setup=made.get("evaluate"))
            bench = replace(bench, candidate=own)
        yield bench


def _setups(
    rules: Loop, overlay: Overlay, place: Place, sandbox: Sandbox, image: str
) -> dict[Kind, Prepared]:
    folder = Folder(place.work.private / "setup")
    setups = Setups(place.options.cache, folder, sandbox, overlay, rules, place.stop, image)
    commands: dict[Kind, str | None] = {
        "setup": rules.setup,
        "evaluate": rules.evaluate.setup if rules.evaluate else None,
    }
    return {kind: setups.prepare(kind, command) for kind, command in commands.items() if command}


@contextlib.contextmanager
def _sandbox(rules: Loop, overlay: Overlay, place: Place) -> Iterator[tuple[Sandbox, str]]:
    if place.kind == "process":
        yield ProcessSandbox(place.stop, place.device.cores), ""
        return
    from pawl.lab.container import ContainerSandbox
    from pawl.lab.image import image_for

    sandbox = ContainerSandbox(place.stop, place.device.cores)
    with contextlib.closing(sandbox):
        sandbox.image = image_for(sandbox.client, rules, overlay, Folder(place.work.private / "image"))
        yield sandbox, sandbox.image
