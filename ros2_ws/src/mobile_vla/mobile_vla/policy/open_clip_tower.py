"""`open_clip` as another provider of the CLIP towers: the same weights under its names, the same outputs.

Sizes come from the layout, so any size works; at ViT-B/32 this is `open_clip`'s `ViT-B-32-quickgelu`. Its wheel also
carries CLIP's real tokenizer, which works offline.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mobile_vla.checkpoint.card import CardError, ClipFacts
from mobile_vla.checkpoint.layout import ClipDims
from mobile_vla.checkpoint.open_clip_names import from_transformers
from mobile_vla.errors import UserError
from mobile_vla.policy.clip import Vision
from mobile_vla.policy.torchvision_ops import register_missing_torchvision_ops


class OpenClipTowers(nn.Module):
    """CLIP executed by `open_clip`, with the interface `policy.clip.ClipTowers`."""

    def __init__(self, dims: ClipDims, facts: ClipFacts) -> None:
        super().__init__()
        self.model = build(dims, facts)

    def vision(self, pixels: Tensor) -> Vision:
        """Pixels (batch, 3, side, side) to the vision tower's outputs."""
        visual = self.model.visual
        hidden = visual.transformer(visual._embeds(pixels))  # noqa: SLF001  (what forward itself does)
        pooled = visual.ln_post(hidden[:, 0])
        return Vision(pooled, hidden, pooled @ visual.proj)

    def text(self, ids: Tensor) -> Tensor:
        """Token ids (batch, tokens) to the projected text feature, read at the highest id, which is the end."""
        padded = torch.zeros(len(ids), self.model.context_length, dtype=ids.dtype, device=ids.device)
        padded[:, : ids.shape[1]] = ids
        projected: Tensor = self.model.encode_text(padded)
        return projected

    @classmethod
    def of_transformers(cls, clip: nn.Module, dims: ClipDims, facts: ClipFacts) -> OpenClipTowers:
        """The same weights as a `transformers` CLIPModel: stacked attention inputs are copies, the rest is shared."""
        with torch.device("meta"):
            towers = cls(dims, facts)
        wanted = towers.model.state_dict()
        given = clip.state_dict()
        state = from_transformers(wanted, given.__getitem__)
        towers.model.load_state_dict(state, strict=True, assign=True)
        mask = towers.model.build_causal_mask() if hasattr(towers.model, "build_causal_mask") else _mask(dims)
        towers.model.register_buffer("attn_mask", mask.to(next(iter(state.values()))), persistent=False)
        return towers.eval().requires_grad_(False)


def build(dims: ClipDims, facts: ClipFacts) -> Any:
    """An `open_clip` CLIP of these dimensions."""
    clip = _open_clip()
    if facts.activation != "quick_gelu":
        raise CardError(
            f"towers.clip.activation is {facts.activation}; open_clip runs quick_gelu towers here, use transformers"
        )
    return clip.CLIP(
        embed_dim=dims.projection,
        quick_gelu=True,
        vision_cfg=clip.CLIPVisionCfg(
            layers=dims.vision.layers,
            width=dims.vision.width,
            head_width=dims.vision.width // facts.vision_heads,
            mlp_ratio=dims.vision.ffn / dims.vision.width,
            patch_size=dims.patch_px,
            image_size=dims.image_px,
        ),
        text_cfg=clip.CLIPTextCfg(
            context_length=dims.text_positions,
            vocab_size=dims.vocabulary,
            width=dims.text.width,
            heads=facts.text_heads,
            layers=dims.text.layers,
            mlp_ratio=dims.text.ffn / dims.text.width,
        ),
    )


def tokenizer() -> Callable[[str], list[int]]:
    """CLIP's byte-pair encoding from `open_clip`'s wheel: text to ids, nothing added."""
    clip = _open_clip()
    encode: Callable[[str], list[int]] = clip.SimpleTokenizer().encode
    return encode


def _open_clip() -> Any:
    if importlib.util.find_spec("open_clip") is None:
        raise UserError("open_clip is not installed; `pip install open_clip_torch`, or name CLIP's tokenizer folder")
    register_missing_torchvision_ops()
    import open_clip

    return open_clip


def _mask(dims: ClipDims) -> Tensor:
    return torch.full((dims.text_positions, dims.text_positions), float("-inf")).triu_(1)
