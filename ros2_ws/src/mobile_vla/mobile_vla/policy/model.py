"""The checkpoint's module tree: `state_dict()` keys equal the file's.

The towers are the real `transformers` classes; the LSTM and the MLP follow the inferred layout. No width is written
here: sizes come from `Layout`, everything that leaves no trace in a shape comes from the card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType

import torch
from torch import Tensor, nn

from mobile_vla.checkpoint.card import FULL_SIZE_TOWERS, Card, CardError, ClipFacts, KosmosFacts, TowerFacts
from mobile_vla.checkpoint.layout import (
    FULL_SIZE_WIDTHS,
    LAYER_NORM,
    LINEAR,
    RELU,
    ClipDims,
    HeadDims,
    KosmosDims,
    Layout,
)
from mobile_vla.errors import nearest
from mobile_vla.policy.upstream import ACTIVATIONS, CLIPConfig, CLIPModel, Kosmos2Config, Kosmos2Model

# Longest text the sinusoidal table is built for; it grows by itself beyond, so it is not a property of a checkpoint.
KOSMOS_POSITIONS = 2048
DROPOUT_P = 0.1


class ActionHead(nn.Module):
    """`actions.mlp`: from the LSTM's last hidden state to two outputs."""

    def __init__(self, head: HeadDims, final_activation: str) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        for layer in head.mlp:
            if layer.kind == LINEAR:
                modules.append(nn.Linear(layer.inputs, layer.outputs))
            elif layer.kind == LAYER_NORM:
                modules.append(nn.LayerNorm(layer.outputs))
            else:
                modules.append(nn.ReLU() if layer.kind == RELU else nn.Dropout(DROPOUT_P))
        self.mlp = nn.Sequential(*modules)
        self.final = nn.Tanh() if final_activation == "tanh" else nn.Identity()

    def forward(self, hidden: Tensor) -> Tensor:
        """Hidden states (..., hidden) to raw outputs (..., 2)."""
        output: Tensor = self.final(self.mlp(hidden))
        return output


class PolicyModel(nn.Module):
    """Towers, fusion, LSTM and action head, without any notion of time or of pictures."""

    def __init__(self, layout: Layout, facts: TowerFacts, final_activation: str) -> None:
        super().__init__()
        self.layout = layout
        self.kosmos_model = Kosmos2Model(kosmos_config(layout.kosmos, facts.kosmos))
        self.clip_model = CLIPModel(clip_config(layout.clip, facts.clip))
        head = layout.head
        self.feature_fusion: nn.Linear | None = None
        if head.fusion_in is not None:
            self.feature_fusion = nn.Linear(head.fusion_in, head.rnn_in)
        self.rnn = nn.LSTM(head.rnn_in, head.hidden, head.rnn_layers, batch_first=True)
        self.actions = ActionHead(head, final_activation)

    def fuse(self, features: Tensor) -> Tensor:
        """Features (..., feature_width) to LSTM inputs (..., rnn_in)."""
        return features if self.feature_fusion is None else self.feature_fusion(features)

    def act(self, fused: Tensor) -> Tensor:
        """LSTM inputs (batch, frames, rnn_in) from a zero state to raw outputs (batch, 2) of the last frame."""
        states, _ = self.rnn(fused)
        output: Tensor = self.actions(states[:, -1])
        return output

    def act_along(self, fused: Tensor, count: int) -> Tensor:
        """LSTM inputs (1, frames, rnn_in) from a zero state to raw outputs (count, 2): one for each of the last frames,
        as if the recording had ended there.
        """
        states, _ = self.rnn(fused)
        output: Tensor = self.actions(states[0, -count:])
        return output


def tower_facts(layout: Layout, card: Card) -> TowerFacts:
    """What the card says about the towers, or the published facts where the sizes are the published ones."""
    widths = {
        "kosmos.text": layout.kosmos.text.width,
        "kosmos.vision": layout.kosmos.vision.width,
        "clip.text": layout.clip.text.width,
        "clip.vision": layout.clip.vision.width,
    }
    facts = card.towers
    if facts is None:
        for name, width in widths.items():
            if width != FULL_SIZE_WIDTHS[name]:
                tower, _, part = name.partition(".")
                raise CardError(
                    f"{name} is {width} wide, not {FULL_SIZE_WIDTHS[name]}, so its attention heads cannot be known; "
                    f"write towers.{tower}.{part}_heads and the other tower facts into the card"
                )
        return FULL_SIZE_TOWERS
    heads = {
        "kosmos.text": facts.kosmos.text_heads,
        "kosmos.vision": facts.kosmos.vision_heads,
        "clip.text": facts.clip.text_heads,
        "clip.vision": facts.clip.vision_heads,
    }
    for (first, width), (_, count) in zip(widths.items(), heads.items(), strict=True):
        if width % count:
            raise CardError(f"towers.{first}_heads is {count} in the card, which does not divide the width {width}")
    for name, activation in (
        ("kosmos.text_activation", facts.kosmos.text_activation),
        ("kosmos.vision_activation", facts.kosmos.vision_activation),
        ("clip.activation", facts.clip.activation),
    ):
        if activation not in ACTIVATIONS:
            raise CardError(f"towers.{name} is {activation!r} in the card; {nearest(activation, ACTIVATIONS)}")
    for name, token, rows in (
        ("kosmos.pad_token", facts.kosmos.pad_token, layout.kosmos.vocabulary),
        ("clip.begin_token", facts.clip.begin_token, layout.clip.vocabulary),
        ("clip.end_token", facts.clip.end_token, layout.clip.vocabulary),
    ):
        if token >= rows:
            raise CardError(
                f"towers.{name} is {token} in the card, the checkpoint has rows for {rows} tokens; correct it"
            )
    return facts


