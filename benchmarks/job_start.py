"""From the Action's first step in a measuring job to the first moment of a run's budget, on a runner that is warm."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from action import run as first_step
from benchmarks.figures import Figure
from benchmarks.overhead import make_repository, pool_request
from pawl.core.measurement import Record, Request

ROUNDS = 5
LIMIT = 5.0
IMAGE = os.environ.get("PAWL_TEST_IMAGE") or "pawl-base:bookworm"
"""A local image with python3; `make base-image` makes the second one."""
CLOCK = "date +%s.%N"
CONFIG = """\
loops:
  nothing:
    edit: nothing.py
    metric: {{name: value, goal: maximize}}
    budget: 1s
    grace: 20s
    run: {{command: "{clock} > value.txt"{image}}}
    artifact: {{path: value.txt, format: binary}}
    evaluate: {{command: 'printf "{{\\"value\\": %s}}" "$(cat $PAWL_ARTIFACT)"'}}
"""
"""The run's first and only act is to read the clock, and the evaluator hands that on as the metric."""


def measure() -> list[Figure]:
    """Medians of a few jobs, each in a process of its own, as the runner starts it."""
    with tempfile.TemporaryDirectory(prefix="pawl-bench-") as folder:
        place = Path(folder)
        _warm(place / "tools")
        figures = [
            Figure("job's start to its budget, process sandbox", _beginning(place, ""), "s", LIMIT, _NOTE)
        ]
        if why := _no_docker():
            return [
                *figures,
                Figure("job's start to its budget, Docker", 0.0, "s", None, f"not measured: {why}"),
            ]
        bare = median(_container() for _ in range(ROUNDS))
        whole = _beginning(place, IMAGE)
        note = f"{whole:.2f} s, less {bare:.2f} s that a container of {IMAGE} needs by itself"
        return [*figures, Figure("job's start to its budget, Docker", whole - bare, "s", LIMIT, note)]


_NOTE = "the Action's environment is in the tool cache; without the two questions to GitHub, and the checkout before"


def _beginning(place: Path, image: str) -> float:
    config = CONFIG.format(clock=CLOCK, image=f", image: {image}" if image else "")
    repo = place / (image.replace(":", "-").replace("/", "-") or "process")
    commit = make_repository(repo, config)
    request = pool_request(config, commit, 1)
    return median(_job(request, repo, place) for _ in range(ROUNDS))


def _job(request: Request, repo: Path, place: Path) -> float:
    """Seconds from the step's start to the first act of its run."""
    temporary = Path(tempfile.mkdtemp(dir=place))
    given = {
        "PAWL_INPUT_COMMAND": "measure",
        "PAWL_INPUT_REQUEST": request.model_dump_json(),
        "GITHUB_WORKSPACE": str(repo),
        "RUNNER_TEMP": str(temporary),
        "RUNNER_TOOL_CACHE": str(place / "tools"),
        "XDG_CACHE_HOME": str(place / "cache"),
        "HOME": str(place),
        "PATH": os.environ["PATH"],
    }
    script = first_step.__file__
    start = time.time()
    done = subprocess.run(
        [sys.executable, script], env=given, cwd=repo, capture_output=True, text=True, check=False
    )
    record = Record.model_validate(json.loads((temporary / "pawl" / "record.json").read_text()))
    if done.returncode != 0 or not record.complete or not record.runs[0].metric:
        raise RuntimeError(f"nothing was measured: {record.runs}\n{done.stdout}{done.stderr}")
    return next(iter(record.runs[0].metric.values())) - start


def _warm(tools: Path) -> None:
    """The environment that the Action would have made: this one, under the name that it looks for."""
    version = "".join(map(str, sys.version_info[:2]))
    place = tools / "pawl" / f"{first_step.digest()}-py{version}-base"
    (place / "bin").mkdir(parents=True)
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", place)
    (place / "lib").symlink_to(Path(sys.prefix) / "lib")
    (place / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    (place / "complete").touch()


def _no_docker() -> str:
    """Why no container can be started here; empty if one can."""
    try:
        _container()
    except Exception as error:  # whatever is wrong with an engine, a figure less is the answer
        return str(error).splitlines()[0][:120]
    return ""


def _container() -> float:
    """Seconds from asking the engine for a container to its first act."""
    import docker

    client = docker.from_env()
    try:
        start = time.time()
        said = client.containers.run(IMAGE, ["sh", "-c", CLOCK], remove=True, network_mode="none")
        return float(said) - start
    finally:
        client.close()
