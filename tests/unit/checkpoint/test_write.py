from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, safe_open

from mobile_vla.checkpoint import write as writing
from mobile_vla.checkpoint.write import ALIGNMENT, TensorEntry, aligned_order, write_safetensors
from mobile_vla.engine.convert import ConversionJob, convert
from mobile_vla.engine.load import load
from mobile_vla.resources import shipped_policies

ODD = {"a.logit_scale": (), "b.bias": (2,), "c.weight": (3, 5), "d.weight": (32,), "e.weight": (4, 16), "f.bias": (8,)}


def misaligned(file: Path) -> set[str]:
    """Tensors that are mapped at another address than a multiple of 64."""
    with safe_open(str(file), "pt") as opened:
        return {name for name in opened.keys() if opened.get_tensor(name).data_ptr() % ALIGNMENT}  # noqa: SIM118


def written(path: Path, dtype: torch.dtype) -> Path:
    entries = [TensorEntry(name, dtype, shape) for name, shape in ODD.items()]
    shapes = {entry.name: entry.shape for entry in entries}
    write_safetensors(path, entries, lambda name: torch.full(shapes[name], 3.0).to(dtype), {"note": "x" * 7})
    return path


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
def test_every_tensor_starts_at_a_multiple_of_its_own_roundness(tmp_path: Path, dtype: torch.dtype) -> None:
    path = written(tmp_path / "p.safetensors", dtype)
    with safe_open(str(path), "pt") as opened:
        for name, shape in ODD.items():
            assert opened.get_tensor(name).data_ptr() % TensorEntry(name, dtype, shape).alignment == 0


def test_the_safetensors_library_reads_it_back(tmp_path: Path) -> None:
    state = load_file(written(tmp_path / "p.safetensors", torch.float32))
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == ODD
    assert all(torch.equal(tensor, torch.full(ODD[name], 3.0)) for name, tensor in state.items())


def test_equally_round_tensors_keep_their_order() -> None:
    entries = [TensorEntry(name, torch.float32, (16,)) for name in ("z", "a", "m")]
    assert aligned_order([TensorEntry("scale", torch.float32, ()), *entries]) == [
        *entries,
        TensorEntry("scale", torch.float32, ()),
    ]


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "int8"])
def test_a_converted_policy_is_mapped_at_multiples_of_64(made: Path, tmp_path: Path, dtype: str) -> None:
    convert(ConversionJob(made / "reconstructed.pth", tmp_path / "p.safetensors", dtype))
    state = load_file(tmp_path / "p.safetensors")
    odd = {name for name, tensor in state.items() if tensor.nbytes % ALIGNMENT}
    assert misaligned(tmp_path / "p.safetensors") <= odd
    assert "clip_model.logit_scale" in odd
    load(tmp_path / "p.safetensors")


def test_scales_may_be_written_before_their_matrices(made: Path, tmp_path: Path, monkeypatch) -> None:
    convert(ConversionJob(made / "reconstructed.pth", tmp_path / "usual.safetensors", "int8"))
    monkeypatch.setattr(writing, "aligned_order", lambda entries: list(entries)[::-1])
    convert(ConversionJob(made / "reconstructed.pth", tmp_path / "reversed.safetensors", "int8"))
    usual, other = (load_file(tmp_path / f"{name}.safetensors") for name in ("usual", "reversed"))
    assert all(torch.equal(tensor, other[name]) for name, tensor in usual.items())


@pytest.mark.parametrize("name", ["documented.safetensors", "reconstructed.pth", "tanh.pt"])
def test_a_generated_policy_is_mapped_at_multiples_of_64(made: Path, name: str) -> None:
    parameters = load(made / name).model.named_parameters()
    wrong = {key for key, tensor in parameters if tensor.data_ptr() % ALIGNMENT and not tensor.nbytes % ALIGNMENT}
    assert not wrong


@pytest.mark.parametrize("name", shipped_policies())
def test_a_shipped_policy_is_mapped_at_multiples_of_64(name: str) -> None:
    assert misaligned(shipped_policies()[name]) <= {"clip_model.logit_scale", "actions.mlp.6.bias"}
