from __future__ import annotations

from checkpoint_fixtures import checkpoint, made, one_thread, state

__all__ = ["checkpoint", "made", "one_thread", "state"]
