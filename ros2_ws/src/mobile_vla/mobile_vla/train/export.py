"""A trained policy as files: weights, card with probe and checksum. Loaded strictly once before it counts."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import torch

from mobile_vla.checkpoint.card import CARD_METADATA, Card, card_path
from mobile_vla.checkpoint.card_text import dump_card, embedded
from mobile_vla.checkpoint.write import Entry, write_safetensors
from mobile_vla.engine import open_policy
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.engine.probe import record
from mobile_vla.files import write_text
from mobile_vla.policy.model import PolicyModel


def export(policy: PolicyModel, card: Card, checkpoint: Path, notes: dict[str, str]) -> Card:
    """Write `checkpoint` (.safetensors) and its card; the tokenizer folder must lie beside it already."""
    state = {name: value.detach().contiguous() for name, value in policy.state_dict().items()}
    entries = [Entry(name, torch.float32, tuple(value.shape)) for name, value in state.items()]
    plain = dataclasses.replace(card, probe=None, weights_sha256="")
    metadata = {"format": "pt", CARD_METADATA: embedded(plain), **notes}
    write_safetensors(checkpoint, entries, lambda name: state[name], metadata)
    write_text(card_path(checkpoint), dump_card(plain), sync=True)
    opened = open_policy(InferenceConfig(checkpoint=str(checkpoint)))
    checksum = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    complete = dataclasses.replace(plain, probe=record(opened, "fp32"), weights_sha256=checksum)
    write_text(card_path(checkpoint), dump_card(complete), sync=True)
    open_policy(InferenceConfig(checkpoint=str(checkpoint))).self_check()
    return complete
