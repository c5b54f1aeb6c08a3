"""Linears whose matrix stays in int8: it is widened layer by layer during the forward pass, never as a whole."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


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
