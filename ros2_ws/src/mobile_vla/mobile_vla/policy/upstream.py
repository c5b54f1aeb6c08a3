"""The only import of `transformers`; torchvision is made importable first."""

from __future__ import annotations

from mobile_vla.policy.torchvision_ops import register_missing_torchvision_ops

register_missing_torchvision_ops()

import transformers  # noqa: E402
from transformers import AutoTokenizer, CLIPConfig, CLIPModel, Kosmos2Config, Kosmos2Model  # noqa: E402
from transformers.activations import ACT2FN  # noqa: E402

VERSION: str = transformers.__version__
ACTIVATIONS: frozenset[str] = frozenset(ACT2FN)

__all__ = ["ACTIVATIONS", "VERSION", "AutoTokenizer", "CLIPConfig", "CLIPModel", "Kosmos2Config", "Kosmos2Model"]
