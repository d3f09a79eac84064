"""Reads commits out of a repository's objects, without a checkout, hooks, filters or attributes."""

from __future__ import annotations

import base64
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from pawl.core.digest import TreeEntry
from pawl.lab.errors import MeasureError

SUBMODULE = "160000"
SYMLINK = "120000"


@dataclass(frozen=True)
class Repository:
    """A local repository, as the git executable reads it.

    Args:
        path: its folder, bare or with a checkout.
        environment: where PATH and, for a fetch, GITHUB_TOKEN come from.
    """

    path: Path
    environment: Mapping[str, str]

    def ensure(self, commits: Iterable[str]) -> None:
        """Have these commits here, fetched from ``origin`` where they are missing.

        Raises:
            MeasureError: this is no repository, or a commit cannot be had.
        """
        missing = [commit for commit in dict.fromkeys(commits) if not self._has(commit)]
        if not missing:
            return
        # `--depth` on a full clone would cut the history of what it fetches; a shallow one stays shallow.
        shallow = self._text("rev-parse", "--is-shallow-repository").strip() == "true"
        depth = ["--depth", "1"] if shallow else []
        words = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", *depth]
        done = self._git(*words, "origin", *missing, environment=self._fetching())
        still = [commit for commit in missing if not self._has(commit)]
        if still:
            said = done.stderr.decode(errors="replace").strip()[-300:] or "git fetched something else"
            raise MeasureError(
                f"commit {still[0]} is not in {self.path} and could not be fetched from origin",
                said,
                "check out with enough history, or give the job a GITHUB_TOKEN with contents: read",
            )

    def entries(self, commit: str) -> tuple[TreeEntry, ...]:
        """Every file of a commit's tree.

        Raises:
            MeasureError: git cannot read it.
        """
        lines = self._out("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")
        found = []
        for line in lines:
            if line:
                what, path = line.split(b"\t", 1)
                mode, _, sha = what.decode().split(" ")
                found.append(TreeEntry(os.fsdecode(path), mode, sha))
        return tuple(found)

    def blobs(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """The bytes of objects, each under the name it was asked for by; None where there is no such blob."""
        names = list(names)
        with tempfile.TemporaryFile() as asked:
            asked.write("".join(f"{name}\n" for name in names).encode())
            asked.seek(0)
            process = subprocess.Popen(
                ["git", "-C", str(self.path), "cat-file", "--batch"],
                stdin=asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self._clean(),
            )  # fmt: skip
            with process:
                assert process.stdout is not None
                for name in names:
                    yield name, _answer(process.stdout)

    def file(self, commit: str, path: str) -> bytes | None:
        """The bytes of one file of a commit; None if it has no such file."""
        return next(content for _, content in self.blobs([f"{commit}:{path}"]))

    def folders(self) -> tuple[Path, ...]:
        """Where the repository keeps what no run may see: its ``.git``."""
        said = self._text("rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir").split("\n")
        return tuple(dict.fromkeys(Path(line) for line in said if line))

    def _has(self, commit: str) -> bool:
        return self._git("cat-file", "-e", f"{commit}^{{tree}}").returncode == 0

    def _text(self, *words: str) -> str:
        return self._out(*words).decode(errors="replace")

    def _out(self, *words: str) -> bytes:
        done = self._git(*words)
        if done.returncode != 0:
            raise MeasureError(
                f"git cannot read {self.path}: git {' '.join(words)}",
                done.stderr.decode(errors="replace").strip()[-300:],
                "name the repository's folder with --repo",
            )
        return done.stdout

    def _git(
        self, *words: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                ["git", "-C", str(self.path), *words],
                stdin=subprocess.DEVNULL, capture_output=True, check=False, env=environment or self._clean(),
            )  # fmt: skip
        except FileNotFoundError:
            raise MeasureError(
                "there is no git here", "files are read from git's objects", "install git on the runner"
            ) from None

    def _clean(self, settings: Iterable[tuple[str, str]] = ()) -> dict[str, str]:
        """No configuration but the repository's own, and from that no hook and nothing interactive."""
        # The checkout often belongs to another user than the one who measures, in containers above all.
        settings = [
            ("safe.directory", "*"),
            ("core.hooksPath", os.devnull),
            ("core.fsmonitor", "false"),
            ("maintenance.auto", "false"),
            *settings,
        ]
        env = {
            "PATH": self.environment.get("PATH", os.defpath),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_ALLOW_PROTOCOL": "https:http:ssh:file",
            "GIT_CONFIG_COUNT": str(len(settings)),
        }
        for number, (key, value) in enumerate(settings):
            env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return env

    def _fetching(self) -> dict[str, str]:
        """The token goes to origin's host alone, and through the environment: arguments are there for all to see."""
        token = self.environment.get("GITHUB_TOKEN", "")
        origin = urlsplit(self._git("remote", "get-url", "origin").stdout.decode(errors="replace").strip())
        if not token or origin.scheme not in ("http", "https") or not origin.hostname:
            return self._clean()
        port = f":{origin.port}" if origin.port else ""
        key = f"http.{origin.scheme}://{origin.hostname}{port}/.extraheader"
        secret = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        # The empty value first: actions/checkout leaves a header of its own, and GitHub refuses two.
        return self._clean([(key, ""), (key, f"AUTHORIZATION: basic {secret}")])


def _answer(stream: IO[bytes]) -> bytes | None:
    """One answer of ``git cat-file --batch``: ``<sha> blob <size>``, the bytes and a line end."""
    words = stream.readline().split()
    if len(words) != 3 or not words[2].isdigit():
        return None
    content = stream.read(int(words[2]))
    stream.read(1)
    return content if words[1] == b"blob" else None
