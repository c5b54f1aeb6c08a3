"""Huber loss on windows of cached features, early stopping on held-out episodes, a state on disk after every epoch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import huber_loss
from torch.nn.utils.rnn import pack_padded_sequence

from mobile_vla.errors import UserError
from mobile_vla.files import atomic_binary
from mobile_vla.policy.model import PolicyModel
from mobile_vla.train.head.config import FitConfig

HEAD = ("feature_fusion.", "rnn.", "actions.")
_LSTM_INPUT_GAIN = 2.0
_LAST_LAYER_SHARE = 0.3  # begin near standing still


class Drives(NamedTuple):
    """Frames of episodes, one after the other."""

    features: Tensor
    """(frames, width)"""
    targets: Tensor
    """(frames, 2): what the head should put out, before the card's scale."""
    starts: Tensor
    """(frames,): index of the first frame of the episode that a frame belongs to."""


class Epoch(NamedTuple):
    """One line of the learning curve: Huber losses, and the held-out error of both outputs as share of full speed."""

    number: int
    train_loss: float
    val_loss: float
    val_mae: tuple[float, float]


class Fit:
    """One run. `state` is a file it can go on from; thread count and determinism are the caller's business."""

    def __init__(
        self, model: PolicyModel, window: int, config: FitConfig, state: Path, scale: Sequence[float] = (1.0, 1.0)
    ) -> None:
        self.history: list[Epoch] = []
        self.resumed_at = 0
        self._model = model
        self._window = window
        self._scale = torch.tensor(scale).abs()
        self._config = config
        self._state = state
        self._parameters = dict(head_parameters(model))
        for parameter in self._parameters.values():
            parameter.requires_grad_(True)
        if config.fresh:
            reset_head(model, config.seed)
        self._optimiser = torch.optim.AdamW(self._parameters.values(), lr=config.rate, weight_decay=config.decay)
        self._best: dict[str, Tensor] = {}
        if state.exists():
            self._resume()

    def run(self, train: Drives, val: Drives, on_epoch: Callable[[Epoch], None] = lambda epoch: None) -> Epoch:
        """Fit until it gets no better; the model is left with its best weights, whose epoch is returned."""
        if self._config.fresh and not self.history:
            standardise(self._model, train.features)
        while len(self.history) < self._config.epochs and not self._exhausted():
            epoch = self._epoch(len(self.history), train, val)
            if not math.isfinite(epoch.train_loss):
                raise UserError(f"the loss is not finite in epoch {epoch.number + 1}; lower --rate")
            self.history.append(epoch)
            if epoch == self.best:
                self._best = {name: value.detach().clone() for name, value in self._parameters.items()}
            self._save()
            on_epoch(epoch)
        with torch.no_grad():
            for name, value in self._best.items():
                self._parameters[name].copy_(value)
        for parameter in self._parameters.values():
            parameter.requires_grad_(False)
        return self.best

    @property
    def best(self) -> Epoch:
        return min(self.history, key=lambda epoch: epoch.val_loss)

    def _exhausted(self) -> bool:
        return bool(self.history) and len(self.history) - 1 - self.best.number >= self._config.patience

    def _epoch(self, number: int, train: Drives, val: Drives) -> Epoch:
        config = self._config
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + number)
        torch.manual_seed(config.seed * 1_000_003 + number)  # dropout
        self._set_rate(number)
        self._model.rnn.train()
        self._model.actions.train()
        spread = train.features.std(0, keepdim=True)
        total, seen = 0.0, 0
        for rows in torch.randperm(len(train.targets), generator=generator).split(config.batch):
            windows, lengths = windows_of(train, rows, self._window)
            noisy = windows + torch.randn(windows.shape, generator=generator) * spread * config.noise
            loss = huber_loss(outputs(self._model, noisy, lengths), train.targets[rows], delta=config.huber)
            self._optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self._parameters.values(), 1.0)
            self._optimiser.step()
            total, seen = total + loss.item() * len(rows), seen + len(rows)
        self._model.eval()
        predicted = self.predict(val)
        error = ((predicted - val.targets).abs().mean(0) * self._scale).tolist()
        held_out = huber_loss(predicted, val.targets, delta=config.huber).item()
        return Epoch(number, total / seen, held_out, (error[0], error[1]))

    @torch.no_grad()
    def predict(self, drives: Drives) -> Tensor:
        """The head's outputs for every frame."""
        self._model.eval()
        rows = torch.arange(len(drives.targets)).split(1024)
        return torch.cat([outputs(self._model, *windows_of(drives, part, self._window)) for part in rows])

    def _set_rate(self, number: int) -> None:
        share = 0.55 + 0.45 * math.cos(math.pi * min(1.0, number / max(1, self._config.epochs - 1)))
        for group in self._optimiser.param_groups:
            group["lr"] = self._config.rate * share

    def _save(self) -> None:
        content = {
            "config": dataclasses.asdict(self._config),
            "head": {name: value.detach() for name, value in self._parameters.items()},
            "best": self._best,
            "optimiser": self._optimiser.state_dict(),
            "history": [list(epoch[:3]) + list(epoch.val_mae) for epoch in self.history],
        }
        with atomic_binary(self._state) as file:
            torch.save(content, file)

    def _resume(self) -> None:
        content: dict[str, Any] = torch.load(self._state, weights_only=True)
        if content["config"] != dataclasses.asdict(self._config):
            raise UserError(f"{self._state} belongs to a run with other settings; remove it, or give the same ones")
        with torch.no_grad():
            for name, value in content["head"].items():
                self._parameters[name].copy_(value)
        self._best = content["best"]
        self._optimiser.load_state_dict(content["optimiser"])
        self.history = [Epoch(int(row[0]), row[1], row[2], (row[3], row[4])) for row in content["history"]]
        self.resumed_at = len(self.history)


