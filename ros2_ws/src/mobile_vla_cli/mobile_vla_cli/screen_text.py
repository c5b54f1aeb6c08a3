"""Texts from files and people as a terminal may show them."""

from __future__ import annotations

from rich.markup import escape


def plain(text: object) -> str:
    """The text for rich: its brackets are no markup, its control characters are written out."""
    return escape(
        "".join(
            character if character.isprintable() or character in "\n\t" else ascii(character)[1:-1]
            for character in str(text)
        )
    )
