"""What check runs say: of an experiment on its head, of a calibration on its base."""

from __future__ import annotations

from dataclasses import dataclass

from pawl.core.cheats import CHEATS
from pawl.core.decision import Verdict
from pawl.core.finding import Fence
from pawl.core.ledger import VerdictLine
from pawl.core.measurement import Purpose, Request
from pawl.messages.canaries import FENCES
from pawl.messages.figures import DETECTABLE, count, duration, number
from pawl.messages.progress import last_outcomes
from pawl.messages.quoting import Safe, code, link, prose
from pawl.messages.rendering import render
from pawl.messages.report import Report, heading, report_values
from pawl.messages.request_text import request_block

_PURPOSES = {
    Purpose.POOL: "Baseline pool",
    Purpose.SENTINEL: "Sentinel run",
    Purpose.AUDIT: "Audit",
    Purpose.CANARY: "Planted cheat",
}


@dataclass(frozen=True)
class CheckOutput:
    """A check run's output, within what GitHub admits."""

    title: str
    summary: str
    text: str


@dataclass(frozen=True)
class Button:
    """A button of a check run. GitHub admits three, with 20 characters of label and 40 of description."""

    label: str
    description: str
    identifier: str
    """The command it stands for."""


PAUSE = Button("Pause the loop", "Start nothing new", "pause")
CLOSE = Button("Close", "Measure no further, and close it", "close")
WHILE_MEASURED = (CLOSE, PAUSE)
KEPT = (
    Button("Merge", "Let these measured bytes in", "merge"),
    Button("Measure again", "Let new runs decide", "rerun"),
    Button("Close", "Keep it out, and close it", "close"),
)


def queued(request: Request) -> CheckOutput:
    """An attempt or calibration that waits for a runner. Its text carries the request, which is read back from there."""
    return CheckOutput(
        title=f"{_subject(request)}: waiting for a runner",
        summary=render("check_queued", **_asked(request)),
        text=_with_request(request),
    )


def untaken(request: Request, why: str, page: str) -> CheckOutput:
    """An attempt or calibration that has waited for a runner for too long.

    Args:
        request: what it is to measure.
        why: why no runner takes it, without the sentence's end; shown as data.
        page: where people see the runners; empty where that is not known.
    """
    where = Safe("Settings → Actions → Runners")
    return CheckOutput(
        title=f"{_subject(request)}: no runner takes it",
        summary=render("check_untaken", **_asked(request), why=prose(why), page=link(where, page)),
        text=_with_request(request),
    )


def measuring(request: Request, url: str, estimate: float) -> CheckOutput:
    """The job runs.

    Args:
        request: what it measures.
        url: the job's page.
        estimate: seconds it is likely to take.
    """
    return CheckOutput(
        title=f"{_subject(request)}: measuring, about {duration(estimate)}",
        summary=render(
            "check_measuring",
            **_asked(request),
            job=link(Safe("The measuring job"), url),
            estimate=duration(estimate),
        ),
        text=_with_request(request),
    )


def concluded(report: Report) -> CheckOutput:
    """The verdict, short; the experiment's comment has everything."""
    line = report.line
    ended = line.experiment in last_outcomes(report.ledger)
    return CheckOutput(
        title=heading(line),
        summary=render(
            "check_concluded", **report_values(report), goes_on=line.verdict is Verdict.KEEP and not ended
        ),
        text=render("check_details", **report_values(report), **_origin(line)),
    )


def cut_off(request: Request, reason: str) -> CheckOutput:
    """The job ended before its plan did, and another one goes on behind its runs."""
    return CheckOutput(
        title=f"{_subject(request)}: the job was cut off",
        summary=render("check_cut_off", **_asked(request), reason=prose(reason) if reason.strip() else ""),
        text=_with_request(request),  # still read back, should the ledger not have heard of it
    )


def calibrated(request: Request, ok: bool, reason: str, runs: int) -> CheckOutput:
    """A calibration's end.

    Args:
        request: what was asked for.
        ok: whether it has what it was for.
        reason: in a sentence, why or why not.
        runs: how many were started.
    """
    name = _PURPOSES.get(request.purpose, "Calibration")
    made = count(runs, "run")
    said = prose(reason) if reason not in ("", made) else ""
    return CheckOutput(
        title=f"{name}: {made}" if ok else f"{name}: failed",
        summary=render("check_calibrated", **_asked(request), ok=ok, reason=said, runs=made),
        text=_with_request(request),  # still read back, should the ledger not have heard of it
    )


def canary(request: Request, fence: Fence, reason: str) -> CheckOutput:
    """What a planted cheat met.

    Args:
        request: what was asked for.
        fence: whether it was stopped.
        reason: in a sentence, by what, or how it got through.
    """
    return CheckOutput(
        title=f"{_subject(request)}: {FENCES[fence]}",
        summary=render(
            "check_canary",
            **_asked(request),
            fence=fence.value,
            reason=prose(reason) if reason else "",
            unless=Safe(CHEATS[request.cheat].unless) if request.cheat in CHEATS else "",
        ),
        text=_with_request(request),  # still read back, should the ledger not have heard of it
    )


def _subject(request: Request) -> str:
    if request.purpose is Purpose.EXPERIMENT:
        return f"Experiment {request.number}"
    return _PURPOSES[request.purpose]


def _asked(request: Request) -> dict[str, object]:
    """What every summary may say of a request."""
    known = request.calibration
    metric = request.rules.metric
    return {
        "purpose": request.purpose.value,
        "number": request.number,
        "attempt": request.attempt,
        "loop": code(request.loop),
        "file": code(request.rules.edit),
        "metric": code(metric.name),
        "budget": duration(request.budget),
        "grace": duration(request.grace),
        "wanted": count(request.runs_wanted, "run"),
        "done": len(request.runs),
        "sealing": request.purpose is Purpose.EXPERIMENT and request.start.value == "seal",
        "pool": len(known.pool),
        "sigma": number(known.sigma) if known.dof and not request.rules.task_agent else "",
        "detectable": ""
        if request.rules.task_agent or not (known.dof and known.sigma)
        else number(DETECTABLE * known.sigma),
    }


def _with_request(request: Request) -> str:
    return (
        "What the job was asked for, to the letter. Pawl reads it back from here.\n\n"
        f"<details><summary>Request</summary>\n\n{request_block(request)}\n\n</details>\n"
    )


def _origin(line: VerdictLine) -> dict[str, object]:
    """Names of what was measured, for those who recompute it."""
    return {
        "base": Safe(line.base),
        "head": Safe(line.head),
        "content": Safe(f"`{line.content}`"),
        "record": Safe(f"`{line.record}`") if line.record else "",
        "attempt": line.attempt,
    }
