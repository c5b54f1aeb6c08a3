"""What the inference process is told: which policy, how it is executed, how old a frame may be."""

from __future__ import annotations

import dataclasses

from mobile_vla.camera.config import HealthConfig
from mobile_vla.config.instruction import MAX_CHARACTERS, too_long
from mobile_vla.config.schema import Config, ConfigError, param, section
from mobile_vla.engine.registry import DTYPES, ENGINES

MAX_THREADS = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class InferenceConfig(Config):
    """Settings of the policy and of the node around it. Everything not marked live needs a new configure."""

    checkpoint: str = param(
        "synthetic:tiny",
        "path of a .pth, .pt or .safetensors file, or of a .safetensors.index.json; `shipped:small` is the policy that "
        "comes with mobile_vla, `synthetic:tiny` generates one with random weights, both for the simulator",
    )
    card: str = param("", "path of the checkpoint's card; empty: <checkpoint>.card.yaml, or the card inside the file")
    allow_untrained: bool = param(
        False, "accept a policy whose card says `untrained`; simulators only, a robot must never set it"
    )
    engine: str = param(
        "torch",
        "what executes the policy; `torch` is the reference that every other one is compared with",
        choices=tuple(ENGINES),
    )
    clip_provider: str = param(
        "transformers",
        "library that executes the CLIP towers, with the same weights",
        choices=("transformers", "open_clip"),
    )
    device: str = param("cpu", "where the policy is executed", choices=("cpu", "cuda"))
    dtype: str = param(
        "stored", "number format of weights and arithmetic; `stored` keeps the file's own", choices=DTYPES
    )
    threads: int = param(
        1, "CPU threads of the arithmetic; more than the free cores makes it slower", ge=1, le=MAX_THREADS
    )
    instruction: str = param(
        "", f"the sentence to follow until another one arrives, at most {MAX_CHARACTERS} characters", live=True
    )
    rate_hz: float = param(
        0.0, "steps per second at most; 0: the rate the card says the policy was trained at", ge=0.0, le=200.0
    )
    image_max_age_s: float = param(
        0.3, "a frame older than this when its turn comes is dropped, counted and reported", gt=0.0, le=5.0, live=True
    )
    health: HealthConfig = section(HealthConfig)
    autostart: bool = param(True, "configure and activate on start; false: wait for the lifecycle services")

    def cross_check(self) -> None:
        """Refuse what would run, but wrongly slow, or not at all."""
        if problem := too_long(self.instruction):
            raise ConfigError(problem)
        if self.dtype not in (known := ENGINES[self.engine].dtypes):
            raise ConfigError(
                f"dtype is {self.dtype}, which engine {self.engine} cannot compute in; choose {' or '.join(known)}"
            )
        if self.device == "cpu" and self.dtype == "fp16":
            raise ConfigError(
                "dtype fp16 on device cpu is slower than fp32, got fp16; use bf16 or fp32, or device cuda"
            )
