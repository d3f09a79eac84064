"""`pawl conformance`: tries on a real repository what Pawl believes about GitHub, and saves what was said."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from rich.console import Console
from rich.text import Text

from pawl import __version__
from pawl.commands.assumptions import ASSUMPTIONS, Assumption
from pawl.commands.probing import Failed, Ground, Skipped, redacted
from pawl.commands.step import NAME
from pawl.control.errors import SettingsError
from pawl.control.settings import API, api_address, read_settings
from pawl.control.signing_in import app_of
from pawl.github.app import App, Token
from pawl.github.errors import GitHubError, NotFound

Result = Literal["held", "failed", "skipped"]
STYLES = {"held": "green", "failed": "bold red", "skipped": "yellow"}


class ConformanceError(Exception):
    """The probes cannot be run; the text says why, and what to do."""


@dataclass(frozen=True)
class Probed:
    """What became of one assumption."""

    assumption: Assumption
    result: Result
    detail: str
    exchanges: Sequence[Mapping[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """For the transcript."""
        return {
            "id": self.assumption.id,
            "statement": self.assumption.statement,
            "result": self.result,
            "detail": redacted(self.detail),
            "exchanges": list(self.exchanges),
        }


def run_conformance(environment: Mapping[str, str], repo: str, out: Path, api: str | None) -> int:
    """Try every assumption on a repository; gives 1 if one failed, else 0.

    Args:
        environment: where the credentials are.
        repo: ``OWNER/NAME``.
        out: file for the transcript.
        api: address of the API, where it is not GitHub's own.

    Raises:
        ConformanceError: nobody can sign in, or the repository cannot be used.
    """
    ground = _ground(environment, repo, api)
    started = datetime.now(UTC)
    console = Console()
    probed: list[Probed] = []
    left: list[str] = []
    try:
        for assumption in ASSUMPTIONS:
            probed.append(probe(assumption, ground))
            _tell(console, probed[-1])
    finally:
        try:
            left = ground.clean()
        except GitHubError as error:
            left = [str(error)]
        _save(out, ground, started, probed, left)
    console.print(_summary(probed))
    for item in left:
        console.print(Text(f"left behind: {item}", style="yellow"), soft_wrap=True)
    console.print(Text(f"transcript: {out}"), soft_wrap=True)
    return 1 if any(item.result == "failed" for item in probed) else 0


def probe(assumption: Assumption, ground: Ground) -> Probed:
    """Try one assumption."""
    ground.recorder.exchanges.clear()
    result: Result = "held"
    try:
        detail = assumption.probe(ground)
    except Skipped as reason:
        result, detail = "skipped", str(reason)
    except (Failed, GitHubError) as reason:
        result, detail = "failed", str(reason)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        result, detail = "failed", f"an answer is not as it should be ({type(error).__name__}: {error})"
    return Probed(assumption, result, detail, tuple(ground.recorder.exchanges))


def _ground(environment: Mapping[str, str], name: str, api: str | None) -> Ground:
    if not NAME.fullmatch(name):
        raise ConformanceError(f"{name!r} is no repository; write it as OWNER/NAME")
    app: App | None = None
    try:
        if environment.get("PAWL_APP_ID"):
            settings = read_settings({"PAWL_WEBHOOK_SECRET": "unused", **environment}, api=api)
            app = app_of(settings)
            client, address = app.repository(name), settings.api
        elif token := environment.get("GITHUB_TOKEN"):
            known = environment.get("PAWL_API") or environment.get("GITHUB_API_URL")
            address = api_address(api or known or API)
            client = Token(token, api=address).repository(name)
        else:
            raise ConformanceError(
                "sign in: set PAWL_APP_ID and PAWL_PRIVATE_KEY_FILE for the App, or GITHUB_TOKEN"
            )
        local = urlsplit(address).hostname in ("127.0.0.1", "localhost", "::1")
        ground = Ground(client, secrets.token_hex(4), app, local)
        ground.prepare()
    except (SettingsError, ValueError) as error:
        raise ConformanceError(error) from None
    except NotFound as error:
        raise ConformanceError(
            f"{name} has no branch that could be read: it must exist, have a first commit, and the App must be installed on "
            f"it ({error.message})"
        ) from None
    except GitHubError as error:
        raise ConformanceError(error) from None
    return ground


def _save(
    out: Path, ground: Ground, started: datetime, probed: Sequence[Probed], left: Sequence[str]
) -> None:
    transcript = {
        "pawl": __version__,
        "repository": ground.client.name,
        "signed_in_as": ground.client.identity.login if ground.app else "a token",
        "started_at": started.isoformat(timespec="seconds"),
        "namespace": ground.prefix,
        "left_behind": [redacted(item) for item in left],
        "assumptions": [item.as_json() for item in probed],
    }
    try:
        out.write_text(json.dumps(transcript, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConformanceError(f"the transcript cannot be written: {error}") from None


def _tell(console: Console, probed: Probed) -> None:
    line = Text.assemble((f"{probed.result:<8}", STYLES[probed.result]), probed.assumption.id)
    if probed.detail and probed.result != "held":
        line.append(f": {redacted(probed.detail)}")
    console.print(line, soft_wrap=True)


def _summary(probed: Sequence[Probed]) -> Text:
    counts = (f"{sum(item.result == result for item in probed)} {result}" for result in STYLES)
    return Text(", ".join(counts), style="bold")
