"""How long an instruction may be: attention over its tokens takes memory with the square of their number."""

from __future__ import annotations

MAX_CHARACTERS = 1000


def too_long(text: str) -> str:
    """Empty, or why a policy does not follow a sentence of this length."""
    if len(text) <= MAX_CHARACTERS:
        return ""
    return f"the instruction is {len(text)} characters long, at most {MAX_CHARACTERS} are followed; shorten it"
