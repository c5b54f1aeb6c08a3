"""Words for the tiny synthetic tokenizers, and the tokenizers themselves: byte-level, complete, made without a network.

Each known word is one token (reached by a chain of merges over its prefixes); every other text falls back to bytes,
so nothing is ever unknown.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mobile_vla.errors import UserError
from mobile_vla.files import write_text

WORDS = [
    "a",
    "and",
    "at",
    "away",
    "back",
    "ball",
    "barrel",
    "behind",
    "black",
    "block",
    "blue",
    "bottle",
    "box",
    "brown",
    "by",
    "can",
    "chair",
    "circle",
    "come",
    "cone",
    "crate",
    "cube",
    "cylinder",
    "desk",
    "door",
    "down",
    "drive",
    "far",
    "find",
    "follow",
    "forward",
    "from",
    "front",
    "go",
    "green",
    "grey",
    "in",
    "it",
    "leave",
    "left",
    "look",
    "me",
    "move",
    "near",
    "next",
    "of",
    "on",
    "orange",
    "person",
    "pillar",
    "pink",
    "purple",
    "red",
    "right",
    "room",
    "slowly",
    "sphere",
    "stay",
    "stop",
    "table",
    "the",
    "then",
    "to",
    "toward",
    "towards",
    "turn",
    "up",
    "wait",
    "wall",
    "white",
    "yellow",
    "you",
]
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<image>", "</image>", "<grounding>", "<phrase>", "</phrase>")
BEGIN_ID, PAD_ID = 0, 1


def tokenizer_json() -> dict[str, Any]:
    """A byte-level BPE tokenizer over `WORDS` as the `tokenizers` library stores it; deterministic."""
    alphabet = _byte_alphabet()
    space = alphabet[ord(" ")]
    vocabulary = {token: index for index, token in enumerate((*SPECIAL, *sorted(alphabet)))}
    merges: list[list[str]] = []
    for word in WORDS:
        prefix = space
        for letter in word:
            longer = prefix + letter
            if longer not in vocabulary:
                vocabulary[longer] = len(vocabulary)
                merges.append([prefix, letter])
            prefix = longer
    added = [
        {
            "id": index,
            "content": token,
            "single_word": False,
            "lstrip": True,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for index, token in enumerate(SPECIAL)
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": vocabulary,
        "merges": merges,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": model,
    }


def vocabulary_size() -> int:
    """Rows that an embedding needs for these tokenizers."""
    return len(tokenizer_json()["model"]["vocab"])


def write_tokenizer(folder: Path) -> None:
    """Write `tokenizer.json` into `folder`."""
    refuse_another(folder)
    write_text(folder / "tokenizer.json", _text())


def refuse_another(folder: Path) -> None:
    """Raise where `folder` already has a tokenizer that is not this one."""
    file = folder / "tokenizer.json"
    if file.exists() and file.read_text(encoding="utf-8", errors="replace") != _text():
        raise UserError(f"{file} exists and is another tokenizer; choose a folder of its own")


def _text() -> str:
    return json.dumps(tokenizer_json(), ensure_ascii=False)


def _byte_alphabet() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes, in byte order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    stand_ins = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(stand_ins)) for byte in range(256)]
