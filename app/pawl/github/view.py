"""What Pawl knows of a repository at the moment: facets that are each read once, until something says they changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from pawl.core.asks import Labelled, Level
from pawl.core.config import WORKFLOW_PATH, Config
from pawl.core.config_file import parse_config
from pawl.core.policy import PAUSED_LABEL
from pawl.core.waiting import Runner
from pawl.github.artifacts import Handed, fetch_handed
from pawl.github.client import PAGE, Identity, Repository
from pawl.github.errors import Forbidden, NotFound, Unobservable
from pawl.github.facets import Facets
from pawl.github.facts import (
    ONBOARDING_BRANCH,
    Branch,
    CheckRun,
    Comment,
    ConfigFile,
    Dispatched,
    Home,
    Invitation,
    Issue,
    Pull,
    Status,
    is_experiment,
)
from pawl.github.ledger_branch import LedgerBranch
from pawl.github.objects import BlobStore, Commit, Objects
from pawl.github.rules_file import rules_file
from pawl.github.runners import listed

WORKFLOW = WORKFLOW_PATH.rsplit("/", 1)[-1]
TRACKING_LABEL = "pawl:tracking"
RECENT_JOBS = 100
"""Jobs that are looked through: a lane has two at a time, so older ones have ended long ago."""
RECENT_COMMENTS = 500
"""Comments that are looked through after a long absence."""
PREFIX = "refs/heads/"


class RepositoryView(Facets):
    """One repository, as far as it was looked at.

    Whoever writes keeps the facets true by the ``put_`` methods, from GitHub's answers, so that a look costs few requests.

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
        self._ended = ended or {}
        self.objects = Objects(client, store)
        self.ledger = LedgerBranch(self)
        self._configs: dict[str, Config] = {}
        self._old_pulls: dict[int, Pull] = {}
        self._heard: frozenset[int] = frozenset()
        """Comments that the last look at them has found."""
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
            self._heard = frozenset()

    # Reading.

    def default_branch(self) -> str:
        """The branch that rules and workflows come from."""
        return self.home().default_branch

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

        return self._once("refs", "home", read)

    def config(self) -> Config | None:
        """The rules of all loops, from the default branch; none where there is no such file.

        Raises:
            ConfigError: they cannot be used.
        """
        return self._once("refs", "config", self._config)

    def _config(self) -> Config | None:
        file = self.config_file()
        if file is None:
            return None
        if file.sha not in self._configs:
            self._configs = {file.sha: parse_config(file.text)}
        return self._configs[file.sha]

    def config_file(self) -> ConfigFile | None:
        """The file that the rules are in, on the default branch; none where there is none."""
        return self._once("refs", "config file", lambda: self.config_at(self.default_branch()))

    def config_at(self, ref: str) -> ConfigFile | None:
        """The same on any branch or commit."""
        return rules_file(self.client, ref)

    def branch(self, name: str) -> Branch:
        """The tip of a loop's branch.

        Raises:
            NotFound: there is no such branch.
        """

        def read() -> Branch:
            data = self.client.get(f"branches/{name}")
            self.objects.put_commit(
                Commit.read(
                    {
                        "sha": data["commit"]["sha"],
                        **data["commit"]["commit"],
                        "parents": data["commit"]["parents"],
                    }
                )
            )
            return Branch.read(data)

        return self._once("refs", ("branch", name), read)

    def required_checks(self, name: str) -> frozenset[str]:
        """Names of the checks that a branch requires, by protection or by a ruleset; the latter cost a request of their own.

        Raises:
            NotFound: there is no such branch.
        """
        branch = self.branch(name)
        if not branch.protected:
            return frozenset()

        def read() -> frozenset[str]:
            rules = self.client.get(f"rules/branches/{name}", per_page=PAGE)
            checks = [
                check["context"]
                for rule in rules
                if rule["type"] == "required_status_checks"
                for check in rule["parameters"]["required_status_checks"]
            ]
            return frozenset(checks)

        return frozenset(branch.required_checks) | self._once("refs", ("rules", name), read)

    def refs(self) -> Mapping[str, str]:
        """Branches below ``pawl/`` by name, with their tips."""
        return self._once("refs", "own", lambda: self._refs("heads/pawl/", PREFIX))

    def stop(self) -> bool:
        """Whether the ref ``refs/pawl/stop`` is there."""
        return self._once("refs", "stop", lambda: "stop" in self._refs("pawl/stop", "refs/pawl/"))

    def forget_brakes(self) -> None:
        """Read again what a person stops a loop with: GitHub announces refs of branches only, and a webhook can be lost."""
        with self.lock:
            self._known.get("refs", {}).pop("stop", None)
            self.forget("tracking")

    def _refs(self, prefix: str, strip: str) -> dict[str, str]:
        found = self.client.pages(f"git/matching-refs/{prefix}", per_page=None)
        return {item["ref"].removeprefix(strip): item["object"]["sha"] for item in found}

    def pulls(self) -> Mapping[int, Pull]:
        """Pull requests from branches below ``pawl/`` by number: all open ones, and those that changed last."""
        return self._once("pulls", "list", self._pulls)

    def _pulls(self) -> dict[int, Pull]:
        """The hundred that changed last; beyond them only open ones can matter, and only those that were never seen."""
        query: dict[str, Any] = {"sort": "updated", "direction": "desc", "per_page": PAGE}
        recent = [Pull.read(item) for item in self.client.get("pulls", state="all", **query)]
        pulls = dict(self._old_pulls)
        if len(recent) == PAGE and pulls.get(recent[-1].number) != recent[-1]:
            opened = self.client.pages("pulls", state="open", **query)
            pulls = {pull.number: pull for pull in map(Pull.read, opened)}
        pulls |= {pull.number: pull for pull in recent}
        self._old_pulls = pulls
        return {
            number: pull for number, pull in pulls.items() if pull.own and pull.branch.startswith("pawl/")
        }

    def guests(self) -> tuple[Pull, ...]:
        """Open pull requests that are no experiments: people's, other bots', and the one that offers Pawl itself."""
        self.pulls()
        found = {**self._old_pulls, **self.pulls()}
        return tuple(
            pull
            for _, pull in sorted(found.items())
            if pull.open and not (pull.own and is_experiment(pull.branch))
        )

    def invitation(self) -> Invitation | None:
        """The pull request that offers Pawl to the repository: the open one, else the newest."""

        def read() -> Invitation | None:
            owner = self.name.split("/")[0]
            query = {"head": f"{owner}:{ONBOARDING_BRANCH}", "state": "all", "per_page": 30}
            found = [Invitation.read(item) for item in self.client.get("pulls", **query)]
            return max(found, key=lambda item: (item.open, item.number), default=None)

        return self._once("pulls", "invitation", read)

    def tracking(self) -> tuple[Issue, ...]:
        """Issues with the tracking label that Pawl opened, oldest first."""

        def read() -> tuple[Issue, ...]:
            listed = self.client.pages(
                "issues", labels=TRACKING_LABEL, state="all", sort="created", direction="asc"
            )
            issues = [Issue.read(item) for item in listed if "pull_request" not in item]
            return tuple(issue for issue in issues if issue.author == self.client.identity.login)

        return self._once("tracking", "list", read)

    def comments(self) -> tuple[Comment, ...]:
        """The newest comments on issues and pull requests, oldest first: one request for a hundred of them.

        More are read only where none of these was seen before, so that what was said while Pawl was down is heard.
        """

        def read() -> tuple[Comment, ...]:
            listed = self.client.pages("issues/comments", sort="created", direction="desc")
            newest = [Comment.read(item) for item in islice(listed, PAGE)]
            if self._heard.isdisjoint(comment.id for comment in newest):
                newest += [Comment.read(item) for item in islice(listed, RECENT_COMMENTS - PAGE)]
            self._heard = frozenset(comment.id for comment in newest)
            return tuple(sorted(newest, key=lambda comment: comment.id))

        return self._once("comments", "list", read)

    def level(self, login: str) -> Level:
        """What a person may do here: GitHub's own word, for an association like MEMBER says nothing of this repository."""

        def read() -> Level:
            try:
                told = self.client.get(f"collaborators/{login}/permission")
            except NotFound:
                return Level.NONE
            # `permission` knows neither triage nor maintain; `role_name` may be a role that an organisation made up.
            role = Level.of(str(told.get("role_name")))
            return role if role is not Level.NONE else Level.of(str(told.get("permission")))

        return self._once("comments", ("level", login), read)

    def labelled_by(self, issue: int, label: str) -> Labelled | None:
        """Who last put a label on an issue, and what they may do here; none where GitHub does not say."""

        def read() -> Labelled | None:
            by = ""
            for event in self.client.pages(f"issues/{issue}/events"):
                if event["event"] == "labeled" and event["label"]["name"] == label:
                    by = str((event.get("actor") or {}).get("login", ""))
            return Labelled(by, self.level(by)) if by else None

        return self._once("tracking", ("labelled", issue, label), read)

    def braked_by(self, issue: int) -> str:
        """Who last paused a loop by its tracking issue, or let it go on; empty where GitHub does not say."""

        def read() -> str:
            by = ""
            for event in self.client.pages(f"issues/{issue}/events"):
                named = (event.get("label") or {}).get("name")
                if event["event"] in ("closed", "reopened") or (
                    event["event"] in ("labeled", "unlabeled") and named == PAUSED_LABEL
                ):
                    by = str((event.get("actor") or {}).get("login", ""))
            return by

        return self._once("tracking", ("braked", issue), read)

    def jobs(self) -> tuple[Dispatched, ...]:
        """Jobs of the measuring workflow that Pawl started lately, oldest first."""

        def read() -> tuple[Dispatched, ...]:
            path = f"actions/workflows/{WORKFLOW}/runs"
            try:
                listed = self.client.get(path, event="workflow_dispatch", per_page=RECENT_JOBS)[
                    "workflow_runs"
                ]
            except NotFound:
                raise Unobservable(
                    f"{self.name} has no workflow {WORKFLOW_PATH} on {self.default_branch()}, so nothing can be "
                    "measured; `pawl init` writes it"
                ) from None
            jobs = (Dispatched.read(item, self.default_branch()) for item in listed)
            return tuple(
                sorted((self._as_ended(job) for job in jobs if job is not None), key=lambda job: job.id)
            )

        return self._once("jobs", "list", read)

    def _as_ended(self, job: Dispatched) -> Dispatched:
        conclusion = self._ended.get(job.id)
        return job if conclusion is None else replace(job, status="completed", conclusion=conclusion)

    def checks(self, commit: str) -> tuple[CheckRun, ...]:
        """All check runs on a commit, superseded ones included, oldest first."""

        def read() -> tuple[CheckRun, ...]:
            found = self.client.pages(f"commits/{commit}/check-runs", "check_runs", filter="all")
            checks = [CheckRun.read(item, self.client.identity.owns) for item in found]
            for check in checks:
                self._put("checks", ("run", check.id), check)
            return tuple(sorted(checks, key=lambda check: check.id))

        return self._once("checks", ("commit", commit), read)

    def check(self, check_run: int) -> CheckRun:
        """One check run.

        Raises:
            NotFound: there is none.
        """

        def read() -> CheckRun:
            return CheckRun.read(self.client.get(f"check-runs/{check_run}"), self.client.identity.owns)

        return self._once("checks", ("run", check_run), read)

    def statuses(self, commit: str) -> tuple[Status, ...]:
        """The last commit status of each context; none where the installation does not let them be read."""
        if not self.client.grant.allows("statuses", "read"):
            return ()

        def read() -> tuple[Status, ...]:
            found = self.client.pages(f"commits/{commit}/status", "statuses")
            return tuple(Status(item["context"], item["state"]) for item in found)

        return self._once("checks", ("statuses", commit), read)

    def labels_of(self, job: int) -> tuple[str, ...]:
        """What the runner of a job that waits must be labelled with; nothing where it does not wait any more."""

        def read() -> tuple[str, ...]:
            for item in self.client.pages(f"actions/runs/{job}/jobs", "jobs"):
                if item["status"] == "queued":
                    return tuple(str(label) for label in item["labels"])
            return ()

        return self._once("jobs", ("labels", job), read)

    def runners(self) -> tuple[Runner, ...] | None:
        """The repository's runners; none where Pawl may not list them."""
        if not self.client.grant.allows("administration", "read"):
            return None

        def read() -> tuple[Runner, ...] | None:
            try:
                return tuple(listed(self.client))
            except (Forbidden, NotFound):
                return None  # a token that may not: GitHub does not tell beforehand

        return self._once("jobs", "runners", read)

    def handed(self, job: int) -> Handed:
        """What an ended job handed in."""
        return self._once("jobs", ("handed", job), lambda: fetch_handed(self.client, job))

    def ended_by(self, pull: Pull) -> str:
        """Who closed or merged a pull request; empty where GitHub does not say."""
        if pull.ended_by is not None:
            return pull.ended_by

        def read() -> str:
            return str((self.client.get(f"issues/{pull.number}").get("closed_by") or {}).get("login", ""))

        return self._once("pulls", ("ended by", pull.number), read)

    # Knowing what was just written.

    def put_ref(self, branch: str, sha: str | None) -> None:
        """A branch below ``pawl/`` is now here, or gone."""
        self._update("refs", "own", lambda refs: _with(refs, branch, sha))

    def put_branch(self, branch: Branch) -> None:
        """A loop's branch is now here."""
        self._put("refs", ("branch", branch.name), branch)

    def put_pull(self, pull: Pull) -> None:
        """A pull request is now so."""
        self._update("pulls", "list", lambda pulls: _with(pulls, pull.number, pull))

    def put_no_checks(self, commit: str) -> None:
        """A commit was just made, so that nothing has checked it."""
        self._put("checks", ("commit", commit), ())

    def put_check(self, check: CheckRun) -> None:
        """A check run is now so."""
        self._put("checks", ("run", check.id), check)
        self._update(
            "checks",
            ("commit", check.head),
            lambda checks: (*(other for other in checks if other.id != check.id), check),
        )

    def put_invitation(self, invitation: Invitation) -> None:
        """The pull request that offers Pawl is now so."""
        self._put("pulls", "invitation", invitation)

    def put_job(self, job: Dispatched) -> None:
        """A job was just started."""
        self._update("jobs", "list", lambda jobs: (*jobs, job))

    def put_comment(self, comment: Comment) -> None:
        """A comment was just written."""
        self._update("comments", "list", lambda comments: (*comments, comment))

    def put_tracking(self, issue: Issue) -> None:
        """A tracking issue is now so."""
        self._update(
            "tracking",
            "list",
            lambda issues: (*(other for other in issues if other.number != issue.number), issue),
        )


def _with(mapping: Mapping[Any, Any], key: Any, value: Any) -> dict[Any, Any]:
    changed = {**mapping, key: value}
    return {name: item for name, item in changed.items() if item is not None}
