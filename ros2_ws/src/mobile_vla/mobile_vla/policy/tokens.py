"""From an instruction to token ids, exactly as the models' own processors make them.

Kosmos-2: `<s><image> [image latents] </image> text`; the rows of the latents are filled in later, so only the ids
before and after them are returned. CLIP: begin, text, end.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

from mobile_vla.checkpoint.card import Card
from mobile_vla.errors import UserError

BEGIN, IMAGE, END_IMAGE = "<s>", "<image>", "</image>"
OPEN_CLIP = "open_clip"


class PromptIds(NamedTuple):
    """Token ids of one instruction: before and after the image latents, and for CLIP."""

    before: list[int]
    after: list[int]
    clip: list[int]


class TextIds(Protocol):
    """Text to token ids, special tokens written out in the text."""

    def __call__(self, text: str) -> list[int]:
        """Token ids without anything added."""


class Tokens:
    """The two tokenizers of one card."""

    def __init__(self, card: Card, base: Path, clip_limit: int, clip_begin: int, clip_end: int) -> None:
        """`base` is the folder that relative tokenizer paths of the card start from."""
        self._card = card
        self._kosmos = _open(card.tokenizers.kosmos, base, "kosmos")
        self._clip = _open_clip() if card.tokenizers.clip == OPEN_CLIP else _open(card.tokenizers.clip, base, "clip")
        self._clip_limit, self._clip_begin, self._clip_end = clip_limit, clip_begin, clip_end

    def __call__(self, instruction: str) -> PromptIds:
        """Ids of one instruction put into the card's prompt templates."""
        text = self._card.prompt.replace("{instruction}", instruction.strip()).strip()
        ids = self._kosmos(f"{BEGIN}{IMAGE} {IMAGE} {END_IMAGE} {text}")
        # begin, image, one placeholder for all latents, end of image, text
        before, after = ids[:2], ids[3:]
        clip = self._clip(self._card.clip_prompt.replace("{instruction}", instruction.strip()).strip())
        return PromptIds(before, after, [self._clip_begin, *clip[: self._clip_limit - 2], self._clip_end])


def _open(where: str, base: Path, tower: str) -> TextIds:
    folder = base / where
    if (folder / "tokenizer.json").is_file():
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)
    from mobile_vla.policy.upstream import AutoTokenizer

    try:
        slow = AutoTokenizer.from_pretrained(str(folder) if folder.is_dir() else where)
    except Exception as error:  # transformers and the hub raise a dozen unrelated types here
        raise UserError(
            f"tokenizers.{tower} is '{where}', which is neither a folder with tokenizer.json beside the card nor a "
            f"hub id that can be reached now; download its tokenizer files and name their folder in the card"
        ) from error
    return lambda text: list(slow(text, add_special_tokens=False)["input_ids"])


def _open_clip() -> TextIds:
    from mobile_vla.checkpoint import open_clip_tower

    return open_clip_tower.tokenizer()
