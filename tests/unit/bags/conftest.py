from __future__ import annotations

from pathlib import Path

import pytest
from bag_making import Messages, write_drive


@pytest.fixture(scope="session")
def messages() -> Messages:
    return Messages()


@pytest.fixture
def drive(tmp_path: Path, messages: Messages) -> Path:
    return write_drive(tmp_path / "drive", messages)
