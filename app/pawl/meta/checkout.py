"""The folder that a coding agent works in: the base, of which one file may change, and two files of Pawl's beside it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pawl.core.edit import MAX_BYTES
from pawl.meta.context import TRACES
from pawl.meta.proposer import Context, Library
from pawl.meta.quoted import line, readable

CONTEXT_FILE = "PAWL_CONTEXT.md"
ANSWER_FILE = "PAWL_PROPOSAL.json"
OWN_FILES = frozenset({CONTEXT_FILE, ANSWER_FILE, TRACES})
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ANSWER_LIMIT = 64 * 1024
HASHED = 16 * 2**20
"""Bytes up to which a file is told by its content; a larger one by its size."""
SHOWN = 12
"""Dropped files that are named."""


@dataclass(frozen=True)
class Answer:
    """What the agent says about its edit."""

    hypothesis: str = ""
    predicted: float | None = None


class Checkout:
    """A throw-away checkout of the base that holds no credential, and what an agent has made of it.

    Args:
        desk: an empty folder, for this alone.
    """

    def __init__(self, desk: Path) -> None:
        self.work, self.home, self.temporary = desk / "work", desk / "home", desk / "tmp"
        for folder in (self.work, self.home, self.temporary):
            folder.mkdir()
        self._before: dict[str, str] = {}

    def lay(self, context: Context, library: Library) -> None:
        """Lay out what the agent is to find.

        Raises:
            NotThere: the base cannot be checked out.
        """
        library.checkout(self.work)
        self.write(context.rules.edit, context.source)
        self._make_repository()
        self._lay_traces(context)
        self._before = dict(self._digests())

    def write(self, name: str, text: str) -> None:
        """Write a file, whatever the agent has put in its place."""
        path = self.work / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def found(self, path: str) -> str | Exception:
        """The editable file as it is now, or why it is none."""
        data = self._regular(path, MAX_BYTES)
        if not isinstance(data, bytes):
            return data
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return ValueError(f"{path} is not UTF-8 any more")

    def answer(self) -> Answer:
        """The agent's answer file, as far as it is one."""
        text = self._regular(ANSWER_FILE, ANSWER_LIMIT)
        if not isinstance(text, bytes):
            return Answer()
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):
            return Answer()
        if not isinstance(told, dict):
            return Answer()
        hypothesis, predicted = told.get("hypothesis"), told.get("predicted")
        number = (
            predicted if isinstance(predicted, (int, float)) and not isinstance(predicted, bool) else None
        )
        if number is not None and not abs(number) < 1e300:
            number = None
        return Answer(readable(hypothesis) if isinstance(hypothesis, str) else "", number)

    def dropped(self, edit: str) -> list[str]:
        """What the agent did to other files, in a sentence."""
        before, after = self._before, dict(self._digests())
        names = before.keys() | after.keys()
        changed = sorted(name for name in names if before.get(name) != after.get(name) and name != edit)
        if not changed:
            return []
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        named = ", ".join(line(name, 80) for name in changed[:SHOWN])
        return [f"changes of other files were dropped: {named}{more}"]

    def _regular(self, name: str, limit: int) -> bytes | Exception:
        """A file's bytes, if no link is on the way to it and it is not too large; else why not."""
        path = self.work / name
        try:
            if path.resolve(strict=True) != self.work.resolve(strict=True) / name:
                return ValueError(f"{path.name} is a link, or behind one")
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                if not path.is_file():
                    return ValueError(f"{path.name} is no regular file")
                data = file.read(limit + 1)
        except OSError as error:
            return ValueError(f"{path.name} cannot be read ({error.strerror})")
        return data if len(data) <= limit else ValueError(f"{path.name} has more than {limit:,} bytes")

    def _digests(self) -> Iterator[tuple[str, str]]:
        """Every file of the checkout by a name of its content. Its .git is the agent's, and tells nothing."""
        for folder, folders, files in os.walk(self.work, followlinks=False):
            folders[:] = [name for name in folders if not (name == ".git" and Path(folder) == self.work)]
            for name in [*files, *(name for name in folders if (Path(folder) / name).is_symlink())]:
                path = Path(folder) / name
                relative = str(path.relative_to(self.work))
                if relative.partition("/")[0] in OWN_FILES:
                    continue
                yield relative, _digest(path)

    def _lay_traces(self, context: Context) -> None:
        """The trajectories of failed practice tasks, under names that are no paths."""
        for failed in context.failed:
            name = re.sub(r"[^A-Za-z0-9_.-]", "_", failed.name).lstrip(".")[:80]
            self.write(f"{TRACES}/{name}.json", failed.trajectory)

    def _make_repository(self) -> None:
        """A repository of one commit, since coding agents like to look at one: no remote, no other ref, no key."""
        if shutil.which("git") is None:
            return
        environment = {
            "PATH": os.environ.get("PATH", PATH),
            "HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        person = ["-c", "user.name=base", "-c", "user.email=base@invalid", "-c", "commit.gpgsign=false"]
        for words in (
            ["init", "--quiet", "--initial-branch=base"],
            ["add", "--all", "--force"],
            [*person, "commit", "--quiet", "--allow-empty", "--message", "The base"],
        ):
            subprocess.run(
                ["git", "-C", str(self.work), *words],
                env=environment,
                check=False,
                capture_output=True,
                timeout=120,
            )
        with (self.work / ".git" / "info" / "exclude").open("a", encoding="utf-8") as exclude:
            exclude.write("".join(f"/{name}\n" for name in sorted(OWN_FILES)))


def _digest(path: Path) -> str:
    try:
        if path.is_symlink():
            return f"link {path.readlink()}"
        if not path.is_file():
            return "no file"
        status = path.stat()
        large = status.st_size > HASHED
        content = f"{status.st_size} bytes" if large else hashlib.sha256(path.read_bytes()).hexdigest()
        return f"{status.st_mode & 0o111} {content}"
    except OSError:
        return "unreadable"