def head_parameters(model: PolicyModel) -> list[tuple[str, nn.Parameter]]:
    """Names and parameters of fusion, LSTM and MLP."""
    return [(name, parameter) for name, parameter in model.named_parameters() if name.startswith(HEAD)]


@torch.no_grad()
def reset_head(model: PolicyModel, seed: int) -> None:
    """New weights that let a signal through: PyTorch's defaults lose it in four LSTM layers and an MLP."""
    torch.manual_seed(seed)
    if model.feature_fusion is not None:
        model.feature_fusion.reset_parameters()
    hidden = model.rnn.hidden_size
    for name, parameter in model.rnn.named_parameters():
        if name.startswith("weight_ih"):
            for gate in parameter.split(hidden):
                nn.init.xavier_uniform_(gate, gain=_LSTM_INPUT_GAIN)
        elif name.startswith("weight_hh"):
            for gate in parameter.split(hidden):
                nn.init.orthogonal_(gate)
        else:
            parameter.zero_()
            if name.startswith("bias_ih"):
                parameter[hidden : 2 * hidden] = 1.0  # the forget gate begins open
    for layer in model.actions.mlp:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.LayerNorm):
            layer.reset_parameters()
    last = [layer for layer in model.actions.mlp if isinstance(layer, nn.Linear)][-1]
    last.weight.mul_(_LAST_LAYER_SHARE)


@torch.no_grad()
def standardise(model: PolicyModel, features: Tensor) -> None:
    """Fold zero mean and unit spread of the features into the fusion's fresh weights: the LSTM then starts in range."""
    fusion = model.feature_fusion
    if fusion is None:
        return
    mean, spread = features.mean(0), features.std(0).clamp_min(1e-3)
    fusion.weight.div_(spread)
    fusion.bias.sub_(fusion.weight @ mean)


def joined(features: Sequence[Tensor], targets: Sequence[Tensor]) -> Drives:
    """Episodes as one table."""
    starts, begin = [], 0
    for part in features:
        starts.append(torch.full((len(part),), begin))
        begin += len(part)
    return Drives(torch.cat(list(features)), torch.cat(list(targets)), torch.cat(starts))


def windows_of(drives: Drives, rows: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """The frames up to and including each row, at most `window`, never of another episode; padded behind."""
    first = torch.maximum(drives.starts[rows], rows - window + 1)
    lengths = rows - first + 1
    steps = torch.arange(int(lengths.max()))
    index = torch.minimum(first[:, None] + steps, rows[:, None])
    return drives.features[index], lengths


def outputs(model: PolicyModel, windows: Tensor, lengths: Tensor) -> Tensor:
    """As `PolicyModel.act` on every window's own length: raw outputs (batch, 2)."""
    packed = pack_padded_sequence(model.fuse(windows), lengths, batch_first=True, enforce_sorted=False)
    _, (hidden, _) = model.rnn(packed)
    result: Tensor = model.actions(hidden[-1])
    return result
