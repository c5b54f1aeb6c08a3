from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
import torch
from rounding import assert_same
from safetensors.torch import load_file

from mobile_vla.checkpoint.contents import Contents
from mobile_vla.checkpoint.opening import open_source
from mobile_vla.engine.load import load
from mobile_vla.engine.torch_engine import policy_of

FILES = ["documented.safetensors", "reconstructed.pth", "tanh.pt"]


@pytest.mark.parametrize("name", FILES)
def test_every_parameter_is_the_files_tensor(made: Path, name: str) -> None:
    loaded = load(made / name)
    contents = Contents(open_source(made / name))
    state = loaded.model.state_dict()
    assert set(state) == set(contents.tensors)
    assert all(torch.equal(tensor, contents.read(key)) for key, tensor in state.items())
    assert not any(tensor.is_meta for tensor in [*loaded.model.parameters(), *loaded.model.buffers()])
    assert loaded.dtype == "fp32"


@pytest.mark.parametrize("name", FILES)
def test_the_model_computes_what_a_plainly_built_one_does(made: Path, name: str) -> None:
    """The same weights copied into an ordinarily constructed module tree: no meta device, no assignment.

    The copies lie elsewhere in memory than the file's mapped tensors, so only rounding may differ.
    """
    from mobile_vla.policy.model import PolicyModel, tower_facts

    loaded = load(made / name)
    card, layout = loaded.card, loaded.model.layout
    plain = PolicyModel(layout, tower_facts(layout, card), card.final_activation).eval()
    plain.load_state_dict({key: tensor.clone() for key, tensor in loaded.model.state_dict().items()}, strict=True)
    ours = policy_of(loaded, 1).raw_sequence(_frames(10), "find the blue box")
    theirs = policy_of(loaded._replace(model=plain), 1).raw_sequence(_frames(10), "find the blue box")
    assert_same(ours, theirs)


def test_tanh_comes_from_the_card(made: Path) -> None:
    outputs = policy_of(load(made / "tanh.pt"), 1).raw_sequence(_frames(2), "go")
    card = (made / "tanh.pt.card.yaml").read_text()
    other = made / "no-tanh.card.yaml"
    other.write_text(card.replace("final_activation: tanh", "final_activation: none"))
    plain = policy_of(load(made / "tanh.pt", other), 1).raw_sequence(_frames(2), "go")
    assert_same(outputs, np.tanh(plain))


@pytest.mark.parametrize(("dtype", "word"), [(torch.bfloat16, "bf16"), (torch.float32, "fp32")])
def test_every_parameter_and_buffer_is_cast(made: Path, dtype: torch.dtype, word: str) -> None:
    loaded = load(made / "documented.safetensors", dtype=dtype)
    floating = [t for t in [*loaded.model.parameters(), *loaded.model.buffers()] if t.dtype.is_floating_point]
    assert {tensor.dtype for tensor in floating} == {dtype}
    assert loaded.dtype == word
    assert len(policy_of(loaded, 1).raw_sequence(_frames(2), "stop")) == 2


def test_the_lstm_uses_the_replaced_weights(made: Path) -> None:
    model = load(made / "documented.safetensors").model
    assert [weight.data_ptr() for weight in model.rnn._flat_weights] == [
        parameter.data_ptr() for parameter in model.rnn.parameters()
    ]


def _mappings(name: str) -> list[tuple[int, int]]:
    spans = [
        line.split()[0].split("-")
        for line in Path("/proc/self/maps").read_text().splitlines()
        if line.endswith((name, f"{name} (deleted)"))
    ]
    return [(int(low, 16), int(high, 16)) for low, high in spans]


@pytest.mark.parametrize("name", ["documented.safetensors", "reconstructed.pth"])
def test_weights_that_fit_are_in_memory_of_their_own(made: Path, name: str) -> None:
    loaded = load(made / name)
    gc.collect()
    addresses = [parameter.data_ptr() for parameter in loaded.model.parameters()]
    assert not any(low <= address < high for address in addresses for low, high in _mappings(name))
    assert not loaded.mapped
    assert all(address % 64 == 0 for address in addresses)


@pytest.mark.parametrize("name", ["documented.safetensors", "reconstructed.pth"])
def test_weights_that_do_not_fit_stay_in_the_file(made: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Every parameter's address lies in a mapping of the file: nothing was copied."""
    monkeypatch.setattr("mobile_vla.engine.load.available_memory", lambda: 1_003_000_000)
    loaded = load(made / name)
    addresses = [parameter.data_ptr() for parameter in loaded.model.parameters()]
    assert all(any(low <= address < high for low, high in _mappings(name)) for address in addresses)
    assert [file.path for file in loaded.mapped] == [made / name]


def test_a_cast_needs_no_page_of_the_file(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobile_vla.engine.load.available_memory", lambda: 0)
    assert not load(made / "documented.safetensors", dtype=torch.float64).mapped


def test_a_file_without_its_own_card_takes_the_one_inside(made: Path, tmp_path: Path) -> None:
    (tmp_path / "p.safetensors").write_bytes((made / "documented.safetensors").read_bytes())
    assert load(tmp_path / "p.safetensors").card.name == "synthetic-tiny-documented"


def test_a_named_card_comes_before_the_others(made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text((made / "documented.safetensors.card.yaml").read_text().replace("window: 8", "window: 3"))
    assert load(made / "documented.safetensors", other).card.window == 3


def test_fp16_on_a_cpu_is_computed_in_fp32_and_said(made: Path, checkpoint) -> None:
    half = {name: tensor.half() for name, tensor in load_file(made / "documented.safetensors").items()}
    loaded = load(checkpoint(half))
    assert loaded.dtype == "fp32"
    assert "stored as fp16" in loaded.notes[0]


def test_the_generation_model_reads_our_tensors_back(made: Path) -> None:
    """lm_head is tied: with it synthesised from the embeddings the whole generation model is filled."""
    from transformers import Kosmos2ForConditionalGeneration

    from mobile_vla.policy.model import kosmos_config, tower_facts

    loaded = load(made / "documented.safetensors")
    layout = loaded.model.layout
    config = kosmos_config(layout.kosmos, tower_facts(layout, loaded.card).kosmos)
    generation = Kosmos2ForConditionalGeneration(config)
    state = dict(loaded.model.kosmos_model.state_dict())
    state["text_model.lm_head.weight"] = state["text_model.model.embed_tokens.weight"]
    assert generation.load_state_dict(state, strict=True)


def _frames(count: int):
    from mobile_vla.engine.probe import frames

    return frames(5, count)
