"""Takes secrets out of texts that will be kept: those that are known, and what looks like one."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel

from pawl.meta.atif import Trajectory

HIDDEN = "[redacted]"
SHORTEST = 6
"""Characters of a known secret below which it is no secret, but a word."""

# No pattern can run for long, whatever the text: a repetition without a bound is possessive (``++``), or ends the match, so
# that what it has passed is never passed again.
_PRIVATE_KEY = (
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----"
    r"(?:[\w+/=\s\\:,.()]|-(?!----))*+(?:-----END [A-Z0-9 ]{0,60}-----)?"
)
_PATTERNS = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        _PRIVATE_KEY,
        r"(?<![A-Za-z0-9])sk-[\w-]{16,}",  # Anthropic, OpenAI and their imitators
        r"(?<![A-Za-z0-9])(?:sk|rk)_(?:live|test)_\w{16,}",  # Stripe
        r"(?<![A-Za-z0-9])(?:gsk_\w{20,}|xai-[\w-]{20,}|pypi-[\w-]{20,}|npm_\w{30,})",
        r"(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{20,}",
        r"(?<![A-Za-z0-9])github_pat_\w{20,}",
        r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])",
        r"(?<![A-Za-z0-9])AIza[\w-]{35,}",
        r"(?<![A-Za-z0-9])(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,}",
        r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{20,}",
        r"(?<![A-Za-z0-9])glpat-[\w-]{16,}",
        r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]{8,}+)*+",
    )
)
_NAMES = (
    r"(?:api|secret|access|account|private|signing|subscription)[_-]?key(?:[_-]?id)?|secret[_-]?access[_-]?key|"
    r"(?:access|auth|refresh|session|bearer|api|bot)[_-]?token|client[_-]?secret|pass(?:word|wd|phrase)"
)
# Tried from left to right: a header's whole line, a value in quotes, a bare word.
_HEADER = re.compile(
    r"(?i)((?:authorization|cookie|x-api-key)\\?[\"']?[ \t]{0,4}[:=][ \t]{0,4}\\?[\"']?)([^\n\"'\\]{6,})"
)
_NAMED = re.compile(
    rf"(?i)((?:{_NAMES})\\?[\"']?[ \t]{{0,4}}[:=][ \t]{{0,4}})"
    r"(\\?[\"'](?=[^\"'\n\\]{6}))?((?(2)[^\"'\n\\]+|[^\s\"',;&\\]{6,}))"
)
_VARIABLE = re.compile(
    r"((?:KEY|TOKEN|SECRET|PASSWORD|PASSPHRASE|CREDENTIALS?)=\\?[\"']?)([^\s\"',;&\\]{6,})"
)
_TOKEN = re.compile(
    r"(?i)((?:token|secret|credentials?)\\?[\"']?[ \t]{0,4}[:=][ \t]{0,4}\\?[\"']?)([\w+/=~-]{16,}+)(?![(\[.])"
)
_BEARER = re.compile(r"(?i)(?<![a-z])((?:bearer|basic)[ \t]{1,4})([\w.~+/=-]{12,}+)", re.ASCII)
_USERINFO = re.compile(r"(://[^\s/:@\"']{0,200}:)([^\s/@\"']{1,300})(?=@)")
_USER_ALONE = re.compile(r"(://)([^\s/:@\"'\[]{16,200})(?=@)")
_GAP = r"(?:\s|\\[nrt]|[\"'+,]){0,8}"
"""What may stand between the letters of a secret that somebody spread out."""


class Redactor:
    """Hides known secrets, in the forms in which they are usually written, and whatever looks like a credential.

    Args:
        secrets: values that must not be seen by anybody.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        named = {secret.strip() for secret in secrets}
        forms = {form for secret in named if len(secret) >= SHORTEST for form in _forms(secret)}
        # The longest first: a form may hold another one.
        listed = sorted((form for form in forms if form not in HIDDEN), key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(_spread, listed))) if listed else None

    def knows(self, text: str) -> bool:
        """Whether a text holds one of the known secrets, in any of its forms."""
        return self._known is not None and self._known.search(text) is not None

    def text(self, text: str) -> str:
        """A text of as many lines without secrets."""
        if self._known is not None:
            text = self._known.sub(_hide, text)
        for pattern in _PATTERNS:
            text = pattern.sub(_hide, text)
        for pattern in (_HEADER, _VARIABLE, _BEARER, _USERINFO, _USER_ALONE):
            text = pattern.sub(lambda found: found[1] + HIDDEN, text)
        text = _NAMED.sub(lambda found: found[1] + (found[2] or "") + HIDDEN, text)
        return _TOKEN.sub(_hide_token, text)

    def trajectory(self, trajectory: Trajectory) -> Trajectory:
        """A trajectory without secrets in any of its texts, arguments of tools included."""
        redacted: Trajectory = self._deep(trajectory)
        return redacted

    def _deep(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case BaseModel():
                # Words of the format itself stay, even where a secret is as short as one of them.
                names = set(type(value).model_fields) - {"schema_version", "source", "timestamp"}
                return value.model_copy(update={name: self._deep(getattr(value, name)) for name in names})
            case dict():
                return {self.text(key): self._deep(item) for key, item in value.items()}
            case tuple() | list():
                return type(value)(map(self._deep, value))
        return value


def _hide(found: re.Match[str]) -> str:
    return HIDDEN + "\n" * found[0].count("\n")


def _hide_token(found: re.Match[str]) -> str:
    """``token`` names many things in programs that read texts; a secret one is of letters and digits."""
    value = found[2]
    secret = any(char.isdigit() for char in value) and any(char.isalpha() for char in value)
    return found[1] + HIDDEN if secret else found[0]


def _forms(secret: str) -> Iterator[str]:
    """The secret as it is, and as it would stand in a URL, in JSON or in base64 (wherever it begins in a longer text)."""
    yield secret
    yield quote(secret, safe="")
    yield re.sub(r"%..", lambda found: found[0].lower(), quote(secret, safe=""))
    yield json.dumps(secret)[1:-1]
    yield secret[::-1]
    yield secret.encode().hex()
    yield secret.encode().hex().upper()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + secret.encode()).decode()
        # What depends on the neighbours of the secret is left out at both ends.
        inner = encoded[(0, 2, 3)[shift] : len(encoded) - (4 if encoded.endswith("=") else 0)]
        if len(inner) >= SHORTEST + 2:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")


def _spread(form: str) -> str:
    """A pattern that finds the form, also where white space, quotes and the like were put between its letters."""
    return _GAP.join(map(re.escape, form))
