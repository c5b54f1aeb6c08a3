from __future__ import annotations

from pathlib import Path

import pytest
from bag_making import Messages
from drive_making import write_known_drive


@pytest.fixture(scope="session")
def messages() -> Messages:
    return Messages()


@pytest.fixture
def known_drive(tmp_path: Path, messages: Messages) -> Path:
    return write_known_drive(tmp_path / "bag", messages)
