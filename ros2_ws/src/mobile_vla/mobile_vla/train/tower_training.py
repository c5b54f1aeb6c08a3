"""Fitting the towers: many pictures, few passes, a learning rate that ends at zero by step count.

One process trains; `torch.set_num_threads` says on how many cores. The run can be interrupted at any step: its state
is written every `save_every` steps and read back.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mobile_vla.files import atomic_binary
from mobile_vla.train.config import TowerConfig
from mobile_vla.train.optimise import descend, set_rate
from mobile_vla.train.tower_net import Batch, TowerNet

WEIGHTS = {
    "patch_kind": 1.0,
    "patch_colour": 0.5,
    "sector_range": 4.0,
    "sector_kind": 1.0,
    "sector_colour": 0.5,
    "seen": 3.0,
    "bearing": 6.0,
    "distance": 3.0,
    "sector": 1.0,
    "alike": 4.0,
    "scan": 4.0,
    "action": 4.0,
    "pair": 0.5,
}


@dataclasses.dataclass
class Curve:
    """Losses along the way: step, part of the data (train or held out), name, value."""

    rows: list[tuple[int, str, str, float]] = dataclasses.field(default_factory=list)

    def add(self, step: int, part: str, losses: dict[str, float]) -> None:
        self.rows += [(step, part, name, value) for name, value in losses.items()]


def rate_at(step: int, config: TowerConfig) -> float:
    """Warm up, then a cosine down to zero at the last step."""
    if step < config.warm_up:
        return config.rate * (step + 1) / config.warm_up
    share = (step - config.warm_up) / max(1, config.steps - config.warm_up)
    return config.rate * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))


def fit_towers(
    net: TowerNet,
    config: TowerConfig,
    batch_at: Callable[[int], Batch],
    held_out: Callable[[], list[Batch]],
    pair_tokens: Tensor,
    *,
    state_file: Path,
    progress: Callable[[int, float, float], None] = lambda step, loss, seconds: None,
) -> Curve:
    """Train `net` in place. `batch_at(step)` must give the same batch for the same step, so that a resumed run is the
    same run.
    """
    device = next(net.parameters()).device
    pair_tokens = pair_tokens.to(device)
    parameters = [value for name, value in net.named_parameters() if not _not_a_tower(name)]
    optimiser = torch.optim.AdamW(parameters, lr=config.rate, betas=(0.9, 0.98), weight_decay=config.decay)
    curve, first = Curve(), 0
    if state_file.exists():
        first = _resume(net, optimiser, curve, state_file)
    mean, started = 0.0, time.perf_counter()
    for step in range(first, config.steps):
        set_rate(optimiser, rate_at(step, config))
        losses = net(batch_at(step).to(device), pair_tokens)
        total = torch.stack([WEIGHTS[name] * value for name, value in losses.items()]).sum()
        descend(optimiser, total, config.clip)
        now = total.item()
        mean = now if step == first else 0.98 * mean + 0.02 * now
        done = step + 1
        if done % 100 == 0 or done == config.steps:
            progress(done, mean, time.perf_counter() - started)
            curve.add(done, "train", {name: value.item() for name, value in losses.items()})
        if done % config.save_every == 0 or done == config.steps:
            curve.add(done, "held out", evaluate(net, held_out(), pair_tokens))
            _save(net, optimiser, curve, done, state_file)
    return curve


@torch.inference_mode()
def evaluate(net: TowerNet, batches: list[Batch], pair_tokens: Tensor) -> dict[str, float]:
    """Mean losses over held-out batches."""
    sums: dict[str, float] = {}
    for batch in batches:
        for name, value in net(batch.to(pair_tokens.device), pair_tokens).items():
            sums[name] = sums.get(name, 0.0) + value.item() / len(batches)
    return sums


def _not_a_tower(name: str) -> bool:
    return name.startswith(("policy.rnn.", "policy.actions.", "policy.feature_fusion."))


def _save(net: TowerNet, optimiser: torch.optim.Optimizer, curve: Curve, step: int, file: Path) -> None:
    state = {"step": step, "net": net.state_dict(), "optimiser": optimiser.state_dict(), "curve": curve.rows}
    with atomic_binary(file) as whole:
        torch.save(state, whole)


def _resume(net: TowerNet, optimiser: torch.optim.Optimizer, curve: Curve, file: Path) -> int:
    state: dict[str, Any] = torch.load(file, weights_only=True, map_location=next(net.parameters()).device)
    net.load_state_dict(state["net"])
    optimiser.load_state_dict(state["optimiser"])
    curve.rows = [tuple(row) for row in state["curve"]]
    return int(state["step"])
