"""The card: what a checkpoint's tensors cannot say. Read strictly: nothing unknown, nothing missing, no defaults
where a robot would have to guess (action space, features, windows, image geometry)."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from mobile_vla.errors import UserError, nearest

FORMAT = 1
SUFFIX = ".card.yaml"

ACTION_SPACES = ("diff", "omni", "ackermann")
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


class CardError(UserError):
    """A card that does not say what is needed, or says something unknown."""


def _field(
    help: str, default: Any = dataclasses.MISSING, *, choices: tuple[str, ...] = (), ge: float | None = None
) -> Any:
    metadata = {"help": help, "choices": choices, "ge": ge}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """How a frame becomes one tower's input."""

    size_px: int = _field("side of the square the tower sees, in pixels", ge=8)
    resize: str = _field(
        "`squash` scales to the square, `crop` scales the short edge and cuts the centre", choices=("squash", "crop")
    )
    interpolation: str = _field("interpolation of the resize", choices=("bicubic", "bilinear", "nearest"))
    mean: tuple[float, ...] = _field("subtracted per channel, after dividing by 255")
    std: tuple[float, ...] = _field("divided by per channel, after dividing by 255")
    channel_order: str = _field("order of the channels the tower was trained with", choices=("rgb", "bgr"))

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            if len(getattr(self, name)) != 3:
                raise CardError(f"{name} must have 3 values, got {len(getattr(self, name))}")
        if min(self.std) <= 0:
            raise CardError(f"std must be > 0, got {min(self.std):g}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ActionSpec:
    """What the two outputs mean; `normalised = output * scale + offset`, then clipped to [-1, 1]."""

    space: str = _field("meaning of the two outputs", choices=ACTION_SPACES)
    scale: tuple[float, ...] = _field("multiplies each output")
    offset: tuple[float, ...] = _field("added to each output after scaling")

    def __post_init__(self) -> None:
        for name in ("scale", "offset"):
            if len(getattr(self, name)) != 2:
                raise CardError(f"{name} must have 2 values, got {len(getattr(self, name))}")
        if 0.0 in self.scale:
            raise CardError("scale must not contain 0: the policy could not move that axis")


@dataclasses.dataclass(frozen=True, kw_only=True)
class KosmosFacts:
    """Facts about the Kosmos-2 tower that leave no trace in its tensors."""

    text_heads: int = _field("attention heads of the text decoder", ge=1)
    vision_heads: int = _field("attention heads of the vision tower", ge=1)
    layer_norm_eps: float = _field("epsilon of every layer norm", ge=0)
    text_activation: str = _field("activation of the text decoder")
    vision_activation: str = _field("activation of the vision tower")
    scale_embedding: bool = _field("multiply embeddings by the square root of the width")
    pad_token: int = _field("token id of the padding; positions start after it", ge=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipFacts:
    """Facts about the CLIP towers that leave no trace in their tensors."""

    text_heads: int = _field("attention heads of the text tower", ge=1)
    vision_heads: int = _field("attention heads of the vision tower", ge=1)
    layer_norm_eps: float = _field("epsilon of every layer norm", ge=0)
    activation: str = _field("activation of both towers")
    begin_token: int = _field("token id of the start of the text", ge=0)
    end_token: int = _field("token id of the end of the text, where the feature is read", ge=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TowerFacts:
    """Both towers; may be left out of the card for the published full-size towers only."""

    kosmos: KosmosFacts = _field("facts about the Kosmos-2 tower")
    clip: ClipFacts = _field("facts about the CLIP towers")


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
class Tokenizers:
    """Where the texts' tokenizers are: folders relative to the card, hub ids, or `open_clip` for CLIP's own."""

    kosmos: str = _field("folder with Kosmos-2's tokenizer.json, or a hub id")
    clip: str = _field("folder with CLIP's tokenizer.json, a hub id, or `open_clip`")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probe:
    """Recorded outputs of the policy for a generated input sequence."""

    seed: int = _field("seed of the generated frames", ge=0)
    frames: int = _field("length of the sequence", ge=1)
    dtype: str = _field("number format the outputs were recorded with", choices=("fp32", "fp16", "bf16", "int8"))
    first: tuple[float, ...] = _field("first output of every frame")
    second: tuple[float, ...] = _field("second output of every frame")

    def __post_init__(self) -> None:
        for name in ("first", "second"):
            if len(getattr(self, name)) != self.frames:
                raise CardError(f"{name} must have one value per frame ({self.frames}), got {len(getattr(self, name))}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """Everything about one checkpoint that its tensors cannot say."""

    format: int = _field(f"version of this card's format; this release reads {FORMAT}", ge=1)
    name: str = _field("what people call this policy")
    layout: str = _field("name of the head's layout", choices=("documented", "reconstructed", "tanh", "other"))
    features: tuple[str, ...] = _field("ordered features as name:pooling; their widths add up to the fusion's input")
    final_activation: str = _field("activation after the last Linear", choices=("none", "tanh"))
    window: int = _field("frames the LSTM runs over, from a zero state", ge=1)
    kosmos_image: ImageSpec = _field("how a frame becomes the Kosmos-2 vision tower's input")
    clip_image: ImageSpec = _field("how a frame becomes the CLIP vision tower's input")
    action: ActionSpec = _field("what the two outputs mean")
    control_rate_hz: float = _field("steps per second at training time", ge=0.1)
    prompt: str = _field("text given to Kosmos-2; {instruction} is replaced")
    clip_prompt: str = _field("text given to CLIP; {instruction} is replaced")
    tokenizers: Tokenizers = _field("where the tokenizers are")
    training_data: str = _field("what the policy was trained on")
    licence: str = _field("licence of the weights")
    untrained: bool = _field("true: random weights, never for a robot", False)
    synthetic: bool = _field("true: the file was generated by `vla checkpoint synthesize`", False)
    modified: str = _field("how the weights differ from the trained ones; empty: they do not", "")
    towers: TowerFacts | None = _field("needed unless both towers have the published sizes", None)
    weights_sha256: str = _field("sha256 of the weights file; empty: not checked", "")
    probe: Probe | None = _field("recorded outputs, compared at every load", None)

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise CardError(f"format must be {FORMAT}, got {self.format}; use the release that wrote this card")
        if not self.features:
            raise CardError("features must name at least one feature")
        for feature in self.features:
            split_feature(feature)
        if len(set(self.features)) != len(self.features):
            raise CardError(f"features must not repeat, got {', '.join(self.features)}")
        for name in ("prompt", "clip_prompt"):
            if "{instruction}" not in getattr(self, name):
                raise CardError(f"{name} must contain {{instruction}}, got {getattr(self, name)!r}")

    @property
    def action_space(self) -> str:
        """`diff`, `omni` or `ackermann`."""
        return self.action.space

    @property
    def uses_text_decoder(self) -> bool:
        """Whether the Kosmos-2 text decoder has to run at all."""
        return any(feature.startswith("kosmos_text:") for feature in self.features)


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


def load_card(path: Path) -> Card:
    """Read and validate a card file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CardError(f"card {path}: {error.strerror or error}; `vla checkpoint card new` writes one") from None
    except UnicodeDecodeError:
        raise CardError(f"card {path}: not a text file; `vla checkpoint card new` writes one") from None
    return parse_card(text, f"card {path}")


def parse_card(text: str, where: str) -> Card:
    """A card from YAML text; `where` opens every error sentence."""
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise CardError(f"{where}: not valid YAML{line}; mend it or write a new card") from None
    return _build(Card, values, where, "")


def dump_card(card: Card) -> str:
    """The card as YAML text, every field explained by a comment."""
    return "\n".join(_lines(card, 0)) + "\n"


def missing_fields(values: Mapping[str, Any]) -> list[str]:
    """Required fields that a mapping lacks, dotted; the whole list for an empty one."""
    return list(_missing(Card, values, ""))


def embedded(card: Card) -> str:
    """The card without the file's own hash: the form stored inside a converted safetensors file."""
    return dump_card(dataclasses.replace(card, weights_sha256=""))


T = TypeVar("T")


def _build(cls: type[T], values: Any, where: str, prefix: str) -> T:
    if not isinstance(values, Mapping):
        raise CardError(
            f"{where}: {prefix.rstrip('.') or 'the card'} must be a group of `name: value` lines, got {values!r}"
        )
    known = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise CardError(f"{where}: unknown field '{prefix}{key}'; {nearest(str(key), known)}")
    if missing := list(_missing(cls, values, prefix)):
        path = missing[0]
        raise CardError(
            f"{where}: missing field{'s' if len(missing) > 1 else ''} {', '.join(missing)}; "
            f"write {path}: {_help(known[path.removeprefix(prefix).partition('.')[0]])}"
        )
    hints = typing.get_type_hints(cls)
    arguments = {key: _value(f"{prefix}{key}", value, hints[key], known[key], where) for key, value in values.items()}
    try:
        return cls(**arguments)
    except CardError as error:
        raise CardError(f"{where}: {prefix}{error}") from None


def _missing(cls: Any, values: Mapping[str, Any], prefix: str) -> typing.Iterator[str]:
    for field in dataclasses.fields(cls):
        if field.name not in values:
            if field.default is dataclasses.MISSING:
                yield f"{prefix}{field.name}"
            continue
        inner = _nested(typing.get_type_hints(cls)[field.name])
        if inner is not None and isinstance(values[field.name], Mapping):
            yield from _missing(inner, values[field.name], f"{prefix}{field.name}.")


def _nested(hint: Any) -> Any:
    """The card class inside `X` or `X | None`, else None."""
    for candidate in (hint, *typing.get_args(hint)):
        if dataclasses.is_dataclass(candidate):
            return candidate
    return None


def _value(name: str, value: Any, hint: Any, field: dataclasses.Field[Any], where: str) -> Any:
    inner = _nested(hint)
    if inner is not None:
        return None if value is None else _build(inner, value, where, f"{name}.")
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, (list, tuple)):
            raise CardError(f"{where}: {name} must be a list, got {value!r}; {_help(field)}")
        item = typing.get_args(hint)[0]
        return tuple(_scalar(f"{name}[{index}]", element, item, field, where) for index, element in enumerate(value))
    return _scalar(name, value, hint, field, where)


def _scalar(name: str, value: Any, hint: Any, field: dataclasses.Field[Any], where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        kind = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[hint]
        raise CardError(f"{where}: {name} must be {kind}, got {value!r}; {_help(field)}")
    choices, ge = field.metadata["choices"], field.metadata["ge"]
    if choices and value not in choices:
        raise CardError(f"{where}: {name} must be one of {', '.join(choices)}, got {value!r}; {_help(field)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise CardError(f"{where}: {name} must be a finite number, got {value}; {_help(field)}")
    if ge is not None and value < ge:
        raise CardError(f"{where}: {name} must be >= {ge:g}, got {value:g}; {_help(field)}")
    return value


def _help(field: dataclasses.Field[Any]) -> str:
    choices = field.metadata["choices"]
    return f"one of {', '.join(choices)} ({field.metadata['help']})" if choices else str(field.metadata["help"])


def _lines(instance: Any, depth: int) -> typing.Iterator[str]:
    indent = "  " * depth
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if value is None or (field.default is not dataclasses.MISSING and value == field.default):
            continue
        yield f"{indent}# {_help(field)}"
        if dataclasses.is_dataclass(value):
            yield f"{indent}{field.name}:"
            yield from _lines(value, depth + 1)
        else:
            plain = list(value) if isinstance(value, tuple) else value
            text = yaml.safe_dump(plain, default_flow_style=True, width=math.inf, allow_unicode=True)
            yield f"{indent}{field.name}: {text.removesuffix('...' + chr(10)).strip()}"
