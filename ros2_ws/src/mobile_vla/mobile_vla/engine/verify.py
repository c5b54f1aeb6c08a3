"""Everything that is checked before a policy may be trusted, as one call."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mobile_vla.engine.load import load
from mobile_vla.engine.probe import check_canary, check_probe
from mobile_vla.engine.torch_engine import policy_of


def verify(
    checkpoint: Path,
    card_file: Path | None = None,
    dtype: torch.dtype | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Strict load, finite, sha256, probe, canary; raises `UserError` at the first that fails."""
    started = time.monotonic()
    loaded = load(checkpoint, card_file, dtype, progress=progress)
    load_s = time.monotonic() - started
    policy = policy_of(loaded, torch.get_num_threads())
    deviation = check_probe(policy, loaded.card, loaded.precision)
    reaction = check_canary(policy, loaded.card.name)
    return {
        "file": str(checkpoint),
        "policy": loaded.card.name,
        "dtype": loaded.dtype,
        "stored": loaded.stored,
        "strict": "every tensor used, every parameter filled",
        "finite": True,
        "sha256": "equal to the card's" if loaded.card.weights_sha256 else "the card records none",
        "probe_deviation": deviation,
        "probe": "no probe in the card; `vla checkpoint convert` records one" if deviation is None else "as recorded",
        "canary": reaction,
        "untrained": loaded.card.untrained,
        "modified": loaded.card.modified,
        "notes": list(loaded.notes),
        "load_s": round(load_s, 2),
        "seconds": round(time.monotonic() - started, 2),
    }
