"""The reference engine: PyTorch eager on the real module tree. Exact; every other engine is compared with it."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobile_vla.checkpoint import synthetic
from mobile_vla.checkpoint.layout import FULL_SIZE_WIDTHS
from mobile_vla.checkpoint.load import Loaded, load
from mobile_vla.engine.streaming import StreamingPolicy
from mobile_vla.errors import UserError
from mobile_vla.policy import upstream
from mobile_vla.policy.config import InferenceConfig
from mobile_vla.policy.features import FeatureSet, Prompt
from mobile_vla.policy.model import tower_facts
from mobile_vla.policy.tokens import Tokens
from mobile_vla.policy.window import Window

DTYPES = {"stored": None, "fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items() if dtype is not None}


def open_policy(config: InferenceConfig) -> StreamingPolicy:
    """Load the policy that `config` names into PyTorch."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device is cuda but PyTorch finds no CUDA device; set device cpu or install a CUDA build")
    torch.set_num_threads(config.threads)
    named = config.checkpoint.startswith(synthetic.PREFIX)
    checkpoint = synthetic.cached(config.checkpoint) if named else Path(config.checkpoint)
    card_file = Path(config.card) if config.card else None
    loaded = load(checkpoint, card_file, DTYPES[config.dtype], torch.device(config.device))
    if loaded.card.untrained and not config.allow_untrained:
        raise UserError(
            f"policy '{loaded.card.name}' is untrained (random weights); set allow_untrained for a simulator, "
            f"or name a trained checkpoint"
        )
    return StreamingPolicy(loaded.card, TorchExecutor(loaded, config.threads))


class TorchExecutor:
    """Towers, window and head in PyTorch. Not thread-safe."""

    def __init__(self, loaded: Loaded, threads: int) -> None:
        self._model = loaded.model
        self._threads = threads
        card, layout = loaded.card, loaded.model.layout
        clip = tower_facts(layout, card).clip
        base = loaded.checkpoint.parent
        self._tokens = Tokens(card, base, layout.clip.text_positions, clip.begin_token, clip.end_token)
        self._features = FeatureSet(card, layout)
        self._window = Window(card.window)
        self._instruction: str | None = None
        self._prompt: Prompt | None = None
        weight = next(loaded.model.rnn.parameters())
        self._device, self._dtype = weight.device, weight.dtype
        published = layout.kosmos.text.width == FULL_SIZE_WIDTHS["kosmos.text"]
        self._weights = "random" if card.untrained else "real" if published else "trained"

    @property
    def description(self) -> dict[str, Any]:
        """What is executed."""
        return {
            "engine": "torch",
            "device": str(self._device),
            "dtype": _DTYPE_NAMES[self._dtype],
            "weights": self._weights,
            "threads": self._threads,
            "parameters": sum(parameter.numel() for parameter in self._model.parameters()),
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "transformers": upstream.VERSION,
            },
        }

    @torch.inference_mode()
    def encode(self, kosmos: NDArray[np.float32], clip: NDArray[np.float32], instruction: str) -> Tensor:
        """Pixels of both towers to one fused row (1, width)."""
        prompt = self._prepared(instruction)
        features = self._features.compute(self._model, self._pixels(kosmos), self._pixels(clip), prompt)
        return self._model.fuse(features)

    @torch.inference_mode()
    def act(self, row: Tensor) -> tuple[float, float]:
        """Push one row and run the LSTM over the window from a zero state."""
        first, second = self._model.act(self._window.push(row))[0].float().tolist()
        return first, second

    def reset(self) -> None:
        """Forget the window."""
        self._window.reset()

    def _pixels(self, planes: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(planes).unsqueeze(0).to(self._device, self._dtype)

    def _prepared(self, instruction: str) -> Prompt:
        if self._prompt is None or instruction != self._instruction:
            self._prompt = self._features.prepare(self._model, self._tokens(instruction))
            self._instruction = instruction
        return self._prompt
