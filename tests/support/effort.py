"""How many examples property tests try: few enough for every run of the tests, ten times as many by `make fuzz`."""

from __future__ import annotations

import os

EFFORT = float(os.environ.get("MOBILE_VLA_FUZZ", "1"))
"""MOBILE_VLA_FUZZ=100 tries a hundred times as many."""


def examples(usual: int) -> int:
    return max(1, round(usual * EFFORT))
