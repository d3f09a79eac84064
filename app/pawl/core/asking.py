"""What is done about a command: who may, what it means for its experiment now, and the one line that answers it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pawl.core.actions import (
    Action,
    AddLabels,
    Answer,
    Append,
    Close,
    HoldBack,
    MergeAsked,
    React,
    RemoveLabels,
)
from pawl.core.asks import (
    AFTER_INCIDENT,
    NEEDED,
    OF_EXPERIMENTS,
    SAID,
    Ask,
    NotUnderstood,
    Verb,
    read_command,
)
from pawl.core.cheats import CHEATS
from pawl.core.decision import Verdict
from pawl.core.draft import Draft
from pawl.core.incidents import dismissal_key, open_canary, open_incident
from pawl.core.ledger import AskLine, DismissalLine, Outcome, ResumeLine, VerdictLine
from pawl.core.patience import TOO_MANY, Patience
from pawl.core.policy import HOLD_LABEL, PAUSED_LABEL, failing_base, paused
from pawl.core.snapshot import Experiment, Snapshot
from pawl.core.states import State, state_of

TOLD = frozenset({Verb.STATUS, Verb.EXPLAIN, Verb.BUDGET, Verb.HELP, Verb.MERGE, Verb.RERUN, Verb.DISMISS})
"""Commands that are answered by a comment also where they are obeyed; the others show what they did. An idea shows in
nothing where the proposer reads none, so that is told, too."""


class _Refused(Exception):
    """Why a command is not obeyed, for whoever gave it."""


@dataclass(frozen=True)
class _Waits(Exception):
    """The command's effect must be seen on GitHub before it is answered."""

    action: Action


def answered(snapshot: Snapshot, at: str, notices: tuple[str, ...] = ()) -> tuple[Action, ...]:
    """Everything to do about the commands that have no answer yet. Effects come before the line that says they were made.

    Args:
        snapshot: the loop, with its asks.
        at: the time now, UTC, ISO 8601.
        notices: sentences that say why nothing happens, for those who ask.
    """
    return tuple(_Answers(snapshot, at, notices).actions())


def _no_fishing(experiment: int, line: VerdictLine | None) -> None:
    """Only a keep is measured again: it can be lost by that, and not won.

    Measured until it passes, an edit that does nothing is kept once in a while. What a runner lost has no verdict and is
    measured on by itself, so nothing of it needs a person.

    Raises:
        _Refused: its verdict is another one.
    """
    if line is not None and line.verdict is not Verdict.KEEP:
        raise _Refused(
            f"the verdict of experiment {experiment} is {line.verdict}, and only a keep is measured again: runs repeated "
            "until they please would keep what luck made. /pawl try and the idea asks for a new experiment, which counts "
            "against the limits and has lines of its own in the ledger"
        )


