"""The real inference process with a policy that does as it is told, so that a model's failures can be had on demand.

`FAULT_FOLDER` names a folder: while the file `exceptions` lies there, every step raises; every step needs a buffer, so
that taking the process's memory away makes it fail as a large model does. While the file `loading` lies there the
policy is being loaded. No model is loaded.
"""

from __future__ import annotations

import os
import runpy
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import mobile_vla.engine
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.policy.interface import Step

FOLDER = "FAULT_FOLDER"
EXCEPTIONS = "exceptions"
LOADING = "loading"
BUFFER_BYTES = 256_000_000
NODE = "mobile_vla_nodes.inference"


class ScriptedCard(NamedTuple):
    """A card of nothing."""

    action_space: str = "diff"
    untrained: bool = False
    control_rate_hz: float = 15.0
    window: int = 1


class ScriptedPolicy:
    """Always the same action."""

    card = ScriptedCard()

    def __init__(self) -> None:
        self._failing = Path(os.environ[FOLDER]) / EXCEPTIONS
        self.description: dict[str, Any] = {"engine": "scripted", "weights": "none"}

    def reset(self) -> None:
        """Nothing is remembered."""

    def step(self, frame_rgb: Any, instruction: str) -> Step:
        """Allocate as a model would, and act."""
        if self._failing.exists():
            raise RuntimeError("a kernel failed")
        buffer = np.empty(BUFFER_BYTES, np.uint8)  # reserved, never touched
        return Step((0.7, 0.3), {"step": float(buffer.size > 0)})

    def self_check(self) -> None:
        """Always the recorded one."""


def _open_scripted(config: InferenceConfig, progress: Any = None) -> Any:
    while (Path(os.environ[FOLDER]) / LOADING).exists():
        time.sleep(0.05)
    return ScriptedPolicy()


if __name__ == "__main__":
    mobile_vla.engine.open_policy = _open_scripted
    runpy.run_module(NODE, run_name="__main__")
