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

from mobile_vla.errors import UserError
from mobile_vla.files import atomic_binary
from mobile_vla.policy.model import PolicyModel
from mobile_vla.train.head.config import FitConfig
from mobile_vla.train.head.drives import Drives, head_parameters, outputs, predict, windows
from mobile_vla.train.optimise import descend, set_rate

_LSTM_INPUT_GAIN = 2.0
_LAST_LAYER_SHARE = 0.3  # begin near standing still


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
            frames, lengths = windows(train.starts, rows, self._window)
            features = train.features[frames]
            noisy = features + torch.randn(features.shape, generator=generator) * spread * config.noise
            loss = huber_loss(outputs(self._model, noisy, lengths), train.targets[rows], delta=config.huber)
            descend(self._optimiser, loss)
            total, seen = total + loss.item() * len(rows), seen + len(rows)
        predicted = self.predict(val)
        error = ((predicted - val.targets).abs().mean(0) * self._scale).tolist()
        held_out = huber_loss(predicted, val.targets, delta=config.huber).item()
        return Epoch(number, total / seen, held_out, (error[0], error[1]))

    def predict(self, drives: Drives) -> Tensor:
        """The head's outputs for every frame."""
        return predict(self._model, drives, self._window)

    def _set_rate(self, number: int) -> None:
        share = 0.55 + 0.45 * math.cos(math.pi * min(1.0, number / max(1, self._config.epochs - 1)))
        set_rate(self._optimiser, self._config.rate * share)

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
