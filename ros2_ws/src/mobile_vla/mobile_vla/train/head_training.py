"""Fitting fusion, LSTM and action head on cached features of whole episodes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from mobile_vla.policy.model import PolicyModel
from mobile_vla.train.config import HeadConfig

JITTER = 0.3
"""Noise that differs from frame to frame, as a share of the noise that a window has in common."""


class Drives(NamedTuple):
    """Frames of episodes, one after the other."""

    features: Tensor
    """(frames, width)"""
    actions: Tensor
    """(frames, 2): what the expert would have done."""
    starts: Tensor
    """(frames,): index of the first frame of the episode that a frame belongs to."""


def fit_head(
    policy: PolicyModel,
    drives: Drives,
    held_out: Drives,
    config: HeadConfig,
    window: int,
    *,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> float:
    """Train fusion, LSTM and MLP in place, from their present weights; returns the held-out loss."""
    parts = [policy.rnn, policy.actions, *([policy.feature_fusion] if policy.feature_fusion is not None else [])]
    parameters = [parameter for part in parts for parameter in part.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=config.rate, weight_decay=config.decay)
    generator = torch.Generator().manual_seed(config.seed)
    spread = drives.features.std(0, keepdim=True)
    weight = 1.0 + config.stop_weight * (drives.actions.abs().sum(1) < 1e-6).float()
    for step in range(config.steps):
        warm = min(1.0, (step + 1) / 100)
        for group in optimiser.param_groups:
            group["lr"] = config.rate * warm * 0.5 * (1.0 + math.cos(math.pi * step / config.steps))
        ends = torch.randint(len(drives.actions), (config.batch,), generator=generator)
        rows, valid = windows(drives.starts, ends, window)
        features = drives.features[rows]
        noise = config.noise * spread * noise_like(features, generator)
        loss = _loss(policy, features + noise, drives.actions[rows], weight[rows] * valid)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        if (step + 1) % 100 == 0:
            progress(step + 1, loss.item())
    return last_frame_loss(policy, held_out, window)


@torch.inference_mode()
def last_frame_loss(policy: PolicyModel, drives: Drives, window: int, batch: int = 512) -> float:
    """The loss as the policy acts: one full window, the last frame counts."""
    total = 0.0
    for start in range(0, len(drives.actions), batch):
        ends = torch.arange(start, min(start + batch, len(drives.actions)))
        lengths = torch.minimum(ends - drives.starts[ends] + 1, torch.tensor(window))
        rows, _ = windows(drives.starts, ends, window)
        states, _ = policy.rnn(policy.fuse(drives.features[rows]))
        said = policy.actions(states[torch.arange(len(ends)), lengths - 1])
        total += smooth_l1_loss(said, drives.actions[ends], beta=0.1, reduction="sum").item()
    return total / (2 * len(drives.actions))


def windows(starts: Tensor, ends: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Frame indices (windows, window), oldest first and padded behind with the last frame, and which are real.

    Every window begins `window - 1` frames before its end, or where its episode begins: as on the robot.
    """
    first = torch.maximum(ends - window + 1, starts[ends])
    rows = first[:, None] + torch.arange(window)[None, :]
    valid = rows <= ends[:, None]
    return torch.minimum(rows, ends[:, None]), valid.float()


def noise_like(features: Tensor, generator: torch.Generator) -> Tensor:
    """Mostly the same for all frames of a window: a robot that stands still must look like one that stands still."""
    windows, frames, width = features.shape
    shift = torch.randn((windows, 1, width), generator=generator)
    return shift + JITTER * torch.randn((windows, frames, width), generator=generator)


def _loss(policy: PolicyModel, features: Tensor, actions: Tensor, weight: Tensor) -> Tensor:
    """Every frame of a window is asked: each is the last frame of a shorter one."""
    states, _ = policy.rnn(policy.fuse(features))
    said = policy.actions(states)
    each = smooth_l1_loss(said, actions, beta=0.1, reduction="none").mean(-1)
    return (each * weight).sum() / weight.sum().clamp_min(1e-6)
