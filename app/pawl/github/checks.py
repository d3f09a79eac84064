"""Check runs: what holds an attempt, and what tells its end. Written on commits, by Pawl's App alone."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC
from typing import Any

from pawl.core.actions import FinishCalibration, MarkMeasuring, TellUntaken
from pawl.core.decision import Fence, Verdict
from pawl.core.ledger import VerdictLine
from pawl.core.measurement import Purpose, Request
from pawl.github.estranged import BOT, estranged, require_own
from pawl.github.facts import CheckRun
from pawl.github.names import check_name
from pawl.github.view import RepositoryView
from pawl.messages import checks as texts
from pawl.messages.checks import Button, CheckOutput
from pawl.messages.report import Report

Buttons = tuple[Button, ...]
CONCLUSIONS = {
    Verdict.KEEP: "success",
    Verdict.DISCARD: "neutral",
    Verdict.INCONCLUSIVE: "neutral",
    Verdict.CRASH: "failure",
    Verdict.VIOLATION: "failure",
}
FENCES = {Fence.HELD: "success", Fence.PASSED: "failure", Fence.UNTOLD: "neutral"}


def find(view: RepositoryView, loop: str, commit: str, key: str) -> CheckRun | None:
    """Pawl's own check run of a request on a commit."""
    for check in view.checks.on(commit):
        if check.own and check.name == check_name(loop, key) and check.external_id == key:
            return check
    return None


def hold(view: RepositoryView, commit: str, request: Request) -> tuple[CheckRun, bool]:
    """The check run that holds a commit for a request, and whether it was made just now.

    Raises:
        Unobservable: it came back as another App's. Nothing is dispatched then: the next look would not find it, and
            dispatch again.
    """
    found = find(view, request.loop, commit, request.key)
    if found is not None:
        return found, False
    buttons = texts.WHILE_MEASURED if request.purpose is Purpose.EXPERIMENT else (texts.PAUSE,)
    require_own(view)
    made = _create(view, request.loop, commit, request.key, texts.queued(request), buttons, status="queued")
    if not made.own:
        problem = estranged(view, f"The check run {made.name}", made.app and made.app + BOT)
        cut_off(view, made.id, request, str(problem))
        raise problem
    return made, True


def mark_measuring(view: RepositoryView, action: MarkMeasuring) -> bool:
    """Show that the job runs; whether that was news."""
    if view.checks.run(action.check_run).status != "queued":
        return False
    output = texts.measuring(action.request, action.url, action.estimate)
    began = action.began.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {
        "status": "in_progress",
        "started_at": began,
        "details_url": action.url,
        "output": asdict(output),
    }
    _read(view, view.client.patch(f"check-runs/{action.check_run}", body))
    return True


def tell_untaken(view: RepositoryView, action: TellUntaken) -> bool:
    """Say why no runner takes the job; whether that was news."""
    check, output = view.checks.run(action.check_run), texts.untaken(action.request, action.why, action.page)
    if check.status != "queued" or check.summary.strip() == output.summary.strip():
        return False
    _read(view, view.client.patch(f"check-runs/{action.check_run}", {"output": asdict(output)}))
    return True


def cut_off(view: RepositoryView, check_run: int, request: Request, reason: str) -> bool:
    """Close the check run of an attempt whose job was lost, since another one goes on."""
    return _conclude(view, check_run, "cancelled", texts.cut_off(request, reason))


def finish_calibration(view: RepositoryView, action: FinishCalibration) -> bool:
    """Conclude a calibration's check run; whether that was still to be done."""
    if action.fence is not None:
        output = texts.canary(action.request, action.fence, action.reason)
        return _conclude(view, action.check_run, FENCES[action.fence], output)
    output = texts.calibrated(action.request, action.ok, action.reason, action.runs)
    return _conclude(view, action.check_run, "success" if action.ok else "failure", output)


def publish(view: RepositoryView, check_run: int, report: Report) -> bool:
    """Conclude an experiment's check run with its verdict; whether that was still to be done."""
    conclusion = CONCLUSIONS[report.line.verdict]
    return _conclude(view, check_run, conclusion, texts.concluded(report), _buttons(report.line))


def vouch(view: RepositoryView, commit: str, report: Report) -> bool:
    """Put the concluded check run on a final commit, where a rule may require it; whether it was missing."""
    line: VerdictLine = report.line
    key = f"{line.experiment}.{line.attempt}"
    if find(view, line.loop, commit, key) is not None:
        return False
    conclusion = CONCLUSIONS[line.verdict]
    output, buttons = texts.concluded(report), _buttons(line)
    _create(view, line.loop, commit, key, output, buttons, status="completed", conclusion=conclusion)
    return True


def _buttons(line: VerdictLine) -> Buttons:
    return texts.KEPT if line.verdict is Verdict.KEEP else ()


def _create(
    view: RepositoryView,
    loop: str,
    commit: str,
    key: str,
    output: CheckOutput,
    buttons: Buttons,
    **state: str,
) -> CheckRun:
    body = {
        "name": check_name(loop, key),
        "head_sha": commit,
        "external_id": key,
        "output": asdict(output),
        "actions": [asdict(button) for button in buttons],
        **state,
    }
    return _read(view, view.client.post("check-runs", body))


def _conclude(
    view: RepositoryView, check_run: int, conclusion: str, output: CheckOutput, buttons: Buttons = ()
) -> bool:
    if view.checks.run(check_run).status == "completed":
        return False
    body = {
        "status": "completed",
        "conclusion": conclusion,
        "output": asdict(output),
        "actions": [asdict(button) for button in buttons],
    }
    _read(view, view.client.patch(f"check-runs/{check_run}", body))
    return True


def _read(view: RepositoryView, data: dict[str, Any]) -> CheckRun:
    check = CheckRun.read(data, view.client.identity.owns)
    view.checks.put(check)
    return check
