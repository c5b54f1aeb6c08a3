"""The whole policy over a short recording at once: every weight is read one time, however many frames there are.

Equal to stepping frame by frame (a test shows it). Probes at conversion use it, because a small machine reads 7 GB
from disk for each pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mobile_vla.checkpoint.load import Loaded
from mobile_vla.policy.clip import TransformersClip
from mobile_vla.policy.features import FeatureSet, Pixels
from mobile_vla.policy.preprocess import Preprocess
from mobile_vla.policy.tokens import tokens_of


class BatchPolicy:
    """One loaded policy, run over whole sequences from a zero state. Not thread-safe."""

    def __init__(self, loaded: Loaded) -> None:
        self._model, self._card = loaded.model, loaded.card
        self._tokens = tokens_of(loaded.card, loaded.model.layout, loaded.base)
        self._features = FeatureSet(loaded.card, loaded.model.layout)
        self._towers = TransformersClip(loaded.model.clip_model)
        self._kosmos = Preprocess(loaded.card.kosmos_image)
        self._clip = Preprocess(loaded.card.clip_image)

    @torch.inference_mode()
    def raw_sequence(self, frames: Sequence[NDArray[np.uint8]], instruction: str) -> list[tuple[float, float]]:
        """Unscaled outputs after each frame, the window sliding as it does on the robot."""
        fused = self.fused(frames, instruction)
        window = self._card.window
        rows = [self._model.act(fused[None, max(0, end - window) : end])[0] for end in range(1, len(fused) + 1)]
        return [(first, second) for first, second in torch.stack(rows).float().tolist()]

    @torch.inference_mode()
    def fused(self, frames: Sequence[NDArray[np.uint8]], instruction: str) -> torch.Tensor:
        """LSTM inputs (frames, width)."""
        weight: torch.Tensor = self._model.get_parameter("rnn.weight_ih_l0")
        pixels = Pixels(
            *(
                torch.from_numpy(np.stack([process(frame) for frame in frames])).to(weight.device, weight.dtype)
                for process in (self._kosmos, self._clip)
            )
        )
        prompt = self._features.prepare(self._model, self._towers, self._tokens(instruction))
        return self._model.fuse(self._features.compute(self._model, self._towers, pixels, prompt))
