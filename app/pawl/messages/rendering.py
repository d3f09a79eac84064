"""The templates of this room, and how they are filled in."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pawl.messages.quoting import Safe, inert

if TYPE_CHECKING:
    from jinja2 import Environment

LIMIT = 60_000
"""Characters of any text Pawl posts. GitHub admits 65,535 in a check run's summary or text, about as many in a body."""


def render(template: str, **values: object) -> Safe:
    """Fill in ``templates/<template>.md.j2``.

    Foreign text is cut where it is quoted, and tables have a fixed number of rows, so no message comes near the limit.

    Raises:
        ValueError: a message is longer than GitHub admits, which only a mistake in a template can bring about.
        TypeError: a template prints a value that is no text.
        jinja2.UndefinedError: a template names a value that it was not given.
    """
    text = _environment().get_template(f"{template}.md.j2").render(values).strip() + "\n"
    if len(text) > LIMIT:
        raise ValueError(f"the message {template} has {len(text):,} characters, {LIMIT:,} are allowed")
    return Safe(text)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined, Undefined

    def finalize(value: object) -> str:
        return (
            str(value) if isinstance(value, Undefined) else inert(value)
        )  # the former raises, with the name

    # HTML escaping would not help in Markdown: `finalize` lets only Safe text through, and makes the rest inline code.
    return Environment(
        loader=PackageLoader("pawl.messages"),
        undefined=StrictUndefined,
        finalize=finalize,
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
    )
