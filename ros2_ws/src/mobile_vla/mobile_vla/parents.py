"""The folders above something that is being made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def made_parents(path: Path) -> Iterator[None]:
    """Make the folders above `path`; after an error those that were made are removed again, where they are empty."""
    made = [folder for folder in path.absolute().parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in made:
            try:
                folder.rmdir()
            except OSError:  # never made, or somebody put something into it
                break
        raise
