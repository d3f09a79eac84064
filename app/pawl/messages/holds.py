"""Why a keep waits, each reason with who can do something about it."""

from __future__ import annotations

from pawl.core.policy import Hold, HoldReason
from pawl.messages.quoting import Safe, code, phrase

_WORDS = {
    HoldReason.ASKED: (
        "Somebody wants it held: the label `pawl:hold` is on this pull request. Take it off to let the rest decide."
    ),
    HoldReason.QUOTA: (
        "The loop has merged as much today as its rules allow{}. `/pawl merge` takes this one all the same."
    ),
    HoldReason.REVIEW: (
        "This loop's rules leave the last word to people. Comment `/pawl merge` to take it, or merge it with "
        "GitHub's own button; close it to drop it. With `merge: auto` in `.github/pawl.yml`, Pawl merges keeps itself."
    ),
    HoldReason.UNEARNED: (
        "The loop is to merge by itself, and has not shown enough for that yet{}. Until then people decide: comment "
        "`/pawl merge`, or merge it with GitHub's own button; close it to drop it. To do without, write "
        "`accept: [unearned-auto]`."
    ),
    HoldReason.INCIDENT: (
        "An incident has stopped all merging in this loop{}. Someone with maintain access looks at the evidence and then "
        "puts the label `pawl:resume` on the tracking issue."
    ),
    HoldReason.PAUSED: (
        "The loop is paused. Take the label `pawl:paused` off the tracking issue, or reopen the issue, to let it go on."
    ),
    HoldReason.STOPPED: (
        "The ref `refs/pawl/stop` exists, which stops every loop of this repository. Delete it to let them go on."
    ),
    HoldReason.PUBLIC: (
        "This repository is public, and anybody can send code to the machines of a public repository. Make it private, or "
        "say that you have fenced its runners off and take the rest: `accept: [public-repository]` in the loop's rules."
    ),
    HoldReason.PROCESS_SANDBOX: (
        "It was measured in the process sandbox, which cannot keep a candidate away from the rest of its machine, so a "
        "person decides: read the diff, then merge or close. To let such keeps in by themselves, give the loop a "
        "`run.image`, or write `accept: [process-sandbox]`."
    ),
    HoldReason.SELF_REPORTED: (
        "The metric is what the candidate itself printed, so a person decides: read the diff, then merge or close. To let "
        "such keeps in by themselves, give the loop an `evaluate` command, or write `accept: [self-reported-metric]`."
    ),
    HoldReason.CHECKS_PENDING: (
        "A check on the final commit has not ended yet{}. Pawl goes on by itself when it passes. If it never starts, see "
        "whether its workflow runs on pull requests from `pawl/**`."
    ),
    HoldReason.CHECK_FAILED: (
        "A check on the final commit has failed{}. Run it again if that was an accident; close this pull request if the "
        "check is right."
    ),
    HoldReason.GITHUB: (
        "GitHub refused to move the branch{}. A repository administrator can let the App past the rule that stands in the "
        "way; anyone who may merge can use GitHub's own button."
    ),
}


def hold_text(hold: Hold) -> Safe:
    """Why a keep is not merged now, and who can change that. The hold's detail is shown as data."""
    return phrase(
        _WORDS[hold.reason], Safe(f": {code(hold.detail, 300)}") if hold.detail.strip() else Safe("")
    )
