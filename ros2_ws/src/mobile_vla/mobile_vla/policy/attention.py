"""Detects and fixes wrong image latents of Kosmos-2 under the default attention.

transformers 4.52 to 5.22 treat the cross-attention of `image_to_text_projection` as causal under SDPA. Names and shapes
agree, outputs differ by about a third. So the installed code is asked, not its version: the same small input through
SDPA and through eager, and eager from then on if they disagree.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor

from mobile_vla.errors import UserError
from mobile_vla.policy.model import PolicyModel

# rounding explains a few thousandths in bf16; the defect is a hundred times that
TOLERANCE = 0.05
_ROWS = 32
EAGER = "eager"


def ensure_correct_attention(model: PolicyModel) -> list[str]:
    """Make the image projection right; returns a sentence when that needed the fallback."""
    projection = model.kosmos_model.image_to_text_projection
    attention = projection.x_attn
    # 4.x before 4.52 computes this attention by itself, without a choice of implementations
    if getattr(attention, "config", None) is None:
        return []
    default = _outputs(model)
    shared = attention.config
    own = copy.copy(shared)
    own._attn_implementation = EAGER  # noqa: SLF001  (the only handle that reaches one module)
    attention.config = own
    eager = _outputs(model)
    difference = _relative(default, eager)
    if difference <= TOLERANCE:
        attention.config = shared
        return []
    if math.isnan(difference):
        raise UserError(
            "the image projection gives NaN for small inputs; the weights or this build of PyTorch are unusable"
        )
    note = (
        f"this transformers computes Kosmos-2's image projection wrongly under SDPA (off by {difference:.2f}); "
        f"eager attention is used for that module"
    )
    return [note]


@torch.inference_mode()
def _outputs(model: PolicyModel) -> Tensor:
    projection = model.kosmos_model.image_to_text_projection
    weight = projection.latent_query
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(1, _ROWS, model.layout.kosmos.vision.width, generator=generator)
    rows = torch.nn.functional.normalize(rows, dim=-1).to(weight.device, weight.dtype)
    output: Tensor = projection(rows)[0]
    return output.float()


def _relative(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm().clamp_min(1e-12))