def kosmos_config(dims: KosmosDims, facts: KosmosFacts) -> Kosmos2Config:
    """The `transformers` configuration of this Kosmos-2 tower."""
    return Kosmos2Config(
        text_config={
            "vocab_size": dims.vocabulary,
            "max_position_embeddings": KOSMOS_POSITIONS,
            "embed_dim": dims.text.width,
            "layers": dims.text.layers,
            "ffn_dim": dims.text.ffn,
            "attention_heads": facts.text_heads,
            "activation_function": facts.text_activation,
            "layer_norm_eps": facts.layer_norm_eps,
            "scale_embedding": facts.scale_embedding,
            "pad_token_id": facts.pad_token,
        },
        vision_config={
            "hidden_size": dims.vision.width,
            "intermediate_size": dims.vision.ffn,
            "num_hidden_layers": dims.vision.layers,
            "num_attention_heads": facts.vision_heads,
            "image_size": dims.image_px,
            "patch_size": dims.patch_px,
            "hidden_act": facts.vision_activation,
            "layer_norm_eps": facts.layer_norm_eps,
        },
        latent_query_num=dims.latents,
    )


def clip_config(dims: ClipDims, facts: ClipFacts) -> CLIPConfig:
    """The `transformers` configuration of these CLIP towers."""
    common = {
        "layer_norm_eps": facts.layer_norm_eps,
        "hidden_act": facts.activation,
        "projection_dim": dims.projection,
    }
    return CLIPConfig(
        text_config={
            **common,
            "vocab_size": dims.vocabulary,
            "hidden_size": dims.text.width,
            "intermediate_size": dims.text.ffn,
            "num_hidden_layers": dims.text.layers,
            "num_attention_heads": facts.text_heads,
            "max_position_embeddings": dims.text_positions,
            "bos_token_id": facts.begin_token,
            "eos_token_id": facts.end_token,
        },
        vision_config={
            **common,
            "hidden_size": dims.vision.width,
            "intermediate_size": dims.vision.ffn,
            "num_hidden_layers": dims.vision.layers,
            "num_attention_heads": facts.vision_heads,
            "image_size": dims.image_px,
            "patch_size": dims.patch_px,
        },
        projection_dim=dims.projection,
    )


def meta_model(layout: Layout, card: Card) -> PolicyModel:
    """The module tree without memory: every parameter and buffer is on the meta device."""
    with torch.device("meta"):
        return PolicyModel(layout, tower_facts(layout, card), card.final_activation).eval()


@lru_cache(maxsize=16)
def expected_shapes(layout: Layout) -> Mapping[str, tuple[int, ...]]:
    """Names and shapes of the module tree's tensors; needs no card, because no card field changes a shape."""
    one_head = replace(FULL_SIZE_TOWERS.kosmos, text_heads=1, vision_heads=1)
    one_head_clip = replace(FULL_SIZE_TOWERS.clip, text_heads=1, vision_heads=1, begin_token=0, end_token=1)
    facts = TowerFacts(kosmos=one_head, clip=one_head_clip)
    with torch.device("meta"):
        state = PolicyModel(layout, facts, "none").state_dict()
    return MappingProxyType({name: tuple(tensor.shape) for name, tensor in state.items()})


def check_geometry(layout: Layout, card: Card) -> None:
    """Refuse a card whose layout or image sizes contradict the tensors."""
    if card.layout != layout.head.family:
        raise CardError(
            f"layout is {card.layout} in the card but the tensors of actions.mlp are {layout.head.family}; is it "
            f"another file's card? write {layout.head.family}"
        )
    for name, declared, actual in (
        ("kosmos_image.size_px", card.kosmos_image.size_px, layout.kosmos.image_px),
        ("clip_image.size_px", card.clip_image.size_px, layout.clip.image_px),
    ):
        if declared != actual:
            raise CardError(
                f"{name} is {declared} in the card but the position embeddings are for {actual}; write {actual}"
            )
