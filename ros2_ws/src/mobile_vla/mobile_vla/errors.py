"""The one exception every user-facing mistake becomes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake the user can fix: one sentence that names the thing, the value and the remedy.

    The command line prints it and exits 2; a node puts it into its state and on /diagnostics.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` when something close exists, else the list of what is known."""
    candidates = sorted(known)
    close = difflib.get_close_matches(name, candidates, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(candidates) or 'none'}"
