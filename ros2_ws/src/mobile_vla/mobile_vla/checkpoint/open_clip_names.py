"""The same CLIP weights under `open_clip`'s names, and back.

Each tensor under a `transformers` name is made of one tensor under an `open_clip` name: itself, transposed, or one
third of the stacked attention input (query, key, value in that order).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from mobile_vla.errors import UserError

_PLAIN = {
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.ln_pre": "vision_model.pre_layrnorm",
    "visual.ln_post": "vision_model.post_layernorm",
    "visual.proj": "visual_projection.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "ln_final": "text_model.final_layer_norm",
    "text_projection": "text_projection.weight",
    "logit_scale": "logit_scale",
}
_TRANSPOSED = {"visual.proj", "text_projection"}
_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_STACKED = ("q_proj", "k_proj", "v_proj")
_BLOCK = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+?)\.?(in_proj_)?(weight|bias)")


class Part(NamedTuple):
    """How one `transformers` tensor comes out of one `open_clip` tensor."""

    source: str
    transposed: bool = False
    third: int | None = None

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The resulting shape."""
        if self.transposed:
            return shape[::-1]
        if self.third is None or not shape or shape[0] % 3:
            return shape  # what is not a stack of three keeps its shape and is reported for it
        return (shape[0] // 3, *shape[1:])

    def take(self, tensor: Tensor) -> Tensor:
        """The resulting tensor: a view where possible."""
        if self.transposed:
            return tensor.t()
        return tensor if self.third is None else tensor.chunk(3)[self.third]


def is_open_clip(names: Iterable[str]) -> bool:
    """Whether names (without the `clip_model.` prefix) are `open_clip`'s."""
    return any(name.startswith(("visual.conv1", "visual.transformer.", "transformer.resblocks.")) for name in names)


def to_transformers(names: Iterable[str]) -> dict[str, Part]:
    """`transformers` name -> where it comes from. Names that are not `open_clip`'s stay as they are."""
    parts: dict[str, Part] = {}
    for name in names:
        for target, part in _parts(name):
            if target in parts:
                raise UserError(f"{parts[target].source} and {name} both mean {target}; the file mixes two CLIP towers")
            parts[target] = part
    return parts


def from_transformers(names: Iterable[str], read: Callable[[str], Tensor]) -> dict[str, Tensor]:
    """An `open_clip` state dict from `transformers` tensors; `names` are the `open_clip` names that are wanted."""
    state: dict[str, Tensor] = {}
    for name in names:
        parts = list(_parts(name))
        tensors = [read(target) for target, _ in parts]
        state[name] = (
            torch.cat(tensors) if len(tensors) == 3 else tensors[0].t() if parts[0][1].transposed else tensors[0]
        )
    return state


def _parts(name: str) -> list[tuple[str, Part]]:
    match = _BLOCK.fullmatch(name)
    if match:
        visual, layer, module, stacked, leaf = match.groups()
        prefix = f"{'vision' if visual else 'text'}_model.encoder.layers.{layer}"
        if stacked and module == "attn":
            return [
                (f"{prefix}.self_attn.{part}.{leaf}", Part(name, third=index)) for index, part in enumerate(_STACKED)
            ]
        if module in _LAYER:
            return [(f"{prefix}.{_LAYER[module]}.{leaf}", Part(name))]
        return [(name, Part(name))]
    if name in _PLAIN:
        return [(_PLAIN[name], Part(name, transposed=name in _TRANSPOSED))]
    stem, _, leaf = name.rpartition(".")
    return [(f"{_PLAIN[stem]}.{leaf}" if stem in _PLAIN else name, Part(name))]
