from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mobile_vla.checkpoint.card import card_path
from mobile_vla.checkpoint.contents import Contents
from mobile_vla.checkpoint.number_formats import casts
from mobile_vla.checkpoint.opening import open_source
from mobile_vla.engine.convert import ConversionJob, convert
from mobile_vla.engine.load import load

NORMS = "layer_norm1.weight"
TOWERS = ("kosmos_model.", "clip_model.")


@pytest.fixture
def mixed(state, checkpoint) -> Path:
    """Towers in bf16 but for some norms, head in fp32: what mixed-precision training leaves."""
    return checkpoint(
        {
            name: tensor.bfloat16() if name.startswith(TOWERS) and NORMS not in name else tensor
            for name, tensor in state.items()
        }
    )


def test_the_part_that_is_cast_is_named(mixed: Path, state) -> None:
    tensors = Contents(open_source(mixed)).tensors
    norms = sum(NORMS in name and name.startswith("kosmos_model.") for name in state)
    total = sum(name.startswith("kosmos_model.") for name in state)
    assert norms
    said = casts(tensors, torch.bfloat16)
    assert said.startswith("mixed number formats (bf16, fp32); cast from fp32 to bf16: ")
    assert "rnn (16 tensors)" in said
    assert f"kosmos_model ({norms} of {total} tensors)" in said
    assert casts(tensors, torch.float32).startswith("mixed number formats (bf16, fp32); cast from bf16 to fp32: ")
    assert casts(tensors, torch.float16).count(" to fp16: ") == 2


def test_one_format_needs_no_words(made: Path) -> None:
    assert casts(Contents(open_source(made / "documented.safetensors")).tensors, torch.bfloat16) == ""


def test_loading_and_converting_say_it(mixed: Path, tmp_path: Path) -> None:
    assert "cast from fp32 to bf16" in load(mixed).notes[0]
    result = convert(ConversionJob(mixed, tmp_path / "out" / "p.safetensors", "fp32"))
    assert "cast from bf16 to fp32" in result["casts"]
    assert card_path(tmp_path / "out" / "p.safetensors").exists()
