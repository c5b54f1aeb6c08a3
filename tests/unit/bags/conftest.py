from __future__ import annotations

from pathlib import Path

import dataset_making
import pytest
from bag_making import Messages, write_drive

from mobile_vla.bags.dataset.build import build
from mobile_vla.bags.dataset.manifest import Manifest


@pytest.fixture(scope="session")
def messages() -> Messages:
    return Messages()


@pytest.fixture
def drive(tmp_path: Path, messages: Messages) -> Path:
    return write_drive(tmp_path / "drive", messages)


@pytest.fixture
def built(tmp_path: Path, messages: Messages) -> Manifest:
    bags = [dataset_making.drive(tmp_path / f"bag{seed}", messages, seed) for seed in range(3)]
    return build(bags, tmp_path / "set", dataset_making.SMALL)
