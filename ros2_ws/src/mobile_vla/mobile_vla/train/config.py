"""Settings of the small policy and of its recipe. Loads no torch."""

from __future__ import annotations

import dataclasses

from mobile_vla.config import Config, ConfigError, param, section

HEAD_WIDTH = 16
"""Width of an attention head of the small policy's towers."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TinySize(Config):
    """Sizes of the small policy."""

    width: int = param(64, "Width of every tower.", ge=32, le=512)
    vision_layers: int = param(3, "Layers of Kosmos-2's vision tower.", ge=1, le=24)
    text_layers: int = param(3, "Layers of Kosmos-2's text decoder.", ge=1, le=24)
    clip_layers: int = param(2, "Layers of both CLIP towers.", ge=1, le=12)
    image_px: int = param(96, "Side of the picture both towers see.", ge=32, le=448)
    patch_px: int = param(12, "Side of a patch of Kosmos-2's vision tower.", ge=4, le=64)
    clip_patch_px: int = param(32, "Side of a patch of CLIP's vision tower.", ge=4, le=64)
    latents: int = param(16, "Image latents.", ge=4, le=64)
    hidden: int = param(128, "Width of the LSTM.", ge=16, le=1024)
    window: int = param(40, "Frames the LSTM runs over.", ge=1, le=64)
    control_rate_hz: float = param(10.0, "Decisions per second.", ge=1.0, le=50.0)

    def cross_check(self) -> None:
        if self.width % (2 * HEAD_WIDTH):
            raise ConfigError(f"width must be a multiple of {2 * HEAD_WIDTH}, got {self.width}")
        for name in ("patch_px", "clip_patch_px"):
            if self.image_px % getattr(self, name):
                raise ConfigError(f"{name} must divide image_px ({self.image_px}), got {getattr(self, name)}")

    @property
    def memory_s(self) -> float:
        """How far back the policy can look."""
        return self.window / self.control_rate_hz

    @property
    def patches(self) -> int:
        """Patches along one side of the picture."""
        return self.image_px // self.patch_px


@dataclasses.dataclass(frozen=True, kw_only=True)
class TowerConfig(Config):
    """How the towers are fitted."""

    steps: int = param(24000, "Optimiser steps.", ge=1)
    batch: int = param(64, "Pictures per step.", ge=2)
    rate: float = param(2e-3, "Highest learning rate.", gt=0.0)
    warm_up: int = param(300, "Steps until the highest rate.", ge=1)
    decay: float = param(0.02, "Weight decay.", ge=0.0)
    clip: float = param(1.0, "Gradients longer than this are shortened.", gt=0.0)
    seed: int = param(0, "Seed of weights and order.", ge=0)
    save_every: int = param(500, "Steps between two saved states.", ge=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadConfig(Config):
    """How the head is fitted."""

    steps: int = param(2000, "Optimiser steps.", ge=1)
    batch: int = param(128, "Windows per step.", ge=1)
    rate: float = param(2e-3, "Highest learning rate.", gt=0.0)
    decay: float = param(0.01, "Weight decay.", ge=0.0)
    noise: float = param(0.15, "Noise on the features, as a share of their spread.", ge=0.0)
    stop_weight: float = param(2.0, "How much more frames count in which the expert stands still.", ge=0.0)
    seed: int = param(0, "Seed of weights and order.", ge=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecipeConfig(Config):
    """Everything that decides the policy."""

    pose_shards: int = param(150, "Shards of 960 pictures from random places.", ge=2)
    episode_shards: int = param(72, "Shards of 10 drives of the pushed expert.", ge=2)
    rounds: int = param(3, "Correction rounds: the policy drives, the expert corrects, the head learns.", ge=0)
    shards_per_round: int = param(20, "Shards of 10 drives in each correction round.", ge=1)
    expert_share: float = param(0.2, "Share of a correction drive in which the expert takes over.", ge=0.0, le=1.0)
    push_share: float = param(0.35, "Share of time in which the expert is pushed.", ge=0.0, le=1.0)
    held_out_share: float = param(0.05, "Share of shards that are only measured on.", gt=0.0, le=0.5)
    rooms_examined: int = param(60, "Rooms of each kind in which the finished towers are asked what they see.", ge=1)
    threads: int = param(1, "Threads of the arithmetic; more than there are idle cores makes it slower.", ge=1, le=64)
    device: str = param("cpu", "Where the towers are trained.", choices=("cpu", "cuda"))
    workers: int = param(2, "Processes that make data.", ge=1, le=64)
    name: str = param("tiny-rooms", "Name of the policy on its card.")
    size: TinySize = section(TinySize)
    towers: TowerConfig = section(TowerConfig)
    head: HeadConfig = section(HeadConfig)
