"""What a proposer may read, put together from GitHub: public things, quoted by whoever shows them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pawl.control.contexts import without_figures
from pawl.core.chain import LEDGER_BRANCH
from pawl.core.digest import matches
from pawl.core.measurement import Arm, RunRecord, RunStatus, Stage
from pawl.core.snapshot import Snapshot
from pawl.github.client import Repository
from pawl.github.errors import GitHubError, NotFound, Unobservable
from pawl.github.facts import Comment
from pawl.github.library import FILE_LIMIT, Moment, Reading
from pawl.github.objects import Objects
from pawl.github.view import RepositoryView
from pawl.messages.runner import MARKER as RUNNER
from pawl.meta.failures import failure_of
from pawl.meta.proposer import Detail, Direction, NotThere

T = TypeVar("T")

EVALUATOR = "\n--- evaluator:\n"
"""Where a record's log goes on with the evaluator's words, which may speak of private data."""
_DIED = re.compile(r"(?s)^(the evaluator failed \([^()]*\): it [^:]*):.*")
TRACE_LIMIT = 10**6


class RepositoryLibrary:
    """The library of one proposal (`pawl.meta.proposer.Library`): one base, and the history up to one moment.

    Args:
        client: the repository.
        objects: its immutable objects, which looks share.
        snapshot: the loop as it was looked at.
        ledger: tip of the ledger's branch then; none before the first line.
        said: what people who may write had commented on the tracking issue by then.
    """

    def __init__(
        self,
        client: Repository,
        objects: Objects,
        snapshot: Snapshot,
        ledger: str | None,
        said: tuple[Comment, ...] = (),
    ) -> None:
        self._snapshot, self._said = snapshot, said
        moment = Moment(snapshot.loop, snapshot.base.sha, ledger)
        self._reading = Reading(client, objects, moment, self._hidden)
        self._files: dict[str, str] | None = None

    def _hidden(self, path: str) -> bool:
        """What no run of a candidate sees, no proposer sees: the evaluator and its data; nor what governs the repository."""
        return path.startswith(".git") or matches(path, self._snapshot.rules.private_globs(frozenset({path})))

    def _blobs(self) -> dict[str, str]:
        if self._files is None:
            self._files = _asked(self._reading.blobs)
        return self._files

    def paths(self) -> tuple[str, ...]:
        """Files of the base, in order."""
        return tuple(sorted(self._blobs()))

    def file(self, path: str) -> bytes:
        """One file of the base."""
        sha = self._blobs().get(path)
        if sha is None:
            raise NotThere(f"there is no file {path[:200]!r} to read on the base")
        return _asked(lambda: self._reading.blob(sha))[:FILE_LIMIT]

    def checkout(self, folder: Path) -> None:
        """Write the base's files into an empty folder."""
        for path, data, executable in _asked(lambda: list(self._reading.archive())):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            target.chmod(0o755 if executable else 0o644)

    def detail(self, number: int) -> Detail:
        """What is kept of a concluded experiment."""
        diff = _asked(lambda: self._reading.concluded(number, "edit.diff"))
        if diff is None:
            raise NotThere(f"nothing is kept of an experiment {number}")
        record = _asked(lambda: self._reading.record(number))
        rules = self._snapshot.rules
        # A sealed run's output could tell of the sealed split, and a harness's of the tasks that decide.
        public = (Stage.SCREEN,) if rules.task_agent else (Stage.SCREEN, Stage.CONFIRM)
        runs = [run for run in (record.runs if record else ()) if run.stage in public]
        last = next((run for run in reversed(runs) if run.arm is Arm.CANDIDATE), None)
        log = last.log.partition(EVALUATOR)[0] if last else ""
        failure = None
        if last is not None:
            peak = last.guards.get("peak_memory_mb")
            failure = failure_of(last.status, _reason(last), log, rules.edit, peak)
        return Detail(number, diff.decode("utf-8", errors="replace"), failure, log, _practice(runs))

    def trace(self, number: int) -> str:
        """How the proposal of an experiment was made."""
        sha = _asked(lambda: self._reading.traces(number)).get("proposal.json")
        if sha is None:
            raise NotThere(f"no trace is kept of how experiment {number} was proposed")
        return self._text(sha)

    def trajectories(self, number: int) -> Mapping[str, str]:
        """Trajectories of an experiment's practice tasks."""
        kept = _asked(lambda: self._reading.traces(number))
        below = {
            path.removeprefix("trajectories/"): sha
            for path, sha in kept.items()
            if path.startswith("trajectories/")
        }
        return _Texts({path.removesuffix(".json"): sha for path, sha in below.items()}, self)

    def directions(self) -> tuple[Direction, ...]:
        """What people with write access have asked for, oldest first. Commands and runners' reports are none."""
        said = (comment for comment in self._said if is_direction(comment.body))
        return tuple(Direction(comment.author, comment.body, comment.at) for comment in said)

    def _text(self, sha: str) -> str:
        return _asked(lambda: self._reading.blob(sha)).decode("utf-8", errors="replace")[:TRACE_LIMIT]


def is_direction(comment: str) -> bool:
    """Whether a comment on a tracking issue says something to proposers: commands and reports of machines do not."""
    return not comment.lstrip().startswith(("/pawl", RUNNER))


class _Texts(Mapping[str, str]):
    """Texts that are fetched when they are looked at."""

    def __init__(self, names: dict[str, str], library: RepositoryLibrary) -> None:
        self._names, self._library = names, library

    def __getitem__(self, name: str) -> str:
        return self._library._text(self._names[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names  # Mapping's own would fetch the text


def library_of(view: RepositoryView, snapshot: Snapshot) -> RepositoryLibrary:
    """What a proposer may read beside its context: what the view knows now, and later what never changes.

    Raises:
        GitHubError: GitHub did not say what people have commented.
    """
    said = view.people.said(snapshot.tracking.number) if snapshot.tracking is not None else ()
    return RepositoryLibrary(view.client, view.objects, snapshot, view.refs.own().get(LEDGER_BRANCH), said)


def _reason(run: RunRecord) -> str:
    """Why a run failed, without what the evaluator could tell of its data: what it died of, and figures."""
    if run.status not in (RunStatus.INVALID, RunStatus.VIOLATION):
        return run.reason
    return without_figures(_DIED.sub(r"\1", run.reason))


def _practice(runs: list[RunRecord]) -> dict[str, tuple[float, float]]:
    """Tasks of the screen by name, which are on the public split: score of the baseline and of the candidate."""
    arms = {run.arm: run.tasks for run in runs if run.stage is Stage.SCREEN and run.tasks}
    before, after = arms.get(Arm.BASELINE, {}), arms.get(Arm.CANDIDATE, {})
    return {name: (before[name], after[name]) for name in before if name in after}


def _asked(read: Callable[[], T]) -> T:
    """What GitHub says, or that it is not there.

    Raises:
        NotThere: GitHub did not say.
    """
    try:
        return read()
    except NotFound:
        raise NotThere("GitHub does not have it any more") from None
    except (GitHubError, Unobservable, OSError, ValueError) as error:
        raise NotThere(f"it cannot be read now ({type(error).__name__})") from None
