"""Recordings and files of others, which lie in `shared/data` beside the checkout and are not part of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "MOBILE_VLA_SHARED_DATA"


def shared_data(name: str) -> Path:
    """A folder of it; the test is skipped where it is missing."""
    folder = find_shared_data(name)
    if folder is None:
        pytest.skip(f"there is no shared/data/{name} beside the checkout; {VARIABLE} can name the data folder")
    return folder


def find_shared_data(name: str) -> Path | None:
    """`$MOBILE_VLA_SHARED_DATA`, else the nearest `shared/data` beside a folder that this file lies in."""
    chosen = os.environ.get(VARIABLE)
    places = [Path(chosen)] if chosen else [parent / "shared" / "data" for parent in Path(__file__).resolve().parents]
    return next((place / name for place in places if (place / name).is_dir()), None)
