"""How far apart two computations of the same float32 results may lie.

Bits are equal only where the same code runs on the same memory. Libraries choose their path by processor, number of
threads, size of the batch and alignment of the memory, and each path sums in another order. One sum of n terms in
float32 (2^-24 = 6e-8 relative) is then off by about sqrt(n) * 6e-8; some hundred terms in each of some twenty layers
whose values are of order 1 make about 5e-6 in all. Anything that is wrong (another weight, frame, token or state)
shows in the second or third digit here, a thousand times farther.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ROUNDING = 2e-5
"""For values of order 1 that the tiny policies compute."""
AFTER_TRAINING = 1e-3
"""For weights and outputs after some ten steps of an optimiser, each of which multiplies what rounding began."""
DIFFERENT = 50 * ROUNDING


def assert_same(found: Any, wanted: Any, within: float = ROUNDING) -> None:
    """The same, but for rounding."""
    np.testing.assert_allclose(_numbers(found), _numbers(wanted), rtol=0, atol=within)


def differ(one: Any, other: Any) -> bool:
    """Apart by more than rounding explains."""
    return bool(np.abs(_numbers(one) - _numbers(other)).max() > DIFFERENT)


def _numbers(values: Any) -> np.ndarray:
    """Of a tensor that still has its gradients too."""
    return np.asarray(values.detach() if hasattr(values, "detach") else values)
