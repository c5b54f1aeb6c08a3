"""Shares and means with their 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

_Z95 = 1.959963984540054


class Estimate(NamedTuple):
    """A measured value with the interval that holds the true one in 95 of 100 cases."""

    value: float
    low: float
    high: float
    n: int


def share(count: int, total: int) -> Estimate:
    """A share with Wilson's interval, which is honest near 0 and 1 and for few episodes."""
    if total <= 0:
        raise ValueError("a share of nothing has no value")
    p, z2 = count / total, _Z95**2
    middle = (p + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z95 * math.sqrt(p * (1 - p) / total + z2 / (4 * total**2)) / (1 + z2 / total)
    return Estimate(p, max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half)), total)


def mean(values: Sequence[float]) -> Estimate:
    """A mean with the normal interval."""
    n = len(values)
    if n == 0:
        raise ValueError("a mean of nothing has no value")
    average = sum(values) / n
    if n == 1:
        return Estimate(average, average, average, 1)
    spread = math.sqrt(sum((value - average) ** 2 for value in values) / (n - 1))
    half = _Z95 * spread / math.sqrt(n)
    return Estimate(average, average - half, average + half, n)
