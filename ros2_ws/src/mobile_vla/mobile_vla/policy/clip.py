"""CLIP's towers behind one interface, whoever executes them."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from torch import Tensor


class Vision(NamedTuple):
    """CLIP's view of pictures: the tower's pooled state, its tokens before pooling, and the common projection."""

    pooled: Tensor
    tokens: Tensor
    projected: Tensor


class ClipTowers(Protocol):
    """What the features need of CLIP."""

    def vision(self, pixels: Tensor) -> Vision:
        """Pixels (batch, 3, side, side) to the vision tower's outputs."""

    def text(self, ids: Tensor) -> Tensor:
        """Token ids (batch, tokens) to the projected text feature."""


class TransformersClip:
    """The towers of the module tree itself."""

    def __init__(self, clip: Any) -> None:
        self._clip = clip

    def vision(self, pixels: Tensor) -> Vision:
        """Through `vision_model`, because `CLIPModel`'s own outputs hide the pooled state in 5.x."""
        output = self._clip.vision_model(pixel_values=pixels)
        projected = self._clip.visual_projection(output.pooler_output)
        return Vision(output.pooler_output, output.last_hidden_state, projected)

    def text(self, ids: Tensor) -> Tensor:
        """The state at the end-of-text token, projected."""
        projected: Tensor = self._clip.text_projection(self._clip.text_model(input_ids=ids).pooler_output)
        return projected
