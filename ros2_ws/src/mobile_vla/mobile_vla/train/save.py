"""A trained policy as files: weights with the card inside, beside them the card with probe and checksum."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch

from mobile_vla.checkpoint.card import CARD_METADATA, Card, card_path
from mobile_vla.checkpoint.card_text import dump_card, embedded
from mobile_vla.checkpoint.source import sha256_of
from mobile_vla.checkpoint.tokenizer_files import copy_tokenizers, tokenizer_copies
from mobile_vla.checkpoint.write import TensorEntry, write_safetensors
from mobile_vla.engine.load import Loaded
from mobile_vla.engine.probe import record_at_once
from mobile_vla.engine.torch_engine import policy_of
from mobile_vla.files import write_text

DTYPE = "fp32"


def save_checkpoint(destination: Path, trained: Loaded, notes: Mapping[str, str] | None = None) -> Card:
    """Write `destination` (.safetensors), its tokenizers and its card, which is returned; each complete or not at all.

    The probe says what the model does now, before it is written. `notes` go into the file's metadata.
    """
    copy_tokenizers(tokenizer_copies(trained.card, trained.base, destination.parent))
    probe = record_at_once(policy_of(trained, torch.get_num_threads()), DTYPE)
    card = dataclasses.replace(trained.card, probe=probe, weights_sha256="")
    state = {name: value.detach().contiguous() for name, value in trained.model.named_parameters()}
    entries = [TensorEntry(name, torch.float32, tuple(value.shape)) for name, value in state.items()]
    metadata = {"format": "pt", CARD_METADATA: embedded(card), "mobile_vla.dtype": DTYPE, **(notes or {})}
    write_safetensors(destination, entries, lambda name: state[name], metadata)
    card = dataclasses.replace(card, weights_sha256=sha256_of((destination,)))
    write_text(card_path(destination), dump_card(card), sync=True)
    return card
