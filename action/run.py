"""Runs Pawl for the Action, from the Action's own checkout, in an environment of its own that is kept between jobs.

Standard library only: this is what runs before anything is installed. The environment lies in the runner's tool cache, named
by the digest of all it was made from, so that no job can get another version's. `PAWL_PYTHON` names an interpreter that has
Pawl already, as in Pawl's own images; then nothing is installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / ".ci" / "constraints.txt"
EXTRAS = {
    "measure": "",
    "check": "",
    "compare": "",
    "step": "app",
    "report": "app",
    "propose": "app,search,llm",
}
"""What each command needs beside the base: whatever measures gets neither a client of GitHub nor one of a model."""
OLDEST = (3, 11)


def main() -> NoReturn:
    """Find or make the environment, and run the command in it."""
    command = os.environ.get("PAWL_INPUT_COMMAND", "").strip()
    python = os.environ.get("PAWL_PYTHON") or str(environment_for(EXTRAS.get(command, "app")))
    if not shutil.which(python):
        complain(f"PAWL_PYTHON is {python!r}, and there is no such interpreter on this runner")
    # -P: the working directory is the user's checkout, and no module of that is ever Pawl's. In place of this process, so
    # that a cancelled job's signal reaches what writes the record.
    os.execvp(python, [python, "-P", "-m", "pawl", "action"])


def environment_for(extras: str) -> Path:
    """The interpreter of the environment with these extras, which is made if it is not there."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:2]))
        complain(
            f"Pawl needs Python 3.11 or newer, and python3 on this runner is {found}: use actions/setup-python before"
        )
    cache = Path(os.environ.get("RUNNER_TOOL_CACHE") or Path.home() / ".cache")
    name = f"{digest()}-py{sys.version_info[0]}{sys.version_info[1]}-{extras.replace(',', '-') or 'base'}"
    place = cache / "pawl" / name
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        make(place, extras)
    return python


def digest() -> str:
    """Names everything that an environment is made from."""
    found = hashlib.sha256()
    for path in [ROOT / "pyproject.toml", CONSTRAINTS, *sorted((ROOT / "app").rglob("*"))]:
        if path.is_file() and path.suffix != ".pyc":
            found.update(
                f"{path.relative_to(ROOT)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
            )
    return found.hexdigest()[:16]


def make(place: Path, extras: str) -> None:
    """Install Pawl's checkout where no other job sees it before it is whole: two jobs may do this at once."""
    print("::group::Installing Pawl", flush=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="making-", dir=place.parent))
    try:
        run(sys.executable, "-m", "venv", str(made))
        source = f"{ROOT}[{extras}]" if extras else str(ROOT)
        run(str(made / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--constraint", str(CONSTRAINTS), source)  # fmt: skip
        (made / "complete").touch()
        try:
            made.rename(place)
        except OSError:
            if not (place / "complete").exists():  # left behind by something that was killed
                shutil.rmtree(place, ignore_errors=True)
                made.rename(place)
    except subprocess.CalledProcessError as error:
        sys.exit(
            complain(
                f"Pawl could not be installed ({error.cmd[0]} ended with {error.returncode}); the log says why"
            )
        )
    finally:
        shutil.rmtree(made, ignore_errors=True)
        print("::endgroup::", flush=True)


def run(*command: str) -> None:
    """Run a command, with what it prints in the log."""
    subprocess.run(command, check=True, cwd="/")


def complain(message: str) -> NoReturn:
    """Say on the job's page why nothing can be done, and end."""
    print(f"::error::{message.replace('%', '%25')}", flush=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
