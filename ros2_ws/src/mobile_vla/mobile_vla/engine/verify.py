"""Full verification of a policy in one call."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from mobile_vla.engine import open_policy
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.engine.named import checkpoint_file
from mobile_vla.engine.probe import check_canary, check_probe


def verify(config: InferenceConfig, progress: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
    """Strict load, finite, sha256, probe, canary; raises `UserError` at the first that fails."""
    started = time.monotonic()
    policy = open_policy(config, progress)
    load_s = time.monotonic() - started
    card, executed = policy.card, policy.description
    deviation = check_probe(policy, card, executed["precision"])
    reaction = check_canary(policy, card.name)
    return {
        "file": str(checkpoint_file(config.checkpoint)),
        "policy": card.name,
        "engine": executed["engine"],
        "dtype": executed["dtype"],
        "stored": executed["stored"],
        "strict": "every tensor used, every parameter filled",
        "finite": True,
        "sha256": "equal to the card's" if card.weights_sha256 else "the card records none",
        "probe_deviation": deviation,
        "probe": "no probe in the card; `vla checkpoint convert` records one" if deviation is None else "as recorded",
        "canary": reaction,
        "untrained": card.untrained,
        "modified": card.modified,
        "notes": executed["notes"],
        "load_s": round(load_s, 2),
        "seconds": round(time.monotonic() - started, 2),
    }
