"""One request to a model, made again as long as that can help: busy servers, lost connections, unreadable answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pawl.meta.quoted import line

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model, ModelRequestParameters

FIRST_WAIT, LONGEST_WAIT = 2.0, 60.0
"""Seconds before a request is made again: doubled each time, up to the longest, if the server names no time itself."""
TRIES = 6
"""Times that one request is made at most."""


class Stopped(Exception):
    """A proposal is over; its text says why, for a person, and is empty where an edit was made.

    Args:
        reason: why.
        rests: whether asking again would end the same way.
        halt: whether the loop must stop until a person has looked.
    """

    def __init__(self, reason: str, rests: bool = True, halt: bool = False) -> None:
        self.rests, self.halt = rests, halt
        super().__init__(reason)


class Overflow(Exception):
    """The model's context is too small for what was said."""


@dataclass(frozen=True)
class Patience:
    """How long and how a request may be tried."""

    deadline: float
    """Seconds of the clock at which the proposal is over."""
    clock: Callable[[], float]
    pause: Callable[[float], Awaitable[None]]
    chance: Callable[[], float]

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - self.clock()

    def wait_of(self, tried: int, asked: float | None) -> float:
        """Seconds to wait before another try: what the server asked for, else a spread and growing time."""
        if asked is not None:
            return max(0.0, asked)
        return min(LONGEST_WAIT, FIRST_WAIT * 2.0**tried) * (0.5 + self.chance() / 2)


@dataclass(frozen=True)
class Question:
    """What a model is asked."""

    model: Model
    messages: Sequence[ModelMessage]
    """The conversation so far."""
    parameters: ModelRequestParameters
    """Its tools."""
    answer_tokens: int
    """Size of the answer at most."""


async def request(
    question: Question,
    patience: Patience,
    count: Callable[[str, bool], None],
    stop: Callable[[], str],
) -> ModelResponse:
    """The model's answer.

    Args:
        question: what is asked, and whom.
        patience: how long to try.
        count: told of every request that was made, with what went wrong if it did, and whether it could have cost money
            that nothing tells of.
        stop: why no other request may be made, or nothing.

    Raises:
        Stopped: there will be none in this proposal.
        Overflow: the conversation is too long for the model.
    """
    from pydantic_ai.exceptions import ModelHTTPError

    said = ""
    for tried in range(TRIES):
        if patience.left <= 0:
            raise Stopped(f"the time of the proposal is over (agent.time){said}", rests=False)
        if tried and (over := stop()):
            raise Stopped(f"{over}{said}", rests=False)
        try:
            response = await _asked(question, patience.left)
            count("", False)
            return response
        except Exception as error:
            # What the provider's client makes of an answer that is not in its language can be any error at all.
            end = _end(error)
            count(_note(error), end is None and not isinstance(error, ModelHTTPError))
            if end is not None:
                raise end from None
            said, named = f"; the last answer was: {_note(error)}", getattr(error, "retry_after", None)
        wait = patience.wait_of(tried, named)
        if named is not None and wait >= patience.left > 0:
            raise Stopped(
                f"the model's server asks for {wait:.0f} s, longer than agent.time has left{said}",
                rests=False,
            )
        if tried + 1 < TRIES and patience.left > 0:
            await patience.pause(min(wait, patience.left))
    raise Stopped(f"the model's server did not answer in {TRIES} tries{said}", rests=False)


async def _asked(question: Question, seconds: float) -> ModelResponse:
    """One answer. The time holds whatever the server does: it may also send its answer one byte a minute."""
    from pydantic_ai.direct import model_request
    from pydantic_ai.settings import ModelSettings

    asking = model_request(
        question.model,
        question.messages,
        model_settings=ModelSettings(max_tokens=question.answer_tokens, timeout=seconds),
        model_request_parameters=question.parameters,
    )
    return await asyncio.wait_for(asking, seconds)


def _end(error: Exception) -> Stopped | Overflow | None:
    """What an error means where asking again cannot help; none where it may."""
    from pydantic_ai import exceptions as failed

    if isinstance(error, failed.ModelContextWindowExceededError):
        return Overflow(line(str(error), 200))
    if isinstance(
        error, (failed.ModelAuthenticationError, failed.ModelNotFoundError, failed.ModelQuotaExceededError)
    ):
        return Stopped(f"the model cannot be asked: {_note(error)}")
    if isinstance(error, failed.ContentFilterError):
        return Stopped(f"the model's provider refused to answer: {_note(error)}", rests=False)
    refused = isinstance(error, (failed.ModelHTTPError, failed.ModelRequestRejectedError))
    if refused and _is_overflow(str(error)):
        return Overflow(line(str(error), 200))
    if isinstance(error, failed.ModelRequestRejectedError):
        return Stopped(f"the model's server does not take the request: {_note(error)}")
    return None


def _note(error: BaseException) -> str:
    status = getattr(error, "status_code", None)
    text = line(str(error), 200) if str(error) else ""
    return f"{type(error).__name__}{f' {status}' if status else ''} {text}".strip()


def _is_overflow(text: str) -> bool:
    """Servers of local models have many words for it, and no common code."""
    said = text.lower()
    return any(
        words in said
        for words in (
            "context length",
            "context window",
            "context size",
            "maximum context",
            "prompt is too long",
            "too many tokens",
        )
    )
