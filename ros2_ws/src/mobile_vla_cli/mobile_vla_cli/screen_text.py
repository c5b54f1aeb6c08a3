"""Escapes untrusted text for the terminal."""

from __future__ import annotations

from rich.markup import escape

MAX_MESSAGE = 2000
"""Characters of one message: what is wrong and the remedy, with a long value left out between them."""


def message(text: object) -> str:
    """A text for rich on one line and of bounded length, as a message may carry any name and any value."""
    return escape(shortened("".join(_visible(character) for character in str(text))))


def shortened(text: str, most: int = MAX_MESSAGE) -> str:
    """Begin and end of a long text: the end has the remedy."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}... ({len(text) - 2 * half} characters left out) ...{text[-half:]}"


def plain(text: object) -> str:
    """The text for rich: its brackets are no markup, its control characters are written out."""
    return escape("".join(_visible(character, "\n\t") for character in str(text)))


def _visible(character: str, kept: str = "") -> str:
    return character if character.isprintable() or character in kept else ascii(character)[1:-1]
