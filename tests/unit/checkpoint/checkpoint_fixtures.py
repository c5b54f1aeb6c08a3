"""Checkpoint files for the tests of `checkpoint`, `policy` and `engine`; each conftest names the fixtures it uses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from mobile_vla.checkpoint.contents import Contents
from mobile_vla.checkpoint.opening import open_source
from mobile_vla.engine.load import Loaded, load
from mobile_vla.engine.synthetic import SyntheticSpec, synthesize


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tiny file per layout, in different formats. Tests read it and write elsewhere."""
    folder = tmp_path_factory.mktemp("made")
    synthesize(folder / "documented.safetensors", SyntheticSpec("tiny", "documented"))
    synthesize(folder / "reconstructed.pth", SyntheticSpec("tiny", "reconstructed", training_container=True))
    synthesize(folder / "tanh.pt", SyntheticSpec("tiny", "tanh"))
    return folder


@pytest.fixture(scope="session")
def state(made: Path) -> dict[str, Tensor]:
    """The tensors of the documented file under the module tree's names."""
    contents = Contents(open_source(made / "documented.safetensors"))
    return {name: contents.read(name) for name in contents.tensors}


@pytest.fixture
def checkpoint(made: Path, state: dict[str, Tensor], tmp_path: Path):
    """Write a changed copy of the documented file with its card and tokenizer; returns the function that does it."""

    def write(changed: dict[str, Tensor], name: str = "policy.safetensors") -> Path:
        path = tmp_path / name
        card = (made / "documented.safetensors.card.yaml").read_text()
        (tmp_path / f"{name}.card.yaml").write_text(card)
        (tmp_path / "tokenizer").mkdir(exist_ok=True)
        (tmp_path / "tokenizer/tokenizer.json").write_bytes((made / "tokenizer/tokenizer.json").read_bytes())
        if path.suffix == ".safetensors":
            save_file({key: tensor.contiguous() for key, tensor in changed.items()}, path)
        else:
            torch.save(changed, path)
        return path

    return write


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "policy.safetensors"
    synthesize(path, SyntheticSpec("tiny", "documented"))
    return path


@pytest.fixture
def loaded(tiny: Path) -> Loaded:
    return load(tiny)
