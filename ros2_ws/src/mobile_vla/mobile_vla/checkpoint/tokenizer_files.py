"""Copies the tokenizer files that a card names, and no other file beside them."""

from __future__ import annotations

import filecmp
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mobile_vla.checkpoint.card import Card
from mobile_vla.errors import UserError
from mobile_vla.files import atomic_binary

FAST = "tokenizer.json"
NAMES = (
    FAST,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
# says which class reads the files above; not needed where tokenizer.json is
MODEL_CONFIG = "config.json"
MAX_BYTES = 64 << 20
OPEN_CLIP = "open_clip"


class FileCopy(NamedTuple):
    """One file to be copied."""

    original: Path
    target: Path


def tokenizer_copies(card: Card, base: Path, destination: Path) -> list[FileCopy]:
    """The copies that let a card moved from `base` to `destination` find its tokenizers; refuses what would
    overwrite another tokenizer, or lies where no copy can.
    """
    copies: dict[Path, FileCopy] = {}
    for tower, name in (("kosmos", card.tokenizers.kosmos), ("clip", card.tokenizers.clip)):
        folder = base / name
        if (tower == "clip" and name == OPEN_CLIP) or Path(name).is_absolute() or not folder.is_dir():
            continue  # nothing of the card's own: a library's, a fixed place, or a hub id
        if (destination / name).resolve() == folder.resolve():
            continue
        if ".." in Path(name).parts:
            raise UserError(
                f"tokenizers.{tower} is '{name}', outside the card's folder, so a copy would be outside "
                f"{destination}; move that folder beside the card, or write its absolute path"
            )
        for copy in _copies(folder, destination / name):
            copies[copy.target] = copy
    return list(copies.values())


def copy_tokenizers(copies: list[FileCopy]) -> None:
    """Make the copies, each complete or not at all."""
    for copy in copies:
        with atomic_binary(copy.target, sync=True) as file:
            file.write(copy.original.read_bytes())


def _copies(folder: Path, target: Path) -> Iterator[FileCopy]:
    names = NAMES if (folder / FAST).is_file() else (*NAMES, MODEL_CONFIG)
    for name in names:
        original, copy = folder / name, target / name
        if not original.is_file():
            continue
        if (size := original.stat().st_size) > MAX_BYTES:
            raise UserError(f"{original} has {size / 1e6:.0f} MB, too much for a tokenizer; is it another file?")
        if not copy.exists():
            yield FileCopy(original, copy)
        elif not filecmp.cmp(original, copy, shallow=False):
            raise UserError(f"{copy} exists and is another tokenizer; convert into a folder of its own")
