"""Every dimension of a checkpoint, inferred from its tensors' shapes. Nothing here needs torch.

`infer_layout` reads the shapes only; a dimension that two tensors state differently is an error that names both.
What leaves no trace in a shape (attention heads, epsilons, the final activation, the features) is in the card.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from mobile_vla.errors import UserError

Shapes = Mapping[str, tuple[int, ...]]

# a layer's number in a name; what is longer, or has other digits than these, is no layer
INDEX = r"0|[1-9][0-9]{0,3}"
LINEAR, LAYER_NORM, RELU, DROPOUT = "Linear", "LayerNorm", "ReLU", "Dropout"
ACTIONS = 2


class LayoutError(UserError):
    """Tensors that do not describe one model."""


@dataclasses.dataclass(frozen=True)
class TransformerDims:
    """Width, feed-forward width and depth of one stack of transformer layers."""

    width: int
    ffn: int
    layers: int


@dataclasses.dataclass(frozen=True)
class KosmosDims:
    """`kosmos_model.`: text decoder, vision tower, image latents."""

    text: TransformerDims
    vision: TransformerDims
    vocabulary: int
    patch_px: int
    image_px: int
    latents: int


@dataclasses.dataclass(frozen=True)
class ClipDims:
    """`clip_model.`: text and vision towers with their common projection."""

    text: TransformerDims
    vision: TransformerDims
    vocabulary: int
    text_positions: int
    patch_px: int
    image_px: int
    projection: int


@dataclasses.dataclass(frozen=True)
class MlpLayer:
    """One entry of `actions.mlp`; `inputs` and `outputs` are 0 where the entry has no tensors."""

    kind: str
    index: int
    inputs: int = 0
    outputs: int = 0


@dataclasses.dataclass(frozen=True)
class HeadDims:
    """Fusion, recurrent network and MLP. `fusion_in` is None when the features feed the LSTM directly."""

    fusion_in: int | None
    rnn_in: int
    hidden: int
    rnn_layers: int
    mlp: tuple[MlpLayer, ...]

    @property
    def feature_width(self) -> int:
        """What the widths of the card's features must add up to."""
        return self.rnn_in if self.fusion_in is None else self.fusion_in

    @property
    def family(self) -> str:
        """The documented name of this head, or `other`."""
        kinds = tuple((layer.index, layer.kind) for layer in self.mlp if layer.kind in (LINEAR, LAYER_NORM))
        if kinds == ((0, LINEAR), (1, LAYER_NORM), (4, LINEAR), (5, LAYER_NORM), (8, LINEAR)):
            return "reconstructed"
        if kinds == tuple((index, LINEAR) for index in (0, 2, 4, 6, 8)):
            return "documented"
        if kinds == tuple((index, LINEAR) for index in (0, 2, 4, 6)):
            return "tanh"
        return "other"


@dataclasses.dataclass(frozen=True)
class Layout:
    """The whole policy's dimensions."""

    kosmos: KosmosDims
    clip: ClipDims
    head: HeadDims


# Head width 64 is a fact of the published towers at these widths; any other size must say its heads in the card.
FULL_SIZE_WIDTHS = {"kosmos.text": 2048, "kosmos.vision": 1024, "clip.text": 512, "clip.vision": 768}


def infer_layout(shapes: Shapes) -> Layout:
    """The layout that these shapes describe; raises `LayoutError` naming the tensors that do not fit it."""
    layout = Layout(_kosmos(shapes), _clip(shapes), infer_head(shapes))
    projections = {layout.kosmos.text.width: "kosmos_model.text_model.model.embed_tokens.weight"}
    latent = _shape(shapes, "kosmos_model.image_to_text_projection.latent_query", 2)
    if latent[1] not in projections:
        raise _disagree(
            "kosmos_model.image_to_text_projection.latent_query", latent[1],
            projections[layout.kosmos.text.width], layout.kosmos.text.width, "the text width",
        )  # fmt: skip
    return layout


