"""What a step does, action by action, in lines that a person reads: in a job's log and summary, and by `pawl step`."""

from __future__ import annotations

from pawl.core.actions import (
    Action,
    AddLabels,
    Answer,
    Append,
    CancelJob,
    Close,
    CutOff,
    DeleteBranch,
    EnsureTracking,
    FinishCalibration,
    FinishOpening,
    HoldBack,
    KeepTraces,
    MarkMeasuring,
    Merge,
    MergeAsked,
    Promote,
    Propose,
    Publish,
    React,
    Rebase,
    Redispatch,
    RemoveLabels,
    StartAttempt,
    StartCalibration,
    TellUntaken,
    UpdateTracking,
)
from pawl.core.ledger import AnyLine, OutcomeLine, VerdictLine
from pawl.core.measurement import Purpose, Request

_CALIBRATIONS = {
    Purpose.POOL: "the base's own noise",
    Purpose.SENTINEL: "the base once more, as a sentinel",
    Purpose.AUDIT: "old keeps again, as an audit",
    Purpose.CANARY: "a planted cheat",
}


def action_words(action: Action) -> str:
    """An action in the form that follows "would". Numbers are those of experiments, never of pull requests."""
    match action:
        case EnsureTracking():
            return "open the tracking issue, if there is none"
        case UpdateTracking(notices):
            return "update the tracking issue" + (f" ({'; '.join(notices)})" if notices else "")
        case Propose(number):
            return f"ask for an edit for experiment {number}"
        case FinishOpening(number):
            return f"open the pull request of experiment {number}, whose branch is there already"
        case StartAttempt(experiment, request=request):
            return f"start a job that measures experiment {experiment} (attempt {request.key})"
        case StartCalibration(request):
            return f"start a job that measures {_measured(request)} (attempt {request.key})"
        case Redispatch(request):
            return f"start the missing job of attempt {request.key}"
        case MarkMeasuring(request=request):
            return f"show that attempt {request.key} is being measured"
        case TellUntaken(request=request, why=why):
            return f"say why no runner takes attempt {request.key}: {why}"
        case Append(lines):
            return f"write into the ledger: {', '.join(map(_line_words, lines))}"
        case KeepTraces(experiment):
            return f"keep the traces of experiment {experiment}"
        case Publish(experiment, line):
            return (
                f"tell the verdict of experiment {experiment}, {line.verdict}, in its comment and check run"
            )
        case Close(experiment):
            return f"close the pull request of experiment {experiment}"
        case DeleteBranch(experiment):
            return f"delete the branch of experiment {experiment}"
        case Promote(experiment):
            return f"make the final commit of experiment {experiment}"
        case Merge(experiment):
            return f"merge experiment {experiment}"
        case Rebase(experiment):
            return f"bring experiment {experiment} onto the branch's tip"
        case MergeAsked(experiment, by=by):
            return f"merge experiment {experiment} as it stands, for {by} asked for it"
        case HoldBack(experiment):
            return f"hold experiment {experiment} back"
        case React() | Answer():
            return "answer a command"
        case CancelJob(job, force):
            return f"cancel job {job}" + (" by force, for its runner is gone" if force else "")
        case CutOff(request=request, reason=reason):
            return f"close attempt {request.key}: {reason}"
        case FinishCalibration(request=request, ok=ok):
            return f"conclude the measurement of {_measured(request)}: {'usable' if ok else 'not usable'}"
        case AddLabels(labels):
            return f"put {', '.join(labels)} on the tracking issue"
        case RemoveLabels(labels):
            return f"take {', '.join(labels)} off the tracking issue"
        case _:
            raise TypeError(f"no words for {type(action).__name__}")


def _measured(request: Request) -> str:
    return _CALIBRATIONS.get(request.purpose, f"experiment {request.number}")


def _line_words(line: AnyLine) -> str:
    """What people look for in so many words, everything else by its key."""
    if isinstance(line, VerdictLine):
        return f"experiment {line.experiment} is judged {line.verdict}"
    if isinstance(line, OutcomeLine):
        return f"experiment {line.experiment} is {line.outcome}"
    return line.key
