"""From a checkpoint file to a running policy. `open_policy` is the one way in; importing this loads nothing heavy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from mobile_vla.engine.registry import ENGINES

if TYPE_CHECKING:
    from collections.abc import Callable

    from mobile_vla.engine.config import InferenceConfig
    from mobile_vla.engine.streaming import StreamingPolicy


def open_policy(config: InferenceConfig, progress: Callable[[int], None] = lambda done: None) -> StreamingPolicy:
    """Load and return the policy that `config` names, on the engine it names; raises `UserError` with one sentence
    otherwise. `progress` gets the bytes of the weights placed so far.

    The probe and the canary are the caller's next step (`Policy.self_check`), because they take several steps' time.
    """
    if not config.allow_untrained:
        from mobile_vla.engine.named import card_beside, refuse_untrained

        # before PyTorch is imported, let alone gigabytes are read
        refuse_untrained(config.checkpoint, card_beside(config.checkpoint, config.card), allowed=False)
    opener: Callable[[InferenceConfig, Callable[[int], None]], StreamingPolicy]
    opener = import_module(ENGINES[config.engine].module).open_policy
    return opener(config, progress)


__all__ = ["open_policy"]
