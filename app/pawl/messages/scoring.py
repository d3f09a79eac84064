"""Predictions beside what was measured: of one experiment, and over a loop. Nothing finer than a page may tell is used."""

from __future__ import annotations

from collections.abc import Iterable

from pawl.core.ledger import AnyLine, VerdictLine
from pawl.core.predictions import Prediction, score_of
from pawl.messages.figures import count, direction, effect_shown, effect_words, told_effect
from pawl.messages.progress import last_verdicts
from pawl.messages.quoting import Safe


def prediction_of(line: VerdictLine) -> Prediction | None:
    """A verdict's prediction; none where nothing was predicted, or nothing measured."""
    if line.predicted is None or line.effect is None:
        return None
    return Prediction(line.predicted, direction(line), told_effect(line))


def prediction_words(line: VerdictLine) -> Safe | None:
    """``**Predicted:** … **Measured:** …``, and how they compare, on one line; none where nothing was predicted."""
    if line.predicted is None:
        return None
    metric = line.rules.metric
    said = f"**Predicted:** {effect_words(metric, line.predicted)}."
    prediction = prediction_of(line)
    if prediction is None:
        return Safe(f"{said} Nothing was measured to compare it with.")
    return Safe(f"{said} **Measured:** {effect_shown(metric, line)}: {_compared(prediction)}.")


def _compared(prediction: Prediction) -> str:
    if prediction.direction == 0:
        return "too little to tell" if prediction.predicted else "as predicted"
    if not prediction.right:
        return "the other way" if prediction.predicted else "not as predicted"
    share = f", {prediction.ratio:.2g} times as much" if prediction.ratio is not None else ""
    return f"the right way{share}"


def score_words(lines: Iterable[AnyLine]) -> Safe | None:
    """How good the loop's predictions are, in sentences; none before one could be compared."""
    verdicts = last_verdicts(lines).values()
    known = [found for line in verdicts if (found := prediction_of(line)) is not None]
    score = score_of(known)
    if score.share is None:
        return None
    told = [
        f"{score.right} of {count(score.predictions, 'prediction')} pointed the right way ({score.share:.0%})"
    ]
    if score.ratio is not None:
        told.append(f"the middle one came to {score.ratio:.2g} times what it promised")
    if score.rank is not None:
        told.append(f"the rank correlation of promise and measurement is {score.rank:+.2f}")
    return Safe("; ".join(told) + ".")
