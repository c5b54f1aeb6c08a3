"""Settings of fitting a head. Light to import: no torch."""

from __future__ import annotations

import dataclasses

from mobile_vla.config import Config, param


@dataclasses.dataclass(frozen=True, kw_only=True)
class FitConfig(Config):
    """How the head is fitted."""

    epochs: int = param(100, "passes over the training frames at most", ge=1, le=100_000)
    patience: int = param(10, "stop after this many epochs without a better held-out loss", ge=1, le=10_000)
    batch: int = param(128, "windows per step", ge=1, le=65536)
    rate: float = param(2e-3, "learning rate at the start; it falls to a tenth on a cosine", gt=0.0, le=1.0)
    decay: float = param(0.01, "weight decay", ge=0.0, le=1.0)
    huber: float = param(0.1, "error above which the loss grows linearly, as a share of full speed", gt=0.0, le=2.0)
    noise: float = param(0.02, "noise on the features while training, as a share of their spread", ge=0.0, le=1.0)
    fresh: bool = param(True, "begin with new weights of the head; false: go on from the checkpoint's")
    seed: int = param(0, "seed of weights, order and noise", ge=0)
