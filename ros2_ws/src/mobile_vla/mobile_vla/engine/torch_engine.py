"""The reference engine: PyTorch eager on the real module tree. Exact; every other engine is compared with it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobile_vla.checkpoint.int8 import is_scale
from mobile_vla.checkpoint.layout import FULL_SIZE_WIDTHS
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.engine.load import Loaded, load
from mobile_vla.engine.mapped import MappedWeights
from mobile_vla.engine.named import checkpoint_file, refuse_untrained
from mobile_vla.engine.streaming import StreamingPolicy
from mobile_vla.engine.tokenizers import tokens_of
from mobile_vla.errors import UserError
from mobile_vla.files import expanded
from mobile_vla.policy import upstream
from mobile_vla.policy.clip import ClipTowers, TransformersClip
from mobile_vla.policy.features import FeatureSet, Pixels, Prompt
from mobile_vla.policy.interface import StepError
from mobile_vla.policy.model import tower_facts
from mobile_vla.policy.preprocess import Prepared
from mobile_vla.policy.window import Window

SMALL = 50_000_000
FRAMES_AT_ONCE = 16
DTYPES = {"stored": None, "fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def open_policy(config: InferenceConfig, progress: Callable[[int], None]) -> StreamingPolicy:
    """Load the policy that `config` names into PyTorch."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device is cuda but PyTorch finds no CUDA device; set device cpu or install a CUDA build")
    torch.set_num_threads(config.threads)
    card_file = expanded(config.card) if config.card else None
    loaded = load(
        checkpoint_file(config.checkpoint),
        card_file,
        DTYPES[config.dtype],
        torch.device(config.device),
        progress=progress,
        accept=lambda card: refuse_untrained(config.checkpoint, card, allowed=config.allow_untrained),
    )
    return policy_of(loaded, config.threads, config.clip_provider)


def policy_of(loaded: Loaded, threads: int, clip_provider: str = "transformers") -> StreamingPolicy:
    """A policy over a loaded model."""
    return StreamingPolicy(loaded.card, TorchExecutor(loaded, threads, clip_provider))


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
        self._parameters = sum(tensor.numel() for name, tensor in self._model.named_parameters() if not is_scale(name))
        published = layout.kosmos.text.width == FULL_SIZE_WIDTHS["kosmos.text"]
        self._mapped = MappedWeights(loaded.mapped)
        self._dtypes = (loaded.dtype, loaded.stored, loaded.precision)
        self._notes = (*loaded.notes, *filter(None, [self._mapped.note]))
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
            "parameters": self._parameters,
            "clip": self._clip_provider,
            "notes": list(self._notes),
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "transformers": upstream.VERSION,
            },
        }

    @property
    def frames_at_once(self) -> int:
        """A small model's frame does not fill a core (four fifths of its time are calls); a large one's does."""
        return FRAMES_AT_ONCE if self._parameters < SMALL or self._device.type == "cuda" else 1

    @property
    def weights_error(self) -> str:
        """Empty, or why the weights must not be used any more."""
        return self._mapped.error()

    @torch.inference_mode()
    def encode(self, frames: Sequence[Prepared], instruction: str) -> Sequence[Tensor]:
        """One fused row (1, width) per frame."""
        return self._model.fuse(self.features(frames, instruction)).chunk(len(frames))

    @torch.inference_mode()
    def features(self, frames: Sequence[Prepared], instruction: str) -> Tensor:
        """What the towers see, before the fusion: (frames, feature_width)."""
        if lost := self._mapped.require():
            raise StepError(lost)
        prompt = self._prepared(instruction)
        kosmos = self._pixels([frame.kosmos for frame in frames])
        same = all(frame.clip is frame.kosmos for frame in frames)
        pixels = Pixels(kosmos, kosmos if same else self._pixels([frame.clip for frame in frames]))
        return self._features.compute(self._model, self._clip, pixels, prompt)

    @torch.inference_mode()
    def act(self, rows: Sequence[Tensor]) -> list[tuple[float, float]]:
        """Push the rows and run the LSTM over each one's window from a zero state; all together.

        While the window fills, each one is the beginning of the next, so one run has the outputs of all.
        """
        windows = [self._window.push(row) for row in rows]
        filling = sum(window.shape[1] < self._window.frames for window in windows)
        outputs = []
        if filling:
            outputs.append(self._model.act_along(windows[filling - 1], filling))
        if full := windows[filling:]:
            outputs.append(self._model.act(torch.cat(full)))
        return [(first, second) for first, second in torch.cat(outputs).float().tolist()]

    def reset(self) -> None:
        """Forget the window."""
        self._window.reset()

    def _pixels(self, planes: Sequence[NDArray[np.float32]]) -> Tensor:
        stacked = planes[0][None] if len(planes) == 1 else np.stack(planes)
        return torch.from_numpy(stacked).to(self._device, self._dtype)

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
