"""The same CLIP weights under two libraries: names mapped in both directions, outputs equal."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mobile_vla.checkpoint.card import FULL_SIZE_TOWERS
from mobile_vla.checkpoint.contents import Contents
from mobile_vla.checkpoint.open_clip_names import from_transformers, to_transformers
from mobile_vla.checkpoint.opening import open_source
from mobile_vla.checkpoint.sizes import synthetic_layout
from mobile_vla.engine.strict import examine
from mobile_vla.errors import UserError
from mobile_vla.policy.clip import TransformersClip
from mobile_vla.policy.model import clip_config
from mobile_vla.policy.torchvision_ops import register_missing_torchvision_ops
from mobile_vla.policy.upstream import CLIPModel

register_missing_torchvision_ops()
open_clip = pytest.importorskip("open_clip")
from mobile_vla.policy.open_clip_tower import OpenClipTowers, build  # noqa: E402

AGREEMENT = 5e-6


def inputs(side: int, words: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(1, words - 2, (1, 9), generator=generator)
    ids[0, -1] = words - 1
    return torch.randn(1, 3, side, side, generator=generator), ids


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    assert (one - other).norm() / other.norm() < AGREEMENT


@torch.inference_mode()
def agree(ours, theirs, side: int, words: int) -> None:
    pixels, ids = inputs(side, words)
    for one, other in zip(ours.vision(pixels), theirs.vision(pixels), strict=True):
        close(one, other)
    close(ours.text(ids), theirs.text(ids))


@pytest.mark.slow
def test_vit_b_32_from_open_clip_to_transformers_and_back() -> None:
    """The real model as the library makes it by name, 302 tensors to 398 and back, outputs equal both ways."""
    model = open_clip.create_model("ViT-B-32-quickgelu", pretrained=None).eval()
    state = model.state_dict()
    parts = to_transformers(state)
    assert (len(state), len(parts)) == (302, 398)
    dims = synthetic_layout("full", "documented").clip
    with torch.device("meta"):
        clip = CLIPModel(clip_config(dims, FULL_SIZE_TOWERS.clip)).eval()
    mapped = {name: part.take(state[part.source]) for name, part in parts.items()}
    clip.load_state_dict(mapped, strict=True, assign=True)
    for tower in (clip.text_model, clip.vision_model):
        embeddings = tower.embeddings
        embeddings.register_buffer(
            "position_ids", torch.arange(embeddings.position_ids.shape[1])[None], persistent=False
        )
    original = OpenClipTowers.__new__(OpenClipTowers)
    torch.nn.Module.__init__(original)
    original.model = model
    agree(TransformersClip(clip), original, 224, 49408)
    back = OpenClipTowers.of_transformers(clip, dims, FULL_SIZE_TOWERS.clip)
    returned = back.model.state_dict()
    assert set(returned) == set(state)
    assert all(torch.equal(returned[name], state[name]) for name in state)
    agree(back, TransformersClip(clip), 224, 49408)


def test_any_size_agrees(loaded) -> None:
    clip, dims = loaded.model.clip_model, loaded.model.layout.clip
    towers = OpenClipTowers.of_transformers(clip, dims, loaded.card.towers.clip)
    agree(towers, TransformersClip(clip), 96, dims.vocabulary)


def test_a_checkpoint_with_open_clip_names_loads_strictly(loaded, tmp_path: Path) -> None:
    wanted = build(loaded.model.layout.clip, loaded.card.towers.clip).state_dict()
    own = loaded.model.state_dict()
    state = {name: tensor for name, tensor in own.items() if not name.startswith("clip_model.")}
    names = from_transformers(wanted, lambda name: own[f"clip_model.{name}"])
    state.update({f"clip_model.{name}": tensor for name, tensor in names.items()})
    path = tmp_path / "p.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    contents = Contents(open_source(path))
    assert contents.open_clip
    assert not examine(contents).problems
    assert all(torch.equal(contents.read(name), tensor) for name, tensor in own.items())
    del state["clip_model.visual.proj"]
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    assert "visual_projection.weight is missing" in examine(Contents(open_source(path))).problems.layout


def test_two_towers_under_two_names_are_an_error() -> None:
    with pytest.raises(UserError, match=r"ln_final.bias and text_model.final_layer_norm.bias both mean"):
        to_transformers(["ln_final.bias", "text_model.final_layer_norm.bias"])


def test_another_activation_is_refused(loaded) -> None:
    facts = dataclasses.replace(loaded.card.towers.clip, activation="gelu")
    with pytest.raises(UserError, match="open_clip runs quick_gelu towers here"):
        build(loaded.model.layout.clip, facts)
