"""Policies with random weights in the exact shapes of real ones, marked as untrained in the card and in the file.

Each tensor has its own seed (from the run's seed and the tensor's name) and is made, written and forgotten one after
the other, so the 7 GB policy needs memory for its largest tensor only.
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from mobile_vla.checkpoint import tiny_tokenizer
from mobile_vla.checkpoint.card import Card, card_path
from mobile_vla.checkpoint.card_text import dump_card, embedded
from mobile_vla.checkpoint.layout import Layout
from mobile_vla.checkpoint.sizes import synthetic_card, synthetic_layout
from mobile_vla.checkpoint.write import Entry, write_safetensors
from mobile_vla.policy.model import meta_model

# Part of the cache's name: a change of what the generator writes must not meet an older file.
VERSION = 1
PREFIX = "synthetic:"
HEAD_GAIN = 2.0


def shapes_of(layout: Layout, card: Card) -> dict[str, tuple[int, ...]]:
    """Names and shapes of every tensor of this layout, in the module tree's order."""
    return {name: tuple(tensor.shape) for name, tensor in meta_model(layout, card).state_dict().items()}


def random_tensor(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    """One fp32 tensor, the same for the same name, shape and seed, on a scale that keeps activations alive."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))
    leaf = name.rsplit(".", 1)[-1]
    if name.endswith("logit_scale"):
        return torch.full(shape, 2.6592)
    if leaf == "weight" and len(shape) == 1:
        return 1 + 0.02 * torch.randn(shape, generator=generator)
    tensor = torch.randn(shape, generator=generator)
    if len(shape) == 1:
        return tensor.mul_(0.02)
    if "embed" in name and "patch" not in name:
        return tensor.mul_(shape[-1] ** -0.5)
    # recurrent and action layers get a gain, or everything after the fusion would sit at zero
    gain = HEAD_GAIN if name.startswith(("rnn.", "actions.")) else 1.0
    return tensor.mul_(gain * math.prod(shape[1:]) ** -0.5)


def synthesize(
    destination: Path, size: str, head: str, seed: int = 0, progress: Callable[[int], None] = lambda done: None
) -> Card:
    """Write `<destination>` (.safetensors), its card and its tokenizer folder beside it."""
    layout, card = synthetic_layout(size, head), synthetic_card(size, head)
    shapes = shapes_of(layout, card)
    entries = [Entry(name, torch.float32, shape) for name, shape in shapes.items()]
    metadata = {
        "format": "pt",
        "mobile_vla.synthetic": f"random weights, seed {seed}",
        "mobile_vla.card": embedded(card),
    }
    write_safetensors(destination, entries, lambda name: random_tensor(name, shapes[name], seed), metadata, progress)
    tiny_tokenizer.write_tokenizer(destination.parent / card.tokenizers.kosmos)
    card_path(destination).write_text(dump_card(card), encoding="utf-8")
    return card


def cached(name: str) -> Path:
    """The checkpoint behind `synthetic:tiny`, generated once per user; safe when several processes start together."""
    size, _, head = name.removeprefix(PREFIX).partition(":")
    head = head or "documented"
    synthetic_layout(size, head)  # refuses unknown names before anything is written
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mobile_vla"
    folder = root / f"synthetic-{size}-{head}-v{VERSION}"
    checkpoint = folder / "policy.safetensors"
    if checkpoint.exists():
        return checkpoint
    root.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=root))
    try:
        synthesize(temporary / checkpoint.name, size, head)
        try:
            temporary.rename(folder)
        except OSError:
            if not checkpoint.exists():  # another process may have been faster, nothing else is fine
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return checkpoint
