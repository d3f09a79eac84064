"""Pull requests, as far as they were looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pawl.github.client import Repository
from pawl.github.facet_refs import Refs
from pawl.github.facets import Facets, with_item
from pawl.github.facts import Invitation, Pull
from pawl.github.names import ONBOARDING_BRANCH, is_experiment
from pawl.github.requester import PAGE


class Pulls:
    """The pull requests of one repository."""

    def __init__(self, facets: Facets, client: Repository, refs: Refs) -> None:
        self._facets, self._client, self._refs = facets, client, refs
        self._old: dict[int, Pull] = {}

    def known(self) -> Mapping[int, Pull]:
        """Pull requests from branches below ``pawl/`` by number: all open ones, and those that changed last."""
        return self._facets.once("pulls", "list", self._read)

    def seen_open(self, number: int) -> bool:
        """Whether a pull request was open when they were last read. Asks GitHub for nothing."""
        known: Mapping[int, Pull] = self._facets.known("pulls", "list") or {}
        return number in known and known[number].open

    def _read(self) -> dict[int, Pull]:
        """The hundred that changed last; beyond them only open ones can matter, and only those that were never seen."""
        query: dict[str, Any] = {"sort": "updated", "direction": "desc", "per_page": PAGE}
        recent = [Pull.read(item) for item in self._client.get("pulls", state="all", **query)]
        pulls = dict(self._old)
        if len(recent) == PAGE and pulls.get(recent[-1].number) != recent[-1]:
            opened = self._client.pages("pulls", state="open", **query)
            pulls = {pull.number: pull for pull in map(Pull.read, opened)}
        pulls |= {pull.number: pull for pull in recent}
        self._old = pulls
        own = {n: pull for n, pull in pulls.items() if pull.own and pull.branch.startswith("pawl/")}
        return own | self._moved(own)

    def _moved(self, pulls: Mapping[int, Pull]) -> dict[int, Pull]:
        """Open pull requests that GitHub has not told yet where their branch is: it takes a moment to."""

        def moved() -> dict[int, Pull]:
            tips = self._refs.own()
            return {
                number: replace(pull, head=tips[pull.branch])
                for number, pull in pulls.items()
                if pull.open and tips.get(pull.branch, pull.head) != pull.head
            }

        if not moved():
            return {}
        self._refs.forget_own()  # or it is the branches that were read before
        return moved()

    def guests(self) -> tuple[Pull, ...]:
        """Open pull requests that are no experiments: people's, other bots', and the one that offers Pawl itself."""
        self.known()
        found = {**self._old, **self.known()}
        return tuple(
            pull
            for _, pull in sorted(found.items())
            if pull.open and not (pull.own and is_experiment(pull.branch))
        )

    def invitation(self) -> Invitation | None:
        """The pull request that offers Pawl to the repository: the open one, else the newest."""

        def read() -> Invitation | None:
            owner = self._client.name.split("/")[0]
            query = {"head": f"{owner}:{ONBOARDING_BRANCH}", "state": "all", "per_page": 30}
            found = [Invitation.read(item) for item in self._client.get("pulls", **query)]
            return max(found, key=lambda item: (item.open, item.number), default=None)

        return self._facets.once("pulls", "invitation", read)

    def ended_by(self, pull: Pull) -> str:
        """Who closed or merged a pull request; empty where GitHub does not say."""
        if pull.ended_by is not None:
            return pull.ended_by

        def read() -> str:
            return str((self._client.get(f"issues/{pull.number}").get("closed_by") or {}).get("login", ""))

        return self._facets.once("pulls", ("ended by", pull.number), read)

    def forget_unnoticed(self) -> None:
        """Read again whether GitHub has noticed what Pawl has merged: it tells of that in Pawl's own name."""
        known: Mapping[int, Pull] = self._facets.known("pulls", "list") or {}
        if any(pull.open and pull.ended_by for pull in known.values()):
            self._facets.drop("pulls", "list")

    def put(self, pull: Pull) -> None:
        """A pull request is now so."""
        self._facets.update("pulls", "list", lambda pulls: with_item(pulls, pull.number, pull))

    def put_invitation(self, invitation: Invitation) -> None:
        """The pull request that offers Pawl is now so."""
        self._facets.put("pulls", "invitation", invitation)
