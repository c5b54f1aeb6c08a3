"""Layouts by name: the published full size, and small ones for tests and the simulator."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

from mobile_vla.checkpoint import tiny_tokenizer
from mobile_vla.checkpoint.card import (
    FORMAT,
    MEAN_STD,
    ActionSpec,
    Card,
    ClipFacts,
    ImageSpec,
    KosmosFacts,
    Tokenizers,
    TowerFacts,
)
from mobile_vla.checkpoint.layout import (
    ACTIONS,
    DROPOUT,
    LAYER_NORM,
    LINEAR,
    RELU,
    ClipDims,
    HeadDims,
    KosmosDims,
    Layout,
    MlpLayer,
    TransformerDims,
)
from mobile_vla.errors import UserError, nearest

SIZES = ("tiny", "small", "full")
HEADS = ("documented", "reconstructed", "tanh")

_FULL = Layout(
    kosmos=KosmosDims(TransformerDims(2048, 8192, 24), TransformerDims(1024, 4096, 24), 65037, 14, 224, 64),
    clip=ClipDims(TransformerDims(512, 2048, 12), TransformerDims(768, 3072, 12), 49408, 77, 32, 224, 512),
    head=HeadDims(None, 0, 0, 4, ()),
)
_FEATURES = {
    "documented": ("kosmos_text:last", "kosmos_latents:mean", "clip_vision:cls"),
    "reconstructed": ("kosmos_text:last", "clip_image:projected"),
    "tanh": ("kosmos_text:last", "clip_image:projected"),
}


def synthetic_layout(size: str, head: str) -> Layout:
    """The layout of a synthetic policy of a named size with a named head."""
    for value, known, what in ((size, SIZES, "size"), (head, HEADS, "layout")):
        if value not in known:
            raise UserError(f"unknown {what} '{value}'; {nearest(value, known)}")
    if size == "full":
        base, fused, hidden = _FULL, 2048, 512 if head == "documented" else 1024
    elif size == "small":
        base, fused, hidden = _scaled(width=256, layers=(6, 6), image=(112, 14), clip_patch=16, latents=16), 256, 128
    else:
        base, fused, hidden = _scaled(width=64, layers=(2, 3), image=(96, 16), clip_patch=32, latents=8), 128, 64
    widths = {
        "kosmos_text": base.kosmos.text.width,
        "kosmos_latents": base.kosmos.text.width,
        "clip_vision": base.clip.vision.width,
        "clip_image": base.clip.projection,
    }
    inputs = sum(widths[feature.partition(":")[0]] for feature in _FEATURES[head])
    return dataclasses.replace(base, head=HeadDims(inputs, fused, hidden, 4, _mlp(head, hidden)))


def synthetic_card(size: str, head: str) -> Card:
    """The card of a synthetic policy: untrained, synthetic, its own tokenizers unless it has the full size."""
    layout = synthetic_layout(size, head)
    return Card(
        format=FORMAT,
        name=f"synthetic-{size}-{head}",
        layout=head,
        features=_FEATURES[head],
        final_activation="tanh" if head == "tanh" else "none",
        window=8,
        kosmos_image=clip_normalised(layout.kosmos.image_px, "squash"),
        clip_image=clip_normalised(layout.clip.image_px, "crop"),
        action=ActionSpec(space="diff", scale=(1.0, 1.0), offset=(0.0, 0.0)),
        control_rate_hz=10.0,
        prompt="<grounding> {instruction}",
        clip_prompt="{instruction}",
        tokenizers=Tokenizers(kosmos="tokenizer", clip="tokenizer"),
        training_data="none: random numbers",
        licence="Apache-2.0",
        untrained=True,
        synthetic=True,
        towers=_towers(layout),
    )


def clip_normalised(size_px: int, resize: str) -> ImageSpec:
    """Preprocessing as the published processors of both towers do it, but for the geometry."""
    mean, std = MEAN_STD["clip"]
    return ImageSpec(size_px=size_px, resize=resize, interpolation="bicubic", mean=mean, std=std, channel_order="rgb")


def _towers(layout: Layout) -> TowerFacts:
    """Head width 64 as in the published towers; 16 where the tower is small."""

    def heads(width: int) -> int:
        return width // 64 if width >= 256 else width // 16

    small = layout.kosmos.vocabulary < 65037
    return TowerFacts(
        kosmos=KosmosFacts(
            text_heads=heads(layout.kosmos.text.width),
            vision_heads=heads(layout.kosmos.vision.width),
            layer_norm_eps=1e-5,
            text_activation="gelu",
            vision_activation="quick_gelu",
            scale_embedding=True,
            pad_token=tiny_tokenizer.PAD_ID,
        ),
        clip=ClipFacts(
            text_heads=heads(layout.clip.text.width),
            vision_heads=heads(layout.clip.vision.width),
            layer_norm_eps=1e-5,
            activation="quick_gelu",
            begin_token=tiny_tokenizer.BEGIN_ID if small else 49406,
            end_token=layout.clip.vocabulary - 1,
        ),
    )


def _scaled(*, width: int, layers: tuple[int, int], image: tuple[int, int], clip_patch: int, latents: int) -> Layout:
    text = TransformerDims(width, 4 * width, layers[0])
    vision = TransformerDims(width, 4 * width, layers[1])
    # one row more than the tokenizer has, so that CLIP's end-of-text id is the highest, as in the published one
    words = tiny_tokenizer.vocabulary_size() + 1
    return Layout(
        kosmos=KosmosDims(text, vision, words, image[1], image[0], latents),
        clip=ClipDims(text, vision, words, 77, clip_patch, image[0], width // 2),
        head=HeadDims(None, 0, 0, 4, ()),
    )


def _mlp(head: str, hidden: int) -> tuple[MlpLayer, ...]:
    half = hidden // 2
    if head == "reconstructed":
        body = [
            layer
            for index, inputs in ((0, hidden), (4, half))
            for layer in (
                MlpLayer(LINEAR, index, inputs, half),
                MlpLayer(LAYER_NORM, index + 1, half, half),
                MlpLayer(RELU, index + 2),
                MlpLayer(DROPOUT, index + 3),
            )
        ]
        return (*body, MlpLayer(LINEAR, 8, half, ACTIONS))
    documented = (hidden, 2 * hidden, hidden, half, half // 2, ACTIONS)
    widths = (hidden, hidden, half, half // 2, ACTIONS) if head == "tanh" else documented
    layers: list[MlpLayer] = []
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        if index:
            layers.append(MlpLayer(RELU, 2 * index - 1))
        layers.append(MlpLayer(LINEAR, 2 * index, inputs, outputs))
    return tuple(layers)
