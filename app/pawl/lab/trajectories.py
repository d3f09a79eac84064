"""What a task agent did, task by task: taken out of a dead run's folder, and handed in beside the record.

Only practice tasks' trajectories ever leave the runner: what a proposer may read is no evidence any more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from pawl.core.measurement import TRAJECTORIES_LIMIT, TRAJECTORY_LIMIT, Arm
from pawl.lab import artifact
from pawl.lab.journal import write_synced
from pawl.lab.readings import strict_json

NAME = "trajectories.json"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def taken(tree: Path, folder: str, ids: Mapping[str, str], private: Path) -> dict[str, str]:
    """The trajectories that a run left, by the names of their tasks.

    Args:
        tree: the dead run's tree, which hostile code has written to.
        folder: where in it the trajectories are, with ``/`` between folders.
        ids: the names of the block's tasks, by the ids that the run knew them by.
        private: a folder for a copy.

    Returns:
        What is there as a regular file of bounded size that holds a JSON object; the rest is passed over in silence.
    """
    found: dict[str, str] = {}
    for number, (opaque, name) in enumerate(sorted(ids.items())):
        if not _ID.fullmatch(opaque):
            continue
        copy = private / f"trajectory-{number}"
        try:
            artifact.take(tree, str(PurePosixPath(folder) / f"{opaque}.json"), copy, TRAJECTORY_LIMIT)
            text = copy.read_bytes().decode("utf-8")
            if isinstance(strict_json(text), dict):
                found[name] = text
        except (artifact.Invalid, ValueError):
            continue
        finally:
            copy.unlink(missing_ok=True)
    return found


def hand_in(out: Path, arm: Arm, texts: Mapping[str, str]) -> None:
    """Add an arm's trajectories to the job's file, as far as there is room, failed attempts at the same arm replaced.

    Raises:
        OSError: the file cannot be written.
    """
    path = out / NAME
    try:
        known: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        known = {}
    kept = {key: text for key, text in known.items() if not key.startswith(f"{arm}/")}
    room = TRAJECTORIES_LIMIT - sum(len(text.encode()) for text in kept.values())
    for name, text in texts.items():
        room -= len(text.encode())
        if room >= 0:
            kept[f"{arm}/{name}"] = text
    write_synced(path, json.dumps(kept).encode())
