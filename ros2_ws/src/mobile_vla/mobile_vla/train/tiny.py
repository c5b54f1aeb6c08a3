"""The small policy: the module tree of the real checkpoint in sizes that two CPU cores can train."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from mobile_vla.checkpoint import tiny_tokenizer
from mobile_vla.checkpoint.card import FORMAT, ActionSpec, Card, ClipFacts, KosmosFacts, Tokenizers, TowerFacts
from mobile_vla.checkpoint.layout import (
    ACTIONS,
    LINEAR,
    RELU,
    ClipDims,
    HeadDims,
    KosmosDims,
    Layout,
    MlpLayer,
    TransformerDims,
)
from mobile_vla.checkpoint.sizes import clip_normalised
from mobile_vla.engine.tokenizers import tokens_of
from mobile_vla.files import write_text
from mobile_vla.policy.tokens import Tokens
from mobile_vla.train.config import HEAD_WIDTH, RecipeConfig, TinySize

FEATURES = ("kosmos_text:last", "kosmos_latents:mean", "clip_vision:cls")
TOKENIZER = "tokenizer"


class Design(NamedTuple):
    """The policy that is to be trained, as far as it is decided before."""

    card: Card
    layout: Layout
    tokens: Tokens


def design(config: RecipeConfig, work: Path, words: Iterable[str], training_data: str) -> Design:
    """The policy of a recipe; its tokenizer, in which every word is a token, is written into the work folder."""
    count = write_tokenizer(work / TOKENIZER, words)
    card, layout = card_of(config.size, count, config.name, training_data), layout_of(config.size, count)
    return Design(card, layout, tokens_of(card, layout, work))


def layout_of(size: TinySize, tokens: int) -> Layout:
    """The layout for a tokenizer with so many tokens."""
    feed_forward = 4 * size.width
    text = TransformerDims(size.width, feed_forward, size.text_layers)
    vision = TransformerDims(size.width, feed_forward, size.vision_layers)
    clip = TransformerDims(size.width, feed_forward, size.clip_layers)
    # One row more than the tokenizer has: CLIP's end-of-text id must be the highest.
    rows = tokens + 1
    kosmos = KosmosDims(text, vision, rows, size.patch_px, size.image_px, size.latents)
    clip_dims = ClipDims(clip, clip, rows, 32, size.clip_patch_px, size.image_px, size.width // 2)
    head = HeadDims(len(FEATURES) * size.width, size.hidden, size.hidden, 4, _mlp(size.hidden))
    return Layout(kosmos=kosmos, clip=clip_dims, head=head)


def card_of(size: TinySize, tokens: int, name: str, training_data: str) -> Card:
    """The card of a small policy, without probe and checksum."""
    heads = size.width // HEAD_WIDTH
    image = clip_normalised(size.image_px, "squash")
    return Card(
        format=FORMAT,
        name=name,
        layout="tanh",
        features=FEATURES,
        final_activation="tanh",
        window=size.window,
        kosmos_image=image,
        clip_image=image,
        action=ActionSpec(space="diff", scale=(1.0, 1.0), offset=(0.0, 0.0)),
        control_rate_hz=size.control_rate_hz,
        prompt="{instruction}",
        clip_prompt="{instruction}",
        tokenizers=Tokenizers(kosmos=TOKENIZER, clip=TOKENIZER),
        training_data=training_data,
        licence="Apache-2.0",
        towers=TowerFacts(
            kosmos=KosmosFacts(
                text_heads=heads,
                vision_heads=heads,
                layer_norm_eps=1e-5,
                text_activation="gelu",
                vision_activation="quick_gelu",
                scale_embedding=True,
                pad_token=tiny_tokenizer.PAD_ID,
            ),
            clip=ClipFacts(
                text_heads=heads,
                vision_heads=heads,
                layer_norm_eps=1e-5,
                activation="quick_gelu",
                begin_token=tiny_tokenizer.BEGIN_ID,
                end_token=tokens,
            ),
        ),
    )


def write_tokenizer(folder: Path, words: Iterable[str]) -> int:
    """Write a byte-level tokenizer in which every one of `words` is one token; returns how many tokens it has."""
    document = tiny_tokenizer.tokenizer_json()
    vocabulary, merges = document["model"]["vocab"], document["model"]["merges"]
    space = document_space(vocabulary)
    for word in sorted(set(words)):
        prefix = space
        for letter in word:
            longer = prefix + letter
            if longer not in vocabulary:
                vocabulary[longer] = len(vocabulary)
                merges.append([prefix, letter])
            prefix = longer
    write_text(folder / "tokenizer.json", json.dumps(document, ensure_ascii=False))
    return len(vocabulary)


def document_space(vocabulary: dict[str, int]) -> str:
    """The stand-in for a space: what every known word starts with."""
    return next(token[0] for token in vocabulary if token.endswith("ball") and len(token) == len("ball") + 1)


def _mlp(hidden: int) -> tuple[MlpLayer, ...]:
    widths = (hidden, hidden, hidden // 2, hidden // 4, ACTIONS)
    layers: list[MlpLayer] = []
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        if index:
            layers.append(MlpLayer(RELU, 2 * index - 1))
        layers.append(MlpLayer(LINEAR, 2 * index, inputs, outputs))
    return tuple(layers)