class _Answers:
    def __init__(self, snapshot: Snapshot, at: str, notices: tuple[str, ...]) -> None:
        self.snapshot, self.notices = snapshot, notices
        self.draft = Draft(snapshot, at)
        self.patience = Patience((*snapshot.ledger, *snapshot.elsewhere), at)

    def actions(self) -> Iterator[Action]:
        """Reactions first: nobody waits for theirs behind what another command does."""
        reactions, rest = list[Action](), list[Action]()
        for ask in self.snapshot.asks:
            verb, said, refusal, effects = None, "", "", list[Action]()
            try:
                self._not_too_often(ask)
                verb, said = read_command(ask.text)
                effects = list(self._effects(ask, verb, said))
            except _Waits as waits:
                rest.append(waits.action)
                continue
            except (NotUnderstood, _Refused) as reason:
                refusal = str(reason)
            shown = self.patience.count(ask, refusal)
            if ask.comment and shown:
                reactions.append(React(ask.comment, obeyed=not refusal))
            rest += effects
            unread = verb is Verb.TRY and not self.snapshot.rules.agent.reads
            if (refusal or verb in TOLD or unread) and shown:
                rest.append(Answer(ask, verb, refusal, self.notices))
            experiment = self._experiment(ask)
            self.draft.add(
                AskLine,
                ask.key,
                by=ask.by,
                level=ask.level.value,
                said=ask.text[:SAID],
                number=ask.number,
                experiment=ask.experiment,
                verb=verb or "",
                idea=said,
                content=experiment.digest if experiment else None,
                obeyed=not refusal,
                reason=refusal,
            )
        yield from reactions
        yield from rest
        if self.draft.lines:
            yield Append(tuple(self.draft.lines))

    def _experiment(self, ask: Ask) -> Experiment | None:
        found = (each for each in self.snapshot.experiments if each.number == ask.experiment)
        return next(found, None)

    def _effects(self, ask: Ask, verb: Verb, said: str) -> Iterator[Action]:
        """What obeying means.

        Raises:
            _Refused: it is not obeyed.
            _Waits: not yet.
        """
        self._may(ask, verb)
        if verb in OF_EXPERIMENTS and ask.experiment is None:
            raise _Refused(
                f"/pawl {verb} is about one experiment: write it in that experiment's pull request"
            )
        match verb:
            case Verb.PAUSE:
                yield AddLabels((PAUSED_LABEL,))
            case Verb.RESUME:
                yield from self._resume(ask)
            case Verb.DISMISS:
                self._dismiss(ask, said)
            case Verb.HOLD | Verb.CLOSE | Verb.MERGE | Verb.RERUN:
                yield from self._move(self._open(ask, verb), ask, verb)

    def _not_too_often(self, ask: Ask) -> None:
        """A merge that was made while its line waited is answered as made."""
        experiment = self._experiment(ask)
        if self.patience.ends_before(ask) and not (experiment is not None and experiment.merged):
            raise _Refused(TOO_MANY)

    def _may(self, ask: Ask, verb: Verb) -> None:
        needed = NEEDED[verb]
        if verb in (Verb.RESUME, Verb.MERGE) and open_incident(self.snapshot.ledger) is not None:
            needed = AFTER_INCIDENT
        if not ask.level.reaches(needed):
            while_ = " while an incident is open" if needed is not NEEDED[verb] else ""
            raise _Refused(f"it takes {needed} access to this repository{while_}; yours is {ask.level}")

    def _open(self, ask: Ask, verb: Verb) -> Experiment:
        experiment = self._experiment(ask)
        if experiment is None:
            if verb is Verb.RERUN:
                _no_fishing(ask.experiment or 0, self._last_verdict(ask.experiment))
            raise _Refused(f"experiment {ask.experiment} is over; /pawl try asks for a new one")
        return experiment

    def _last_verdict(self, experiment: int | None) -> VerdictLine | None:
        lines = (line for line in reversed(self.snapshot.ledger) if isinstance(line, VerdictLine))
        return next((line for line in lines if line.experiment == experiment), None)

    def _resume(self, ask: Ask) -> Iterator[Action]:
        tracking = self.snapshot.tracking
        if self.snapshot.stop:
            raise _Refused("the ref refs/pawl/stop stops every loop of this repository: delete it")
        yield RemoveLabels((PAUSED_LABEL,))
        if open_incident(self.snapshot.ledger) is not None or failing_base(self.snapshot):
            self.draft.add(ResumeLine, f"resume:{ask.id}", by=ask.by)
        elif tracking is not None and not tracking.open:
            raise _Refused("the tracking issue is closed, which pauses the loop: reopen it")

    def _dismiss(self, ask: Ask, why: str) -> None:
        canary = open_canary([*self.snapshot.ledger, *self.draft.lines])
        if canary is None:
            raise _Refused(
                "only a planted cheat that passed can be dismissed, and none of those is an open incident here; after any "
                "other incident, /pawl resume lets the loop go on"
            )
        cheat = CHEATS[canary.cheat]
        if not cheat.unless:
            raise _Refused(
                f"that {canary.cheat} passes means that any candidate can do the same, and nobody's word changes that. To "
                f"mend it, {cheat.mend}; then /pawl resume"
            )
        self.draft.add(
            DismissalLine, dismissal_key(canary.number), canary=canary.number, by=ask.by, reason=why
        )

    def _move(self, experiment: Experiment, ask: Ask, verb: Verb) -> Iterator[Action]:
        state = state_of(self.snapshot, experiment)
        if verb in (Verb.MERGE, Verb.RERUN) and not self._seen(experiment, ask):
            raise _Refused("the button is of an earlier head, and the pull request has another one now")
        if verb is Verb.MERGE:
            yield from self._merge(experiment, state, ask)
            return
        if verb is Verb.RERUN:
            _no_fishing(experiment.number, self.snapshot.verdict_of(experiment))
        if not experiment.open:
            if verb is Verb.CLOSE and not experiment.merged:
                return
            raise _Refused(f"experiment {experiment.number} is {state}")
        if verb is Verb.HOLD:
            yield HoldBack(experiment.number)
        elif verb is Verb.CLOSE:
            line = self.snapshot.verdict_of(experiment)
            label = f"pawl:{line.verdict}" if line else "pawl"
            yield Close(experiment.number, Outcome.CLOSED, label, f"{ask.by} asked for it", say=line is None)
        elif state in (State.PROPOSED, State.QUEUED, State.MEASURING, State.MEASURED):
            raise _Refused("it has no verdict yet, and is being measured or waits for it")

    def _seen(self, experiment: Experiment, ask: Ask) -> bool:
        """Whether what a person saw beside the button is what is there: this head, or one of the same bytes."""
        same = (
            line.head
            for line in self.snapshot.ledger
            if isinstance(line, VerdictLine)
            and (line.experiment, line.content) == (experiment.number, experiment.digest)
        )
        return ask.head in ("", experiment.head, *same)

    def _merge(self, experiment: Experiment, state: State, ask: Ask) -> Iterator[Action]:
        """A keep is merged as every keep is; anything else goes in as it stands, against or without a verdict."""
        if experiment.merged:
            return
        if not experiment.open:
            raise _Refused(f"experiment {experiment.number} is closed")
        if experiment.objections:
            raise _Refused(f"its head is no edit of the one file: {experiment.objections[0]}")
        halted = paused(self.snapshot)
        if halted is not None:
            raise _Refused(f"nothing is merged now: {halted.reason}")
        if HOLD_LABEL in experiment.labels:
            raise _Refused(f"the label {HOLD_LABEL} holds it: take it off first")
        line = self.snapshot.verdict_of(experiment)
        if line is not None and line.verdict is Verdict.KEEP:
            return  # the line in the ledger is what lets it in
        refused = self.snapshot.refusals.get(experiment.head)
        if refused is not None:
            raise _Refused(f"GitHub refuses to merge it: {refused}")
        raise _Waits(MergeAsked(experiment.number, experiment.head, ask.by))
        yield
