"""`pawl measure`: wires the lab to a file, a job's environment and a terminal."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

from pawl.commands.job_log import JobLog, inert
from pawl.core.measurement import Request
from pawl.lab import Measured, MeasureError, Options, measure, read_request

STOP = "refs/pawl/stop"
TIMEOUT = 20
"""Seconds to wait for GitHub when the attempt is claimed."""


def run_measure(request_file: str, out: Path, repo: Path, sandbox: str | None) -> int:
    """Measure a request and print what happens; gives the exit code."""
    log = JobLog(os.environ)  # also here: the workflow of the App calls this in a job
    try:
        kind: Literal["process", "docker"] | None = None
        if sandbox is not None:
            if sandbox not in ("process", "docker"):
                raise MeasureError(
                    f"no sandbox {sandbox!r}", "there are two: process and docker", "name one of them"
                )
            kind = "docker" if sandbox == "docker" else "process"
        done = measured(_request_file(request_file, out), out, repo, kind, log.line)
    except MeasureError as error:
        print(inert(f"pawl: {error}"), file=sys.stderr)  # noqa: T201
        return 2
    if done.record.refused:
        log.line(f"nothing was measured: {done.record.refused}")
        return done.exit_code or 1
    log.line(f"{len(done.record.runs)} runs recorded in {done.path}")
    return done.exit_code


def measured(
    path: Path,
    out: Path,
    repo: Path,
    sandbox: Literal["process", "docker"] | None,
    progress: Callable[[str], None],
    restored: tuple[str, ...] | None = None,
) -> Measured:
    """Measure the request in a file, in whatever job this is. The last argument is that of `Options`.

    Raises:
        MeasureError: there is nothing to put into a record.
    """
    return measure(
        read_request(path),
        Options(
            out=out,
            repo=repo,
            sandbox=sandbox,
            job=os.environ.get("GITHUB_RUN_ID", ""),
            claim=lambda asked: claim(asked, os.environ, progress),
            progress=progress,
            hidden=(path,),
            restored=restored,
        ),
    )


def _request_file(name: str, out: Path) -> Path:
    """The request as a file; standard input is written beside the record first."""
    if name != "-":
        return Path(name)
    text = sys.stdin.read()
    try:
        out.mkdir(parents=True, exist_ok=True)
        path = out / "request.json"
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MeasureError(
            f"{out} cannot be written to", str(error), "name another folder with --out"
        ) from None
    return path


def claim(request: Request, environment: Mapping[str, str], say: Callable[[str], None]) -> str:
    """Ask GitHub whether this attempt may be measured here; empty if it may, else why not.

    It may not when the ref ``refs/pawl/stop`` exists, when another job has taken the attempt, or when this very job has run
    before: GitHub keeps the record of the first time, and Pawl reads that one alone.

    Outside a job, or without a token, there is nobody to ask, and nothing to fear: Pawl reads one job's record only.
    """
    token = environment.get("GITHUB_TOKEN", "")
    api = environment.get("PAWL_API") or environment.get("GITHUB_API_URL", "")
    run_id = environment.get("GITHUB_RUN_ID", "")
    if not (token and api.startswith(("https://", "http://127.0.0.1", "http://localhost")) and run_id):
        return ""
    ask = _Asker(f"{api.rstrip('/')}/repos/{request.repository}", token, say)
    if any(ref.get("ref") == STOP for ref in ask("git/matching-refs/pawl/stop") or []):
        return f"the ref {STOP} stops every loop of this repository; delete it to go on"
    if request.check_run and environment.get("GITHUB_RUN_ATTEMPT", "1") != "1":
        return (
            "this job was run again: what it measured the first time counts, and where that was too little Pawl starts "
            "another job by itself"
        )
    check = ask(f"check-runs/{request.check_run}") if request.check_run else None
    if check is None:
        return ""  # a duplicate costs time, a refusal costs the experiment: GitHub being away is no reason to refuse
    if check.get("status") == "completed":
        return "this attempt has been concluded"
    details = str(check.get("details_url") or "")
    if check.get("status") == "in_progress" and "/actions/runs/" in details:
        holder = details.split("/actions/runs/", 1)[1].split("/", 1)[0]
        if holder.isdigit() and holder != run_id:
            return f"job {holder} has taken this attempt"
    return ""


class _Asker:
    """Reads from GitHub with a job's token; none where GitHub does not answer."""

    def __init__(self, address: str, token: str, say: Callable[[str], None]) -> None:
        self._address, self._token, self._say = address, token, say

    def __call__(self, path: str) -> Any:
        asked = urllib.request.Request(  # noqa: S310 - the scheme was checked by the caller
            f"{self._address}/{path}",
            headers={"Authorization": f"Bearer {self._token}", "Accept": "application/vnd.github+json"},
        )
        try:
            with urllib.request.urlopen(asked, timeout=TIMEOUT) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                self._say(
                    f"GitHub does not tell whether this may be measured here ({path}: {error.code}), so it is: give the "
                    "job `checks: read` and `contents: read`"
                )
            return None
        except (urllib.error.URLError, TimeoutError, ValueError):
            return None
