"""Policies with random weights in the exact shapes of real ones, marked as untrained in the card and in the file.

Each tensor has its own seed (from the run's seed and the tensor's name) and is made, written and forgotten one after
the other, so the 7 GB policy needs memory for its largest tensor only.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mobile_vla.checkpoint import tiny_tokenizer
from mobile_vla.checkpoint.card import CARD_METADATA, Card, card_path, refuse_long_name
from mobile_vla.checkpoint.card_text import dump_card, embedded
from mobile_vla.checkpoint.sizes import synthetic_card, synthetic_layout
from mobile_vla.checkpoint.synthetic_pth import write_pth
from mobile_vla.checkpoint.write import TensorEntry, refuse_little_space, write_safetensors
from mobile_vla.errors import UserError
from mobile_vla.files import FileError, WriteError, made_parents, replacing_folder, write_text
from mobile_vla.policy.model import expected_shapes

# Part of the cache's name: a change of what the generator writes must not meet an older file.
VERSION = 2
HEAD_GAIN = 2.0


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


class SyntheticSpec(NamedTuple):
    """What is to be generated."""

    size: str
    head: str
    seed: int = 0
    training_container: bool = False


def synthesize(
    destination: Path, order: SyntheticSpec, progress: Callable[[int, int], None] = lambda done, total: None
) -> Card:
    """Write a .safetensors, .pth or .pt file, its card, and its tokenizer folder beside it."""
    refuse_long_name(destination)
    try:
        with made_parents(destination):
            return _synthesize(destination, order, progress)
    except OSError as error:
        raise WriteError(destination, error) from None


def _synthesize(destination: Path, order: SyntheticSpec, progress: Callable[[int, int], None]) -> Card:
    layout, card = synthetic_layout(order.size, order.head), synthetic_card(order.size, order.head)
    shapes = expected_shapes(layout)
    total = sum(4 * math.prod(shape) for shape in shapes.values())
    tiny_tokenizer.refuse_another(destination.parent / card.tokenizers.kosmos)
    refuse_little_space(destination.parent, total * 11 // 10)

    def tensor(name: str) -> Tensor:
        return random_tensor(name, shapes[name], order.seed)

    def report(done: int) -> None:
        progress(done, total)

    if destination.suffix in {".pth", ".pt"}:
        write_pth(
            destination, shapes, tensor, training_container=order.training_container, seed=order.seed, progress=report
        )
    elif destination.suffix == ".safetensors" and not order.training_container:
        entries = [TensorEntry(name, torch.float32, shape) for name, shape in shapes.items()]
        note = f"random weights, seed {order.seed}"
        metadata = {"format": "pt", "mobile_vla.synthetic": note, CARD_METADATA: embedded(card)}
        write_safetensors(destination, entries, tensor, metadata, report)
    else:
        raise UserError(
            f"{destination} must end in .pth or .pt{'' if order.training_container else ' or .safetensors'}; rename it"
        )
    tiny_tokenizer.write_tokenizer(destination.parent / card.tokenizers.kosmos)
    write_text(card_path(destination), dump_card(card), sync=True)
    return card


def cached(name: str) -> Path:
    """The checkpoint behind `synthetic:<name>`, generated once per user; safe when several processes start together."""
    size, _, head = name.partition(":")
    head = head or "documented"
    synthetic_layout(size, head)  # refuses unknown names before anything is written
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mobile_vla"
    folder = root / f"synthetic-{size}-{head}-v{VERSION}"
    checkpoint = folder / "policy.safetensors"
    if checkpoint.exists():
        return checkpoint
    try:
        with replacing_folder(folder) as unfinished:
            synthesize(unfinished / checkpoint.name, SyntheticSpec(size, head))
    except FileError:
        if not checkpoint.exists():  # another process may have been faster, nothing else is fine
            raise
    return checkpoint
