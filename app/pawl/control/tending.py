"""What Pawl does for a repository beside its loops: offer itself, check the configuration, stay out of people's way."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from pawl.core.config_file import ConfigError
from pawl.github.act import Actor
from pawl.github.config_checks import ConfigChecks, RequiredChecks
from pawl.github.errors import Moved, Unobservable, Unprocessable
from pawl.github.grants import Grant
from pawl.github.onboarding import Onboarding
from pawl.github.permissions import Permissions
from pawl.github.view import RepositoryView

log = structlog.get_logger(__name__)


class Tending:
    """The rest of a look at a repository, after its loops.

    Args:
        view: the repository.
        actor: what writes to it.
        chosen: whether somebody picked this repository for the App.
    """

    def __init__(self, view: RepositoryView, actor: Actor, chosen: bool) -> None:
        self._view, self._actor = view, actor
        self._onboarding = Onboarding(view, chosen)
        self._configs = ConfigChecks(view)
        self._required = RequiredChecks(view)
        self._permissions = Permissions(view, actor, chosen)
        self._chosen = chosen

    def wait(self, grant: Grant) -> None:
        """Tell people that an installation does not grant what Pawl needs.

        Raises:
            GitHubError: a request did not succeed.
        """
        with self._view.lock:
            self._permissions.wait(grant)

    def look(self, troubles: Mapping[str, str], broken: ConfigError | None = None) -> None:
        """Write what people have to know that no loop tells them.

        Args:
            troubles: why loops cannot be looked at, by loop.
            broken: why none can, where the configuration cannot be used.

        Raises:
            GitHubError: a request did not succeed.
        """
        try:
            with self._view.lock:
                self._look(troubles, broken)
        except (Moved, Unobservable, Unprocessable) as problem:
            # Its loops do not wait for it: what GitHub refuses here would else put off every look at them.
            log.warning("the repository cannot be tended", repository=self._view.name, why=str(problem))
            self._view.forget_all()

    def _look(self, troubles: Mapping[str, str], broken: ConfigError | None) -> None:
        file = self._view.config_file()
        if file is not None or self._chosen:
            self._permissions.settle()
        if file is None:
            self._onboarding.look()
        else:
            self._configs.default_branch(file, troubles)
            self._onboarding.tidy()
        self._configs.guests()
        if broken is not None:
            self._actor.tell_every_loop(f"the configuration cannot be used. {broken}")
            return
        for loop, why in troubles.items():
            self._actor.tell_trouble(loop, why)
        config = self._view.config()
        if config is not None:
            self._required.look(config.loops)
