from __future__ import annotations

from checkpoint_fixtures import loaded, one_thread, tiny

__all__ = ["loaded", "one_thread", "tiny"]
