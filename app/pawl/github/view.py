"""What Pawl knows of a repository at the moment: facets that are each read once, until something says they changed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from pawl.core.config import Config
from pawl.core.config_file import parse_config
from pawl.github.client import Identity, Repository
from pawl.github.errors import NotFound
from pawl.github.facet_checks import Checks
from pawl.github.facet_jobs import Jobs
from pawl.github.facet_people import People
from pawl.github.facet_pulls import Pulls
from pawl.github.facet_refs import Refs
from pawl.github.facets import Facets
from pawl.github.facts import ConfigFile, Home
from pawl.github.ledger_branch import LedgerBranch
from pawl.github.objects import BlobStore, Objects
from pawl.github.rules_file import rules_file


class RepositoryView(Facets):
    """One repository, as far as it was looked at.

    Whoever writes keeps the facets true by their ``put`` methods, from GitHub's answers, so that a look costs few requests.

    Args:
        client: the repository.
        store: where git objects are kept between processes.
        ended: conclusions of measuring jobs by their workflow run, where only that run's other jobs still go on: whoever
            looks from within such a run would wait for itself.
    """

    def __init__(
        self, client: Repository, store: BlobStore | None = None, ended: Mapping[int, str] | None = None
    ) -> None:
        super().__init__()
        self.client = client
        self.objects = Objects(client, store)
        self.refs = Refs(self, client, self.objects)
        self.pulls = Pulls(self, client, self.refs)
        self.people = People(self, client)
        self.jobs = Jobs(self, client, self.default_branch, ended or {})
        self.checks = Checks(self, client)
        self.ledger = LedgerBranch(client, self.refs, self.objects, secrets.token_hex(4))
        self._configs: dict[str, Config] = {}
        self.estranged: tuple[Identity, str] | None = None
        """Who Pawl went by when something that it had just written came back as another's, and what to say of that."""

    @property
    def name(self) -> str:
        """``owner/name``."""
        return self.client.name

    def forget_all(self) -> None:
        """Read everything again that can change, comments behind the newest ones too: some may have no answer yet."""
        with self.lock:
            super().forget_all()
            self.people.forget_heard()

    def forget_brakes(self) -> None:
        """Read again what a person stops a loop with: GitHub announces refs of branches only, and a webhook can be lost."""
        with self.lock:
            self.refs.forget_stop()
            self.forget("tracking")

    def home(self) -> Home:
        """The repository itself.

        Raises:
            NotFound: it has another name by now, so that nothing that is known under this one goes on.
        """

        def read() -> Home:
            home = Home.read(self.client.get())
            if home.name.lower() != self.name.lower():
                raise NotFound(301, f"{self.name} is called {home.name} now", f"GET /repos/{self.name}")
            return home

        return self.once("refs", "home", read)

    def default_branch(self) -> str:
        """The branch that rules and workflows come from."""
        return self.home().default_branch

    def config(self) -> Config | None:
        """The rules of all loops, from the default branch; none where there is no such file.

        Raises:
            ConfigError: they cannot be used.
        """
        return self.once("refs", "config", self._config)

    def _config(self) -> Config | None:
        file = self.config_file()
        if file is None:
            return None
        if file.sha not in self._configs:
            self._configs = {file.sha: parse_config(file.text)}
        return self._configs[file.sha]

    def config_file(self) -> ConfigFile | None:
        """The file that the rules are in, on the default branch; none where there is none."""
        return self.once("refs", "config file", lambda: self.config_at(self.default_branch()))

    def config_at(self, ref: str) -> ConfigFile | None:
        """The same on any branch or commit."""
        return rules_file(self.client, ref)
