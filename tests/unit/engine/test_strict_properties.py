"""Whatever happens to the keys of a file, it is reported and nothing is loaded."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mobile_vla.checkpoint.contents import DROP_RULES, Contents
from mobile_vla.checkpoint.sizes import synthetic_layout
from mobile_vla.checkpoint.source import Container, TensorInfo
from mobile_vla.engine.strict import StrictError, examine, group_problems, require
from mobile_vla.policy.model import expected_shapes

SHAPES = {
    head: dict(expected_shapes(synthetic_layout("tiny", head))) for head in ("documented", "reconstructed", "tanh")
}
FAST = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
FUSION = {"feature_fusion.weight", "feature_fusion.bias"}
heads = st.sampled_from(sorted(SHAPES))


def contents(shapes: dict[str, tuple[int, ...]]) -> Contents:
    """Contents over shapes alone: examining reads no data, which this also shows."""
    tensors = {name: TensorInfo(torch.float32, shape) for name, shape in shapes.items()}
    source = SimpleNamespace(path=Path("p.pth"), files=(), container=Container("pth"), tensors=tensors, read=None)
    return Contents(source)


def reported(shapes: dict[str, tuple[int, ...]]) -> set[str]:
    """Every name in the problems; asserts that the file is refused."""
    file = contents(shapes)
    problems = examine(file).problems
    assert problems
    with pytest.raises(StrictError) as error:
        require(file)
    assert error.value.problems == problems
    assert list(group_problems(problems, file.tensors)) or problems.layout
    return {*problems.missing, *problems.unexpected, *(shape.name for shape in problems.shape), problems.layout}


@pytest.mark.parametrize("head", sorted(SHAPES))
def test_an_untouched_file_has_no_problems(head: str) -> None:
    assert not examine(contents(SHAPES[head])).problems


@FAST
@given(heads, st.data())
def test_dropped_keys_are_reported(head: str, data: st.DataObject) -> None:
    gone = set(data.draw(st.lists(st.sampled_from(sorted(SHAPES[head])), min_size=1, max_size=5)))
    # without any fusion the features feed the LSTM directly, which is a layout of its own; the card decides there
    assume(not gone >= FUSION)
    found = reported({name: shape for name, shape in SHAPES[head].items() if name not in gone})
    sentence = " ".join(found)
    # an MLP says by itself what belongs to it, so there the sentence about the gap has to do
    assert all(name in sentence for name in gone if not name.startswith("actions.mlp."))


@FAST
@given(heads, st.data(), st.text("abcdefgh_.", min_size=1, max_size=8))
def test_renamed_keys_are_reported(head: str, data: st.DataObject, tail: str) -> None:
    name = data.draw(st.sampled_from(sorted(SHAPES[head])))
    renamed = f"{name}{tail}"
    if renamed in SHAPES[head] or any(rule.fullmatch(renamed) for rule in DROP_RULES.values()):
        return
    shapes = {renamed if key == name else key: shape for key, shape in SHAPES[head].items()}
    found = reported(shapes)
    assert renamed in found or name in found or any(name.rpartition(".")[0] in text for text in found)


@FAST
@given(heads, st.data())
def test_reshaped_keys_are_reported(head: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SHAPES[head])))
    shape = SHAPES[head][name]
    others = [(*shape, 1), (1, *shape), (*shape[:-1], shape[-1] + 1) if shape else (2,), shape[::-1], (0,)]
    reshaped = data.draw(st.sampled_from([other for other in others if other != shape]))
    assert reported({**SHAPES[head], name: reshaped})


@FAST
@given(heads, st.text("abcdefghijklmnop._0123456789", min_size=1, max_size=30))
def test_added_keys_are_reported(head: str, name: str) -> None:
    if name in SHAPES[head] or any(rule.fullmatch(name) for rule in DROP_RULES.values()):
        return
    assert any(name in text for text in reported({**SHAPES[head], name: (3,)}))


def test_counts_and_nearest_names_are_in_the_table() -> None:
    shapes = {name.replace("self_attn.q_proj", "self_attn.query"): shape for name, shape in SHAPES["tanh"].items()}
    file = contents(shapes)
    rows = list(group_problems(examine(file).problems, file.tensors))
    missing = {group.prefix: group for kind, group in rows if kind == "missing"}
    assert missing["kosmos_model.text_model"].size == 4
    assert missing["kosmos_model.text_model"].example.endswith("layers.0.self_attn.q_proj.weight")
    assert missing["kosmos_model.text_model"].nearest.endswith("layers.0.self_attn.query.weight")
