"""How many tokens a text comes to, before any model has counted them."""

from __future__ import annotations

import math

CHARS_PER_TOKEN = 3.0
"""Characters of a token. Code and figures come to 3 and more with the tokenizers of today, English prose to 4 and more."""


def estimate_tokens(text: str) -> int:
    """Tokens of a text, on the safe side: no tokenizer is at hand that would be right for every model."""
    wide = sum(char > "\x7f" for char in text) if not text.isascii() else 0
    return math.ceil((len(text) - wide) / CHARS_PER_TOKEN) + wide
