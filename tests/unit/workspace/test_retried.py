"""The helper of timed tests repeats what a machine delayed, and says why; it hides nothing that stays wrong."""

from __future__ import annotations

import pytest
from retried import retried


def test_a_try_that_succeeds_counts() -> None:
    late = iter([0.3, 0.3, 0.1])

    def attempt() -> float:
        measured = next(late)
        assert measured < 0.2
        return measured

    assert retried(attempt, "the machine is shared") == 0.1


def test_a_measurement_that_is_always_late_fails() -> None:
    def attempt() -> None:
        pytest.fail("0.3 s")

    with pytest.raises(AssertionError, match=r"missed 3 times, .* because the machine is shared: 0.3 s; 0.3 s; 0.3 s"):
        retried(attempt, "the machine is shared")


def test_other_errors_are_not_repeated() -> None:
    tries = []

    def attempt() -> None:
        tries.append(1)
        raise ValueError

    with pytest.raises(ValueError):
        retried(attempt, "the machine is shared")
    assert tries == [1]
