"""The card: what a checkpoint's tensors cannot say. Read strictly: nothing unknown, nothing missing, no defaults
where a robot would have to guess (action space, features, windows, image geometry).
"""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

from mobile_vla.config import REQUIRED, Config, ConfigError, param
from mobile_vla.config.action_space import ACTION_SPACES
from mobile_vla.errors import UserError, nearest

FORMAT = 1
SUFFIX = ".card.yaml"
# key of the card inside a safetensors file
CARD_METADATA = "mobile_vla.card"

# beyond it, scale and offset could overflow to infinity and cancel to NaN; trained ones are around 1
MAX_SCALE = 1000.0
# of 255 that file systems allow; `.NAME.card.yaml.XXXXXXXX.part` is the longest name that is made
MAX_FILE_NAME = 220
# 10,000 frames are 17 minutes at 10 Hz
MAX_WINDOW = 10_000
FEATURES = {
    "kosmos_text": ("last", "mean"),
    "kosmos_latents": ("mean",),
    "kosmos_vision": ("cls", "mean"),
    "clip_vision": ("cls", "mean"),
    "clip_image": ("projected", "normalised"),
    "clip_text": ("projected", "normalised"),
}
MEAN_STD = {
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


class CardError(ConfigError):
    """A card that does not say what is needed, or says something unknown."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSpec(Config):
    """How a frame becomes one tower's input."""

    size_px: int = param(REQUIRED, "side of the square the tower sees, in pixels", ge=8, le=4096)
    resize: str = param(
        REQUIRED,
        "`squash` scales to the square, `crop` scales the short edge and cuts the centre",
        choices=("squash", "crop"),
    )
    interpolation: str = param(REQUIRED, "interpolation of the resize", choices=("bicubic", "bilinear", "nearest"))
    mean: tuple[float, ...] = param(REQUIRED, "subtracted per channel, after dividing by 255")
    std: tuple[float, ...] = param(REQUIRED, "divided by per channel, after dividing by 255")
    channel_order: str = param(REQUIRED, "order of the channels the tower was trained with", choices=("rgb", "bgr"))

    def cross_check(self) -> None:
        for name in ("mean", "std"):
            if len(getattr(self, name)) != 3:
                raise CardError(f"{name} must have 3 values, got {len(getattr(self, name))}; write one per channel")
        if min(self.std) <= 0:
            raise CardError(f"std must be > 0, got {min(self.std):g}; write the divisor of each channel in training")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ActionSpec(Config):
    """What the two outputs mean; `normalised = output * scale + offset`, then clipped to [-1, 1]."""

    space: str = param(REQUIRED, "meaning of the two outputs", choices=tuple(ACTION_SPACES))
    scale: tuple[float, ...] = param(REQUIRED, "multiplies each output", ge=-MAX_SCALE, le=MAX_SCALE)
    offset: tuple[float, ...] = param(REQUIRED, "added to each output after scaling", ge=-MAX_SCALE, le=MAX_SCALE)

    def cross_check(self) -> None:
        for name in ("scale", "offset"):
            if len(getattr(self, name)) != 2:
                raise CardError(f"{name} must have 2 values, got {len(getattr(self, name))}; write one per output")
        if 0.0 in self.scale:
            raise CardError("scale must not contain 0: the policy could not move that axis; write 1 for no scaling")


@dataclasses.dataclass(frozen=True, kw_only=True)
class KosmosFacts(Config):
    """Facts about the Kosmos-2 tower that leave no trace in its tensors."""

    text_heads: int = param(REQUIRED, "attention heads of the text decoder", ge=1, le=1024)
    vision_heads: int = param(REQUIRED, "attention heads of the vision tower", ge=1, le=1024)
    layer_norm_eps: float = param(REQUIRED, "epsilon of every layer norm", ge=0)
    text_activation: str = param(REQUIRED, "activation of the text decoder")
    vision_activation: str = param(REQUIRED, "activation of the vision tower")
    scale_embedding: bool = param(REQUIRED, "multiply embeddings by the square root of the width")
    pad_token: int = param(REQUIRED, "token id of the padding; positions start after it", ge=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipFacts(Config):
    """Facts about the CLIP towers that leave no trace in their tensors."""

    text_heads: int = param(REQUIRED, "attention heads of the text tower", ge=1, le=1024)
    vision_heads: int = param(REQUIRED, "attention heads of the vision tower", ge=1, le=1024)
    layer_norm_eps: float = param(REQUIRED, "epsilon of every layer norm", ge=0)
    activation: str = param(REQUIRED, "activation of both towers")
    begin_token: int = param(REQUIRED, "token id of the start of the text", ge=0)
    end_token: int = param(REQUIRED, "token id of the end of the text, where the feature is read", ge=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TowerFacts(Config):
    """Both towers; may be left out of the card for the published full-size towers only."""

    kosmos: KosmosFacts = param(REQUIRED, "facts about the Kosmos-2 tower")
    clip: ClipFacts = param(REQUIRED, "facts about the CLIP towers")


FULL_SIZE_TOWERS = TowerFacts(
    kosmos=KosmosFacts(
        text_heads=32,
        vision_heads=16,
        layer_norm_eps=1e-5,
        text_activation="gelu",
        vision_activation="quick_gelu",
        scale_embedding=True,
        pad_token=1,
    ),
    clip=ClipFacts(
        text_heads=8,
        vision_heads=12,
        layer_norm_eps=1e-5,
        activation="quick_gelu",
        begin_token=49406,
        end_token=49407,
    ),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tokenizers(Config):
    """Where the texts' tokenizers are: folders relative to the card, hub ids, or `open_clip` for CLIP's own."""

    kosmos: str = param(REQUIRED, "folder with Kosmos-2's tokenizer.json, or a hub id")
    clip: str = param(REQUIRED, "folder with CLIP's tokenizer.json, a hub id, or `open_clip`")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probe(Config):
    """Recorded outputs of the policy for a generated input sequence."""

    seed: int = param(REQUIRED, "seed of the generated frames", ge=0)
    frames: int = param(REQUIRED, "length of the sequence", ge=1)
    dtype: str = param(
        REQUIRED, "number format the outputs were recorded with", choices=("fp32", "fp16", "bf16", "int8")
    )
    first: tuple[float, ...] = param(REQUIRED, "first output of every frame")
    second: tuple[float, ...] = param(REQUIRED, "second output of every frame")

    def cross_check(self) -> None:
        for name in ("first", "second"):
            if len(getattr(self, name)) != self.frames:
                raise CardError(
                    f"{name} must have one value per frame ({self.frames}), got {len(getattr(self, name))}; remove the "
                    f"probe, or convert the original again"
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card(Config):
    """Everything about one checkpoint that its tensors cannot say."""

    format: int = param(REQUIRED, f"version of this card's format; this release reads {FORMAT}", ge=1)
    name: str = param(REQUIRED, "what people call this policy")
    layout: str = param(REQUIRED, "name of the head's layout", choices=("documented", "reconstructed", "tanh", "other"))
    features: tuple[str, ...] = param(
        REQUIRED, "ordered features as name:pooling; their widths add up to the fusion's input"
    )
    final_activation: str = param(REQUIRED, "activation after the last Linear", choices=("none", "tanh"))
    window: int = param(REQUIRED, "frames the LSTM runs over, from a zero state", ge=1, le=MAX_WINDOW)
    kosmos_image: ImageSpec = param(REQUIRED, "how a frame becomes the Kosmos-2 vision tower's input")
    clip_image: ImageSpec = param(REQUIRED, "how a frame becomes the CLIP vision tower's input")
    action: ActionSpec = param(REQUIRED, "what the two outputs mean")
    control_rate_hz: float = param(REQUIRED, "steps per second at training time", ge=0.1, le=1000)
    prompt: str = param(REQUIRED, "text given to Kosmos-2; {instruction} is replaced")
    clip_prompt: str = param(REQUIRED, "text given to CLIP; {instruction} is replaced")
    tokenizers: Tokenizers = param(REQUIRED, "where the tokenizers are")
    training_data: str = param(REQUIRED, "what the policy was trained on")
    licence: str = param(REQUIRED, "licence of the weights")
    untrained: bool = param(False, "true: random weights, never for a robot")
    synthetic: bool = param(False, "true: the file was generated by `vla checkpoint synthesize`")
    modified: str = param("", "how the weights differ from the trained ones; empty: they do not")
    towers: TowerFacts | None = param(None, "needed unless both towers have the published sizes")
    weights_sha256: str = param("", "sha256 of the weights file; empty: not checked")
    probe: Probe | None = param(None, "recorded outputs, compared at every load")

    def cross_check(self) -> None:
        if self.format != FORMAT:
            raise CardError(f"format must be {FORMAT}, got {self.format}; use the release that wrote this card")
        if not self.features:
            raise CardError("features must name at least one feature; write for example kosmos_text:last")
        for feature in self.features:
            split_feature(feature)
        if len(set(self.features)) != len(self.features):
            raise CardError(f"features must not repeat, got {', '.join(self.features)[:200]}; list each once")
        if self.weights_sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", self.weights_sha256):
            raise CardError(
                f"weights_sha256 must be 64 hexadecimal digits, got {len(self.weights_sha256)} characters; "
                f"write what sha256sum prints"
            )
        for name in ("prompt", "clip_prompt"):
            if "{instruction}" not in getattr(self, name):
                raise CardError(
                    f"{name} must contain {{instruction}}, got {getattr(self, name)[:60]!r}; write it where the "
                    f"instruction belongs"
                )

    @property
    def action_space(self) -> str:
        """`diff`, `omni` or `ackermann`."""
        return self.action.space


def split_feature(feature: str) -> tuple[str, str]:
    """`kosmos_text:last` -> (`kosmos_text`, `last`), checked."""
    name, _, pooling = feature.partition(":")
    if name not in FEATURES:
        raise CardError(f"features: unknown feature '{name}'; {nearest(name, FEATURES)}")
    if pooling not in FEATURES[name]:
        raise CardError(f"features: {name} has no pooling '{pooling}'; write {name}:{' or :'.join(FEATURES[name])}")
    return name, pooling


def card_path(checkpoint: Path) -> Path:
    """Where the card of a weights file is looked for."""
    return checkpoint.with_name(checkpoint.name + SUFFIX)


def card_present(card: Path) -> bool:
    """Whether something has that name: a link that leads nowhere is a card that cannot be read, not a missing one."""
    return os.path.lexists(card)


def refuse_long_name(checkpoint: Path) -> None:
    """Raise `UserError` for a new weights file whose card and temporary files could not be named after it."""
    if len(os.fsencode(checkpoint.name)) > MAX_FILE_NAME:
        raise UserError(
            f"the file name {checkpoint.name[:40]}... is {len(checkpoint.name)} characters long, its card needs a "
            f"longer one; choose a name of at most {MAX_FILE_NAME}"
        )
