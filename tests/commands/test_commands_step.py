"""`pawl step`, a round by hand."""

from __future__ import annotations

import pytest

from pawl.commands.step import Round, run_step
from pawl.localhub import HubServer

pytestmark = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")


@pytest.mark.parametrize("dry_run", [True, False])
def test_without_rules_it_says_what_to_do(
    hub_server: HubServer, capsys: pytest.CaptureFixture[str], dry_run: bool
) -> None:
    """It printed nothing at all, and ended well: whoever waited for a pull request waited for ever."""
    hub = hub_server.hub
    hub.create_user("ada")
    hub.create_repository("ada/loop")
    hub.installations.install("ada/loop")
    environment = {
        "PAWL_APP_ID": str(hub.app.id),
        "PAWL_PRIVATE_KEY": hub.app.private_key_pem,
        "PAWL_API": hub_server.api_url,
    }
    assert run_step(environment, Round("ada/loop", dry_run=dry_run, api=hub_server.api_url), True, None) == 0
    told = capsys.readouterr()
    assert told.out == "[]\n"
    assert "ada/loop has no .github/pawl.yml on its default branch" in told.err
    assert "pawl init" in told.err
