"""Measuring again: for what a busy machine can delay although the code did everything right."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")
TRIES = 3
"""A promise that is broken by the code is broken each time; a delay by the scheduler hits one try in some tens."""


def retried(attempt: Callable[[], T], reason: str, tries: int = TRIES) -> T:
    """What the first try gives that keeps its promises. The last one's failure counts, with the reason for trying.

    `attempt` measures everything anew and asserts. Only latencies are measured this way: a value, a reason, a count or
    an order that is wrong once is wrong.
    """
    missed: list[str] = []
    for _ in range(tries):
        try:
            return attempt()
        except (AssertionError, pytest.fail.Exception) as error:
            missed.append(str(error))
    raise AssertionError(f"missed {tries} times, and tried so often because {reason}: {'; '.join(missed)}")
