from __future__ import annotations

import pytest
from gate_rig import Rig


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def make_rig() -> type[Rig]:
    return Rig
