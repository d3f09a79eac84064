"""One look at one loop: what every part of an observation shares."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from pawl.core.config import Loop
from pawl.core.digest import TreeEntry, git_blob_sha, inputs_digest, matches
from pawl.core.ledger import AnyLine, OutcomeLine, VerdictLine
from pawl.github.facts import Branch, CheckRun
from pawl.github.names import check_name, experiment_of
from pawl.github.view import RepositoryView


@dataclass(frozen=True)
class Look:
    """A loop, its rules and its ledger, and the view that the rest is read from."""

    view: RepositoryView
    loop: str
    rules: Loop
    lines: tuple[AnyLine, ...]

    def tip(self) -> Branch:
        """The tip of the loop's branch.

        Raises:
            NotFound: there is no such branch.
        """
        return self.view.refs.branch(self.rules.branch)

    @cached_property
    def over(self) -> frozenset[int]:
        """Experiments that have their outcome."""
        return frozenset(line.experiment for line in self.lines if isinstance(line, OutcomeLine))

    @cached_property
    def concluded(self) -> frozenset[int]:
        """Experiments that have a verdict or their outcome."""
        verdicts = (line.experiment for line in self.lines if isinstance(line, VerdictLine))
        return self.over.union(verdicts)

    def number_of(self, branch: str) -> int | None:
        """The number of the loop's experiment that a branch belongs to; none if it is none of them."""
        return experiment_of(branch, self.loop)

    def own(self, check: CheckRun, key: str = "") -> bool:
        """Whether a check run is Pawl's own, and holds a request of this loop.

        Args:
            check: the check run.
            key: what its name says beside the loop's; nothing for an experiment.
        """
        return check.own and check.name == check_name(self.loop, key)

    def entries(self, commit: str) -> tuple[TreeEntry, ...]:
        """The files of a commit's tree."""
        return self.view.objects.entries(self.view.objects.commit(commit).tree)

    def content(self, entries: tuple[TreeEntry, ...]) -> bytes:
        """The editable file's bytes; nothing where it is no file, which the scope objects to."""
        found = next((entry for entry in entries if entry.path == self.rules.edit), None)
        return self.view.objects.blob(found.sha) if found and found.mode.startswith("100") else b""

    def inputs(self, entries: Iterable[TreeEntry], content: bytes | None = None) -> str:
        """Digest of a tree's inputs, and of the rules; with `content` in the editable file's place, where it is given."""
        rules = self.rules
        replaced = None if content is None else {rules.edit: git_blob_sha(content)}
        return inputs_digest(entries, rules.input_globs, rules.ignored_globs, rules.rules_digest, replaced)

    def is_input(self, path: str) -> bool:
        """Whether a file can influence a measurement."""
        return matches(path, self.rules.input_globs) and not matches(path, self.rules.ignored_globs)
