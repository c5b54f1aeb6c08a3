"""The reference engine: PyTorch eager on the real module tree. Exact; every other engine is compared with it."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobile_vla.checkpoint.int8 import is_scale
from mobile_vla.checkpoint.layout import FULL_SIZE_WIDTHS
from mobile_vla.checkpoint.load import Loaded, load
from mobile_vla.checkpoint.named import checkpoint_file
from mobile_vla.engine.streaming import StreamingPolicy
from mobile_vla.errors import UserError
from mobile_vla.policy import upstream
from mobile_vla.policy.clip import ClipTowers, TransformersClip
from mobile_vla.policy.config import InferenceConfig
from mobile_vla.policy.features import FeatureSet, Pixels, Prompt
from mobile_vla.policy.model import tower_facts
from mobile_vla.policy.tokens import tokens_of
from mobile_vla.policy.window import Window

DTYPES = {"stored": None, "fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def open_policy(config: InferenceConfig) -> StreamingPolicy:
    """Load the policy that `config` names into PyTorch."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device is cuda but PyTorch finds no CUDA device; set device cpu or install a CUDA build")
    torch.set_num_threads(config.threads)
    card_file = Path(config.card).expanduser() if config.card else None
    loaded = load(checkpoint_file(config.checkpoint), card_file, DTYPES[config.dtype], torch.device(config.device))
    if loaded.card.untrained and not config.allow_untrained:
        raise UserError(
            f"policy '{loaded.card.name}' is untrained (random weights); set allow_untrained for a simulator, "
            f"or name a trained checkpoint"
        )
    return StreamingPolicy(loaded.card, TorchExecutor(loaded, config.threads, config.clip_provider))


class TorchExecutor:
    """Towers, window and head in PyTorch. Not thread-safe."""

    def __init__(self, loaded: Loaded, threads: int, clip_provider: str = "transformers") -> None:
        self._model = loaded.model
        self._threads = threads
        card, layout = loaded.card, loaded.model.layout
        self._tokens = tokens_of(card, layout, loaded.base)
        self._clip_provider = clip_provider
        self._clip = _clip(loaded, clip_provider)
        self._features = FeatureSet(card, layout)
        self._window = Window(card.window)
        self._instruction: str | None = None
        self._prompt: Prompt | None = None
        weight = next(loaded.model.rnn.parameters())
        self._device, self._dtype = weight.device, weight.dtype
        published = layout.kosmos.text.width == FULL_SIZE_WIDTHS["kosmos.text"]
        self._dtypes, self._notes = (loaded.dtype, loaded.stored, loaded.precision), loaded.notes
        self._weights = "random" if card.untrained else "real" if published else "trained"

    @property
    def description(self) -> dict[str, Any]:
        """What is executed."""
        return {
            "engine": "torch",
            "device": str(self._device),
            "dtype": self._dtypes[0],
            "stored": self._dtypes[1],
            "precision": self._dtypes[2],
            "weights": self._weights,
            "threads": self._threads,
            "parameters": sum(tensor.numel() for name, tensor in self._model.named_parameters() if not is_scale(name)),
            "clip": self._clip_provider,
            "notes": list(self._notes),
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
        pixels = Pixels(self._pixels(kosmos), self._pixels(clip))
        features = self._features.compute(self._model, self._clip, pixels, prompt)
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
            self._prompt = self._features.prepare(self._model, self._clip, self._tokens(instruction))
            self._instruction = instruction
        return self._prompt


def _clip(loaded: Loaded, provider: str) -> ClipTowers:
    """The CLIP towers, executed by the module tree or by open_clip with the same weights."""
    if provider == "transformers":
        return TransformersClip(loaded.model.clip_model)
    from mobile_vla.policy.open_clip_tower import OpenClipTowers

    if loaded.dtype == "int8":
        raise UserError(
            "clip_provider open_clip cannot run int8 weights; use transformers, or a bf16 or fp32 checkpoint"
        )
    facts = tower_facts(loaded.model.layout, loaded.card).clip
    return OpenClipTowers.of_transformers(loaded.model.clip_model, loaded.model.layout.clip, facts)
