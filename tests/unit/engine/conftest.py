from __future__ import annotations

from pathlib import Path

import pytest
from checkpoint_fixtures import checkpoint, loaded, made, one_thread, state, tiny

__all__ = ["checkpoint", "loaded", "made", "one_thread", "state", "tiny"]


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """One cache for the whole session, outside the user's."""
    shared: Path = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared))
