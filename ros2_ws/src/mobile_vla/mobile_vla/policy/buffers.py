"""Buffers that no checkpoint carries: rebuilt after the module tree was made on the meta device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mobile_vla.errors import UserError
from mobile_vla.policy.model import PolicyModel


def rebuild_buffers(model: PolicyModel) -> None:
    """Give every meta buffer its values, in the dtype and on the device of the parameters beside it.

    Four buffers are known: Kosmos-2's sinusoidal positions and three `position_ids`. Another one would be a newer
    `transformers` that this release does not know, and is an error rather than a forward pass on garbage.
    """
    for name, buffer in list(model.named_buffers()):
        if not buffer.is_meta:
            continue
        owner_name, _, leaf = name.rpartition(".")
        owner: Any = model.get_submodule(owner_name)
        if leaf == "position_ids":
            value = torch.arange(buffer.shape[-1], device=_device(model)).expand(buffer.shape)
        elif leaf == "weights" and owner_name.endswith("embed_positions"):
            table = owner.get_embedding(buffer.shape[0], buffer.shape[1], owner.padding_idx)
            value = table.to(device=_device(model), dtype=_dtype(model))
        else:
            raise UserError(f"{name} is a buffer this release cannot rebuild; install a transformers version it names")
        owner.register_buffer(leaf, value, persistent=False)
    # replaced parameters are not seen by the LSTM until its flat list is made again
    rnn = model.rnn
    rnn._flat_weights = [getattr(rnn, name) for name in rnn._flat_weights_names]  # noqa: SLF001


def _parameter(model: PolicyModel) -> Tensor:
    weight: Tensor = model.kosmos_model.text_model.model.layer_norm.weight
    return weight


def _device(model: PolicyModel) -> torch.device:
    return _parameter(model).device


def _dtype(model: PolicyModel) -> torch.dtype:
    return _parameter(model).dtype