def infer_head(shapes: Shapes) -> HeadDims:
    """The head alone, for reports about files whose towers are damaged."""
    fusion_in, fusion_out = None, None
    if any(name.startswith("feature_fusion.") for name in shapes):
        fusion_out, fusion_in = _shape(shapes, "feature_fusion.weight", 2)
    rnn_in, hidden, layers = _rnn(shapes)
    if fusion_out is not None and fusion_out != rnn_in:
        raise _disagree("feature_fusion.weight", fusion_out, "rnn.weight_ih_l0", rnn_in, "the fused width")
    return HeadDims(fusion_in, rnn_in, hidden, layers, _mlp(shapes, hidden))


def _rnn(shapes: Shapes) -> tuple[int, int, int]:
    names = [name for name in shapes if name.startswith("rnn.")]
    for name in names:
        if name.endswith("_reverse"):
            raise LayoutError(f"{name} means a bidirectional LSTM, which cannot run on a live stream; retrain one-way")
    hidden = _shape(shapes, "rnn.weight_hh_l0", 2)[1]
    gates, inputs = _shape(shapes, "rnn.weight_ih_l0", 2)
    if gates != 4 * hidden:
        cell = {1: "a plain RNN", 3: "a GRU"}.get(gates // hidden if gates % hidden == 0 else 0)
        if cell:
            raise LayoutError(
                f"rnn.weight_ih_l0 has {gates} rows for {hidden} hidden units: {cell}, not an LSTM; only LSTM heads "
                "are supported"
            )
        raise _disagree("rnn.weight_ih_l0", gates, "rnn.weight_hh_l0", hidden, "four gates of the hidden width")
    indices = {int(match[1]) for name in names if (match := re.search(rf"_l({INDEX})$", name))}
    layers = _depth("rnn.weight_ih_l", indices)
    for layer in range(layers):
        expected = (4 * hidden, inputs if layer == 0 else hidden)
        found = _shape(shapes, f"rnn.weight_ih_l{layer}", 2)
        if found != expected:
            raise LayoutError(
                f"rnn.weight_ih_l{layer} is {_x(found)} but rnn.weight_hh_l0 with {hidden} hidden units asks for "
                f"{_x(expected)}; the file mixes two LSTMs"
            )
    return inputs, hidden, layers


def _mlp(shapes: Shapes, hidden: int) -> tuple[MlpLayer, ...]:
    prefix = "actions.mlp."
    weights = sorted(
        (int(match[1]), name)
        for name in shapes
        if (match := re.fullmatch(re.escape(prefix) + rf"({INDEX})\.weight", name)) is not None
    )
    if not weights:
        raise LayoutError(f"no {prefix}N.weight in the file, so there is no action head; is this the policy's file?")
    layers: list[MlpLayer] = []
    width, width_of = hidden, "rnn.weight_hh_l0"
    position = 0
    for index, name in weights:
        layers.extend(_gap(position, index, name))
        shape = shapes[name]
        if len(shape) == 2:
            if shape[1] != width:
                raise _disagree(name, shape[1], width_of, width, "the width between them")
            layers.append(MlpLayer(LINEAR, index, shape[1], shape[0]))
            width, width_of = shape[0], name
        elif len(shape) == 1:
            if shape[0] != width:
                raise _disagree(name, shape[0], width_of, width, "the normalised width")
            layers.append(MlpLayer(LAYER_NORM, index, width, width))
        else:
            raise LayoutError(f"{name} has {len(shape)} dimensions; an MLP has Linears (2) and LayerNorms (1) only")
        position = index + 1
    if layers[-1].kind != LINEAR or width != ACTIONS:
        raise LayoutError(
            f"{width_of} ends the action head with {width} outputs; a policy of this family has {ACTIONS}"
        )
    return tuple(layers)


def _gap(position: int, index: int, name: str) -> list[MlpLayer]:
    """Modules without tensors between two that have some: nothing, ReLU, or ReLU and Dropout."""
    kinds = {0: (), 1: (RELU,), 2: (RELU, DROPOUT)}.get(index - position)
    if kinds is None or (position == 0 and index > 0):
        raise LayoutError(
            f"{name}: {index - position} modules without tensors before it are not a known head; expected none, "
            "ReLU, or ReLU and Dropout"
        )
    return [MlpLayer(kind, position + offset) for offset, kind in enumerate(kinds)]


def _kosmos(shapes: Shapes) -> KosmosDims:
    root = "kosmos_model."
    vocabulary, width = _shape(shapes, f"{root}text_model.model.embed_tokens.weight", 2)
    text = _stack(shapes, f"{root}text_model.model.layers", "ffn.fc1.weight", width)
    patch, image, vision_width = _patches(shapes, f"{root}vision_model.model.embeddings")
    vision = _stack(shapes, f"{root}vision_model.model.encoder.layers", "mlp.fc1.weight", vision_width)
    latents = _shape(shapes, f"{root}image_to_text_projection.latent_query", 2)[0]
    return KosmosDims(text, vision, vocabulary, patch, image, latents)


def _clip(shapes: Shapes) -> ClipDims:
    root = "clip_model."
    vocabulary, width = _shape(shapes, f"{root}text_model.embeddings.token_embedding.weight", 2)
    positions = _shape(shapes, f"{root}text_model.embeddings.position_embedding.weight", 2)[0]
    text = _stack(shapes, f"{root}text_model.encoder.layers", "mlp.fc1.weight", width)
    patch, image, vision_width = _patches(shapes, f"{root}vision_model.embeddings")
    vision = _stack(shapes, f"{root}vision_model.encoder.layers", "mlp.fc1.weight", vision_width)
    projection = _shape(shapes, f"{root}visual_projection.weight", 2)[0]
    other = _shape(shapes, f"{root}text_projection.weight", 2)[0]
    if other != projection:
        raise _disagree(
            f"{root}text_projection.weight", other, f"{root}visual_projection.weight", projection, "the projection"
        )
    return ClipDims(text, vision, vocabulary, positions, patch, image, projection)


def _stack(shapes: Shapes, prefix: str, ffn: str, width: int) -> TransformerDims:
    pattern = re.compile(re.escape(prefix) + rf"\.({INDEX})\.")
    indices = {int(match[1]) for name in shapes if (match := pattern.match(name))}
    if not indices:
        raise LayoutError(f"no {prefix}.N in the file: the tower has no layers; is this the policy's file?")
    layers = _depth(f"{prefix}.", indices)
    name = f"{prefix}.0.{ffn}"
    rows, columns = _shape(shapes, name, 2)
    if columns != width:
        raise _disagree(name, columns, f"the embeddings above {prefix}", width, "the tower's width")
    return TransformerDims(width, rows, layers)


def _depth(prefix: str, indices: set[int]) -> int:
    """How many layers there are; every index below the highest has to be there."""
    for expected, index in enumerate(sorted(indices)):
        if index != expected:
            raise LayoutError(f"{prefix}{expected} is missing although {prefix}{index} exists; the file is incomplete")
    return len(indices)


def _patches(shapes: Shapes, prefix: str) -> tuple[int, int, int]:
    name = f"{prefix}.patch_embedding.weight"
    width, _, patch, other = _shape(shapes, name, 4)
    positions = _shape(shapes, f"{prefix}.position_embedding.weight", 2)[0]
    side = round((positions - 1) ** 0.5)
    if patch != other or side == 0 or side * side != positions - 1:
        raise LayoutError(
            f"{prefix}.position_embedding.weight has {positions} rows and {name} is {patch}x{other}; a square "
            "image needs 1 + N x N rows and square patches"
        )
    return patch, side * patch, width


def _shape(shapes: Shapes, name: str, dimensions: int) -> tuple[int, ...]:
    if name not in shapes:
        raise LayoutError(f"{name} is missing, so the layout cannot be inferred; is this the policy's file?")
    shape = shapes[name]
    if len(shape) != dimensions or 0 in shape:
        raise LayoutError(f"{name} has shape {_x(shape)}; expected {dimensions} dimensions, none of them empty")
    return shape


def _x(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a scalar"


def _disagree(name: str, value: int, other: str, other_value: int, what: str) -> LayoutError:
    return LayoutError(
        f"{name} says {value} and {other} says {other_value} for {what}; the tensors are not of one model"
    )
