from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mobile_vla.checkpoint.load import Loaded, load
from mobile_vla.checkpoint.synthetic import Order, synthesize


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "policy.safetensors"
    synthesize(path, Order("tiny", "documented"))
    return path


@pytest.fixture
def loaded(tiny: Path) -> Loaded:
    return load(tiny)
