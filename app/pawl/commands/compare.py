"""The Action on ordinary pull requests: one job measures both versions and can write nothing, another one reports."""

from __future__ import annotations

from pawl.commands.action import ActionStep, Trouble
from pawl.commands.gate import PullRequest, pull_request_of, request_for
from pawl.core.comparing import Compared, Comparison, compare
from pawl.core.decision import Calibrated, OutOfOrder, advance
from pawl.core.measurement import Arm, Purpose, Record, Request, RunRecord
from pawl.messages.comparison import comparison_comment, comparison_marker
from pawl.messages.figures import effect_words


def measure_both(step: ActionStep) -> int:
    """Measure the base and the pull request, run by run in turns."""
    from pawl.commands.measure import measured
    from pawl.lab import MeasureError

    pull = pull_request_of(step)
    request, restored = request_for(step, pull)
    path = step.out / "request.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(request.model_dump_json(), encoding="utf-8")
        with step.log.group(f"Comparing {pull.head[:12]} with {pull.base[:12]}"):
            done = measured(path, step.out, step.workspace, None, step.log.line, restored)
    except (MeasureError, OSError) as error:
        raise Trouble(error) from None
    compared = concluded(request, done.record)
    _tell(step, request, compared)
    step.log.output(record=done.path)
    return done.exit_code


def report(step: ActionStep) -> int:
    """Comment what was measured on the pull request; 1 if it is worse, or could not be measured."""
    from pawl.commands.action_step import explained
    from pawl.commands.step import Round, StepError, signed_in_for
    from pawl.github.artifacts import BadRecord, fetch_comparison
    from pawl.github.comments import Comments
    from pawl.github.errors import GitHubError
    from pawl.github.view import RepositoryView

    pull = pull_request_of(step)
    try:
        client = signed_in_for(step.environment, Round(step.repository), seeded=False).client
        try:
            request, record = fetch_comparison(client, step.run)
        except BadRecord as bad:
            raise Trouble(
                f"there is nothing to report: {bad}. The log of the measuring job says why"
            ) from None
        _must_be_of(request, step, pull)
        compared = concluded(request, record)
        body = comparison_comment(request, record, compared)
        marker = comparison_marker(request.loop)
        Comments(RepositoryView(client)).write(pull.number, marker, body, fresh=False)
    except (StepError, GitHubError) as error:
        raise explained(error) from None
    _tell(step, request, compared)
    step.log.summary(body)
    if compared.comparison in (Comparison.WORSE, Comparison.FAILED):
        step.log.annotate(
            "error",
            f"{request.rules.metric.name}: {compared.comparison}. The pull request's comment has the figures",
        )
        return 1
    return 0


def concluded(request: Request, record: Record) -> Compared:
    """What a record of a comparison means.

    Raises:
        Trouble: its runs are not those that were asked for.
    """
    if record.request != request.digest:
        raise Trouble("the record answers another request than the one that lies beside it")
    try:
        end = advance(request, record.facts)
    except (OutOfOrder, ValueError, ArithmeticError) as error:
        raise Trouble(f"the record's runs do not follow the plan: {error}") from None
    reason = record.refused
    if not reason and not isinstance(end, Calibrated):
        reason = "the job ended before all runs were made"
    if not reason and isinstance(end, Calibrated) and not end.ok:
        reason = next((_failure(run) for run in reversed(record.runs) if run.reason), end.reason)
    return compare(request.rules.metric, record.facts, reason)


def _failure(run: RunRecord) -> str:
    whose = "the base" if run.arm is Arm.BASELINE else "this version"
    return f"of {whose}, {run.reason}"


def _must_be_of(request: Request, step: ActionStep, pull: PullRequest) -> None:
    """Whoever measures could hand in any file: it has to be of this pull request, as it is now."""
    wanted = (step.repository, Purpose.AUDIT, pull.number, pull.base, pull.head)
    found = (request.repository, request.purpose, request.number, request.base, request.candidate)
    if wanted != found:
        raise Trouble("what was measured is not this pull request's version; run the workflow again")


def _tell(step: ActionStep, request: Request, compared: Compared) -> None:
    metric = request.rules.metric
    step.log.output(
        verdict=compared.comparison.value,
        baseline=compared.baseline,
        metric=compared.candidate,
        effect="" if compared.effect is None else effect_words(metric, compared.effect),
        pull_request=request.number,
    )
    step.log.line(f"{metric.name}: {compared.comparison}{': ' + compared.reason if compared.reason else ''}")
