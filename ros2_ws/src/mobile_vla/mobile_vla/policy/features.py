"""The features a card names, in its order: from two pictures and a prepared text to one vector.

Text that does not change from frame to frame is computed once per instruction (`Prompt`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mobile_vla.checkpoint.card import Card, CardError, split_feature
from mobile_vla.checkpoint.layout import Layout
from mobile_vla.policy.clip import ClipTowers
from mobile_vla.policy.model import PolicyModel
from mobile_vla.policy.tokens import PromptIds


class Pixels(NamedTuple):
    """One batch of frames as each tower wants it: (batch, 3, side, side)."""

    kosmos: Tensor
    clip: Tensor


class Prompt(NamedTuple):
    """One instruction, ready: embedding rows around the image latents, and CLIP's text feature where it is used."""

    before: Tensor
    after: Tensor
    clip_text: Tensor | None


def feature_width(layout: Layout, feature: str) -> int:
    """How many numbers one named feature contributes."""
    name, _ = split_feature(feature)
    return {
        "kosmos_text": layout.kosmos.text.width,
        "kosmos_latents": layout.kosmos.text.width,
        "kosmos_vision": layout.kosmos.vision.width,
        "clip_vision": layout.clip.vision.width,
        "clip_image": layout.clip.projection,
        "clip_text": layout.clip.projection,
    }[name]


class FeatureSet:
    """The ordered features of one card, checked against the layout; a stateless function of its inputs."""

    def __init__(self, card: Card, layout: Layout) -> None:
        self.features = tuple(split_feature(feature) for feature in card.features)
        self.widths = tuple(feature_width(layout, feature) for feature in card.features)
        if sum(self.widths) != layout.head.feature_width:
            listed = " + ".join(
                f"{width} ({name})" for (name, _), width in zip(self.features, self.widths, strict=True)
            )
            raise CardError(
                f"features: {listed} = {sum(self.widths)}, but feature_fusion.weight takes "
                f"{layout.head.feature_width}; name the features the policy was trained with"
            )
        names = {name for name, _ in self.features}
        self.uses_text = "kosmos_text" in names
        self.uses_latents = self.uses_text or "kosmos_latents" in names
        self.uses_kosmos = self.uses_latents or "kosmos_vision" in names
        self.uses_clip_vision = bool(names & {"clip_vision", "clip_image"})
        self.uses_clip_text = "clip_text" in names

    def prepare(self, model: PolicyModel, clip: ClipTowers, ids: PromptIds) -> Prompt:
        """Everything about one instruction that no frame changes."""
        text = model.kosmos_model.text_model.model
        device = text.embed_tokens.weight.device
        before, after = (text.embed_tokens(torch.tensor([part], device=device)) for part in (ids.before, ids.after))
        clip_text = None
        if self.uses_clip_text:
            clip_text = clip.text(torch.tensor([ids.clip], device=device))
        return Prompt(before, after, clip_text)

    def compute(self, model: PolicyModel, clip: ClipTowers, pixels: Pixels, prompt: Prompt) -> Tensor:
        """Pixels of both towers and a prompt to features (batch, feature_width)."""
        kosmos_pixels, clip_pixels = pixels
        values: dict[tuple[str, str], Tensor] = {}
        if self.uses_kosmos:
            self._kosmos(model.kosmos_model, kosmos_pixels, prompt, values)
        if self.uses_clip_vision:
            seen = clip.vision(clip_pixels)
            values["clip_vision", "cls"] = seen.pooled
            values["clip_vision", "mean"] = seen.tokens.mean(1)
            values["clip_image", "projected"] = seen.projected
            values["clip_image", "normalised"] = normalize(seen.projected, dim=-1)
        if prompt.clip_text is not None:
            text = prompt.clip_text.expand(len(clip_pixels), -1)
            values["clip_text", "projected"] = text
            values["clip_text", "normalised"] = normalize(text, dim=-1)
        return torch.cat([values[key] for key in self.features], dim=-1)

    def _kosmos(self, kosmos: Any, pixels: Tensor, prompt: Prompt, values: dict[tuple[str, str], Tensor]) -> None:
        output = kosmos.vision_model(pixel_values=pixels)
        tokens = kosmos.vision_model.model.post_layernorm(output.last_hidden_state)
        values["kosmos_vision", "cls"] = tokens[:, 0]
        values["kosmos_vision", "mean"] = tokens.mean(1)
        if not self.uses_latents:
            return
        latents, _ = kosmos.image_to_text_projection(normalize(tokens, dim=-1))
        values["kosmos_latents", "mean"] = latents.mean(1)
        if not self.uses_text:
            return
        batch = len(pixels)
        rows = torch.cat([prompt.before.expand(batch, -1, -1), latents, prompt.after.expand(batch, -1, -1)], dim=1)
        # Equal to the input_ids path bit for bit: that path puts the same rows at the same places.
        hidden = kosmos.text_model(inputs_embeds=rows, use_cache=False).last_hidden_state
        values["kosmos_text", "last"] = hidden[:, -1]
        values["kosmos_text", "mean"] = hidden.mean(1)
