from __future__ import annotations

import dataclasses
import math

import pytest

from mobile_vla.checkpoint.layout import LayoutError, MlpLayer, infer_head, infer_layout
from mobile_vla.checkpoint.sizes import HEADS, synthetic_layout
from mobile_vla.policy.model import expected_shapes

TINY = synthetic_layout("tiny", "documented")


@pytest.fixture
def shapes() -> dict[str, tuple[int, ...]]:
    return dict(expected_shapes(TINY))


@pytest.mark.parametrize("size", ["tiny", "small", "full"])
@pytest.mark.parametrize("head", HEADS)
def test_every_dimension_comes_back_from_the_shapes(size: str, head: str) -> None:
    layout = synthetic_layout(size, head)
    inferred = infer_layout(expected_shapes(layout))
    assert inferred == layout
    assert inferred.head.family == head


def test_full_size_counts_are_the_published_ones() -> None:
    shapes = expected_shapes(synthetic_layout("full", "reconstructed"))
    kosmos = [shape for name, shape in shapes.items() if name.startswith("kosmos_model.")]
    clip = [shape for name, shape in shapes.items() if name.startswith("clip_model.")]
    assert (len(kosmos), sum(map(math.prod, kosmos))) == (885, 1_664_485_376)
    assert (len(clip), sum(map(math.prod, clip))) == (398, 151_277_313)
    assert sum(map(math.prod, shapes.values())) == 1_859_579_651


def test_documented_head_has_the_documented_widths() -> None:
    head = synthetic_layout("full", "documented").head
    assert (head.fusion_in, head.rnn_in, head.hidden, head.rnn_layers) == (4864, 2048, 512, 4)
    assert [layer.index for layer in head.mlp if layer.kind == "Linear"] == [0, 2, 4, 6, 8]


def test_relu_and_dropout_are_read_from_the_gaps(shapes: dict[str, tuple[int, ...]]) -> None:
    reconstructed = infer_head(expected_shapes(synthetic_layout("tiny", "reconstructed")))
    kinds = [layer.kind for layer in reconstructed.mlp]
    assert kinds == ["Linear", "LayerNorm", "ReLU", "Dropout"] * 2 + ["Linear"]
    assert infer_head(shapes).mlp[1] == MlpLayer("ReLU", 1)


def test_features_may_feed_the_lstm_directly(shapes: dict[str, tuple[int, ...]]) -> None:
    del shapes["feature_fusion.weight"], shapes["feature_fusion.bias"]
    head = infer_layout(shapes).head
    assert head.fusion_in is None
    assert head.feature_width == TINY.head.rnn_in
    assert "feature_fusion.weight" not in expected_shapes(dataclasses.replace(TINY, head=head))


HIDDEN = TINY.head.hidden
CASES = {
    "a plain RNN": ({"rnn.weight_ih_l0": (HIDDEN, 128)}, "plain RNN, not an LSTM"),
    "a GRU": ({"rnn.weight_ih_l0": (3 * HIDDEN, 128)}, "GRU, not an LSTM"),
    "bidirectional": ({"rnn.weight_ih_l0_reverse": (4 * HIDDEN, 128)}, "bidirectional"),
    "gates that fit nothing": ({"rnn.weight_ih_l0": (4 * HIDDEN + 1, 128)}, "rnn.weight_hh_l0 says 64"),
    "fusion against LSTM": (
        {"feature_fusion.weight": (100, 192)},
        "feature_fusion.weight says 100 and rnn.weight_ih_l0 says 128",
    ),
    "two LSTMs": ({"rnn.weight_ih_l2": (4 * HIDDEN, 99)}, "rnn.weight_ih_l2 is 256 x 99"),
    "MLP against LSTM": (
        {"actions.mlp.0.weight": (128, 63)},
        "actions.mlp.0.weight says 63 and rnn.weight_hh_l0 says 64",
    ),
    "MLP against itself": (
        {"actions.mlp.4.weight": (32, 65)},
        "actions.mlp.4.weight says 65 and actions.mlp.2.weight says 64",
    ),
    "three outputs": ({"actions.mlp.8.weight": (3, 16)}, "3 outputs"),
    "an unknown gap": ({"actions.mlp.12.weight": (2, 2)}, "3 modules without tensors"),
    "a convolution in the head": ({"actions.mlp.0.weight": (128, 64, 1)}, "3 dimensions"),
    "latents of another width": (
        {"kosmos_model.image_to_text_projection.latent_query": (8, 65)},
        "latent_query says 65",
    ),
    "projections disagree": ({"clip_model.text_projection.weight": (31, 64)}, "text_projection.weight says 31"),
    "a square of no whole side": (
        {"clip_model.vision_model.embeddings.position_embedding.weight": (11, 64)},
        "1 [+] N x N rows",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_disagreement_names_both_tensors(case: str, shapes: dict[str, tuple[int, ...]]) -> None:
    changes, sentence = CASES[case]
    with pytest.raises(LayoutError, match=sentence):
        infer_layout({**shapes, **changes})


def test_a_missing_layer_is_named(shapes: dict[str, tuple[int, ...]]) -> None:
    holed = {name: shape for name, shape in shapes.items() if ".encoder.layers.1." not in name}
    with pytest.raises(LayoutError, match=r"layers.1 is missing although"):
        infer_layout(holed)


def test_an_unrelated_file_is_refused() -> None:
    with pytest.raises(LayoutError, match="is this the policy's file"):
        infer_layout({"conv1.weight": (64, 3, 7, 7)})
