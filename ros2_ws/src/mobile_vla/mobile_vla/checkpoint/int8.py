"""int8 weight-only storage: per output channel, symmetric; loaded as int8 and never expanded as a whole.

A Linear's `weight` becomes int8 with a `weight_scale` of one fp32 number per output row; everything else (embeddings,
norms, convolutions, biases, the LSTM) stays bf16. The matrix is widened layer by layer during the forward pass only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

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


class Int8Linear(nn.Module):
    """A Linear whose matrix is stored in int8; the product is computed in the input's number format."""

    weight: Tensor
    weight_scale: Tensor

    def __init__(self, like: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = like.in_features, like.out_features
        device = like.weight.device
        self.weight = nn.Parameter(torch.empty(like.weight.shape, dtype=torch.int8, device=device), requires_grad=False)
        self.weight_scale = nn.Parameter(torch.empty(like.out_features, device=device), requires_grad=False)
        self.bias = like.bias

    def forward(self, value: Tensor) -> Tensor:
        """Widen, multiply, scale: scaling the product instead of the matrix costs less and is as exact."""
        product = linear(value, self.weight.to(value.dtype)) * self.weight_scale.to(value.dtype)
        return product if self.bias is None else product + self.bias


def use_int8(model: nn.Module, names: Iterable[str]) -> None:
    """Replace the Linears whose `weight` is among `names` (dotted) by int8 ones."""
    for name in names:
        parent, _, child = name.removesuffix(".weight").rpartition(".")
        owner = model.get_submodule(parent)
        original = getattr(owner, child)
        if not isinstance(original, nn.Linear):
            raise TypeError(f"{name} is not the matrix of a Linear")
        setattr(owner, child, Int8Linear(original))
