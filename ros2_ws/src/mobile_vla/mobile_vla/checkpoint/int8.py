"""int8 weight-only storage: per output channel, symmetric.

A Linear's `weight` becomes int8 with a `weight_scale` of one fp32 number per output row; everything else (embeddings,
norms, convolutions, biases, the LSTM) stays bf16. `policy/int8_linear.py` multiplies with such a matrix.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

SCALE_SUFFIX = "_scale"
_LEVELS = 127


class Quantised(NamedTuple):
    """One matrix in int8 with its error against the original."""

    weight: Tensor
    scale: Tensor
    relative_error: float


def quantise(weight: Tensor) -> Quantised:
    """Round each row to 127 steps of its largest element."""
    full = weight.float()
    scale = full.abs().amax(dim=1).clamp_min(torch.finfo(torch.float32).tiny) / _LEVELS
    steps = (full / scale[:, None]).round_().clamp_(-_LEVELS, _LEVELS)
    error = (steps * scale[:, None]).sub_(full).norm() / full.norm().clamp_min(torch.finfo(torch.float32).tiny)
    return Quantised(steps.to(torch.int8), scale, float(error))


def is_scale(name: str) -> bool:
    """Whether a tensor holds the scales of an int8 matrix (CLIP's `logit_scale` does not)."""
    return name.endswith(f".weight{SCALE_SUFFIX}")


def is_quantisable(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a tensor of the module tree is the matrix of a Linear of a tower (the heads are small and stay exact)."""
    return (
        name.endswith(".weight")
        and len(shape) == 2
        and name.startswith(("kosmos_model.", "clip_model."))
        and "embed" not in name.rsplit(".", 2)[-2]
    )
