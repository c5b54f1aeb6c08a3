"""How a policy is executed. `open_policy` is the one way in; importing this package loads nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mobile_vla.engine.config import InferenceConfig
    from mobile_vla.policy.interface import Policy


def open_policy(config: InferenceConfig) -> Policy:
    """Load, check and return the policy that `config` names; raises `UserError` with one sentence otherwise.

    The probe and the canary are the caller's next step (`Policy.self_check`), because they take several steps' time.
    """
    from mobile_vla.engine.named import card_beside, refuse_untrained

    # before PyTorch is imported, let alone gigabytes are read
    refuse_untrained(config.checkpoint, card_beside(config.checkpoint, config.card), allowed=config.allow_untrained)
    from mobile_vla.engine import torch_engine

    return torch_engine.open_policy(config)


__all__ = ["open_policy"]
