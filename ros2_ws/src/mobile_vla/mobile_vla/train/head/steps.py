"""Fitting the head for a fixed number of steps, every frame of a window asked: for drives of which there are many."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from mobile_vla.policy.model import PolicyModel
from mobile_vla.train.config import HeadConfig
from mobile_vla.train.head.drives import Drives, head_parameters, predict, windows
from mobile_vla.train.optimise import descend, set_rate

JITTER = 0.3
"""Noise that differs from frame to frame, as a share of the noise that a window has in common."""
_BETA = 0.1
_WARM_UP = 100


def fit_steps(
    policy: PolicyModel,
    drives: Drives,
    held_out: Drives,
    config: HeadConfig,
    window: int,
    *,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> float:
    """Train fusion, LSTM and MLP in place, from their present weights; returns the held-out loss."""
    parameters = [parameter for _, parameter in head_parameters(policy)]
    optimiser = torch.optim.AdamW(parameters, lr=config.rate, weight_decay=config.decay)
    generator = torch.Generator().manual_seed(config.seed)
    spread = drives.features.std(0, keepdim=True)
    weight = 1.0 + config.stop_weight * (drives.targets.abs().sum(1) < 1e-6).float()
    for step in range(config.steps):
        warm = min(1.0, (step + 1) / _WARM_UP)
        set_rate(optimiser, config.rate * warm * 0.5 * (1.0 + math.cos(math.pi * step / config.steps)))
        ends = torch.randint(len(drives.targets), (config.batch,), generator=generator)
        rows, lengths = windows(drives.starts, ends, window)
        features = drives.features[rows]
        noise = config.noise * spread * noise_like(features, generator)
        real = torch.arange(rows.shape[1]) < lengths[:, None]
        loss = _loss(policy, features + noise, drives.targets[rows], weight[rows] * real)
        descend(optimiser, loss)
        if (step + 1) % 100 == 0:
            progress(step + 1, loss.item())
    return last_frame_loss(policy, held_out, window)


def last_frame_loss(policy: PolicyModel, drives: Drives, window: int) -> float:
    """The loss as the policy acts: one full window, the last frame counts."""
    return smooth_l1_loss(predict(policy, drives, window), drives.targets, beta=_BETA).item()


def noise_like(features: Tensor, generator: torch.Generator) -> Tensor:
    """Mostly the same for all frames of a window: a robot that stands still must look like one that stands still."""
    count, frames, width = features.shape
    shift = torch.randn((count, 1, width), generator=generator)
    return shift + JITTER * torch.randn((count, frames, width), generator=generator)


def _loss(policy: PolicyModel, features: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Every frame of a window is asked: each is the last frame of a shorter one."""
    states, _ = policy.rnn(policy.fuse(features))
    each = smooth_l1_loss(policy.actions(states), targets, beta=_BETA, reduction="none").mean(-1)
    return (each * weight).sum() / weight.sum().clamp_min(1e-6)
