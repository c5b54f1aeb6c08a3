"""The console of these commands: wide enough for tensor names where it is no terminal."""

from __future__ import annotations

from rich.console import Console

_WIDE = 160


def console(stderr: bool = False) -> Console:
    """A console that does not break long names when its output goes into a file."""
    result = Console(stderr=stderr, highlight=False, soft_wrap=True)
    if not result.is_terminal:
        result.width = _WIDE
    return result
