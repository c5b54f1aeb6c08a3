"""From a file to a model: strict, and never two copies of a tensor set.

The module tree is built on the meta device; each parameter is then replaced by the file's own memory-mapped tensor
(or by its cast, one at a time). Nothing is loaded unless everything fits.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from torch import nn

from mobile_vla.checkpoint.card import Card, card_path
from mobile_vla.checkpoint.card_text import load_card
from mobile_vla.checkpoint.layout import infer_layout
from mobile_vla.policy.buffers import rebuild_buffers
from mobile_vla.policy.model import PolicyModel, check_geometry, meta_model


class Loaded(NamedTuple):
    """A model with its card."""

    model: PolicyModel
    card: Card
    checkpoint: Path


def load(checkpoint: Path, card_file: Path | None, dtype: torch.dtype | None, device: torch.device) -> Loaded:
    card = load_card(card_file or card_path(checkpoint))
    with safe_open(str(checkpoint), framework="pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        layout = infer_layout(shapes)
        check_geometry(layout, card)
        model = meta_model(layout, card)
        for name, _ in list(model.named_parameters()):
            tensor = file.get_tensor(name).to(device=device, dtype=dtype)
            owner, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(owner), leaf, nn.Parameter(tensor, requires_grad=False))
    rebuild_buffers(model)
    return Loaded(model, card, checkpoint)
