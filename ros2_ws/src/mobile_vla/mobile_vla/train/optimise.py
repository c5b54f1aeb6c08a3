"""Optimiser step and learning rate, shared by every fit."""

from __future__ import annotations

import torch
from torch import Tensor


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of every parameter."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def descend(optimiser: torch.optim.Optimizer, loss: Tensor, longest: float = 1.0) -> None:
    """One step down; gradients longer than `longest` are shortened."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    torch.nn.utils.clip_grad_norm_(parameters, longest)
    optimiser.step()
