"""Branches and refs, as far as they were looked at, and what GitHub requires before a branch may move."""

from __future__ import annotations

from collections.abc import Mapping

from pawl.github.client import Repository
from pawl.github.errors import NotFound
from pawl.github.facets import Facets, with_item
from pawl.github.facts import Branch
from pawl.github.objects import Commit, Objects
from pawl.github.requester import PAGE

PREFIX = "refs/heads/"


class Refs:
    """The branches and refs of one repository."""

    def __init__(self, facets: Facets, client: Repository, objects: Objects) -> None:
        self._facets, self._client, self._objects = facets, client, objects

    def branch(self, name: str) -> Branch:
        """The tip of a loop's branch.

        Raises:
            NotFound: there is no such branch.
        """

        def read() -> Branch:
            data = self._client.get(f"branches/{name}")
            self._objects.put_commit(
                Commit.read(
                    {
                        "sha": data["commit"]["sha"],
                        **data["commit"]["commit"],
                        "parents": data["commit"]["parents"],
                    }
                )
            )
            return Branch.read(data)

        return self._facets.once("refs", ("branch", name), read)

    def required_checks(self, name: str) -> frozenset[str]:
        """Names of the checks that a branch requires, by protection or by a ruleset; the latter cost a request of their own.

        Raises:
            NotFound: there is no such branch.
        """
        branch = self.branch(name)
        if not branch.protected:
            return frozenset()

        def read() -> frozenset[str]:
            rules = self._client.get(f"rules/branches/{name}", per_page=PAGE)
            checks = [
                check["context"]
                for rule in rules
                if rule["type"] == "required_status_checks"
                for check in rule["parameters"]["required_status_checks"]
            ]
            return frozenset(checks)

        return frozenset(branch.required_checks) | self._facets.once("refs", ("rules", name), read)

    def own(self) -> Mapping[str, str]:
        """Branches below ``pawl/`` by name, with their tips."""
        return self._facets.once("refs", "own", lambda: self._matching("heads/pawl/", PREFIX))

    def forget_own(self) -> None:
        """Read branches below ``pawl/`` again."""
        self._facets.drop("refs", "own")

    def stop(self) -> bool:
        """Whether the ref ``refs/pawl/stop`` is there."""
        return self._facets.once("refs", "stop", lambda: "stop" in self._matching("pawl/stop", "refs/pawl/"))

    def forget_stop(self) -> None:
        """Read again whether the ref ``refs/pawl/stop`` is there."""
        self._facets.drop("refs", "stop")

    def trace(self, ref: str) -> str:
        """The tip of an experiment's traces; empty before the first one."""

        def read() -> str:
            try:
                return str(self._client.get(f"git/ref/{ref.removeprefix('refs/')}")["object"]["sha"])
            except NotFound:
                return ""

        return self._facets.once("refs", ("trace", ref), read)

    def put_trace(self, ref: str, tip: str) -> None:
        """An experiment's traces end here now, or have not begun."""
        self._facets.put("refs", ("trace", ref), tip)

    def put(self, branch: str, sha: str | None) -> None:
        """A branch below ``pawl/`` is now here, or gone."""
        self._facets.update("refs", "own", lambda refs: with_item(refs, branch, sha))

    def put_branch(self, branch: Branch) -> None:
        """A loop's branch is now here."""
        self._facets.put("refs", ("branch", branch.name), branch)

    def _matching(self, prefix: str, strip: str) -> dict[str, str]:
        found = self._client.pages(f"git/matching-refs/{prefix}", per_page=None)
        return {item["ref"].removeprefix(strip): item["object"]["sha"] for item in found}
