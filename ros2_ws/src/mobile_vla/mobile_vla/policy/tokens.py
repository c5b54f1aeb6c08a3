"""From an instruction to token ids, exactly as the models' own processors make them.

Kosmos-2: `<s><image> [image latents] </image> text`; the rows of the latents are filled in later, so only the ids
before and after them are returned. CLIP: begin, text, end.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mobile_vla.checkpoint.card import Card
from mobile_vla.checkpoint.layout import Layout
from mobile_vla.checkpoint.tokenizer_files import OPEN_CLIP
from mobile_vla.errors import UserError
from mobile_vla.policy.model import tower_facts

BEGIN, IMAGE, END_IMAGE = "<s>", "<image>", "</image>"


class PromptIds(NamedTuple):
    """Token ids of one instruction: before and after the image latents, and for CLIP."""

    before: list[int]
    after: list[int]
    clip: list[int]


# Text to token ids; special tokens are written out in the text, nothing is added.
TextIds = Callable[[str], list[int]]


def tokens_of(card: Card, layout: Layout, base: Path) -> Tokens:
    """The tokenizers of a card, with the limits of its towers; ids beyond an embedding table are an error."""
    facts = tower_facts(layout, card).clip
    return Tokens(card, base, layout, facts.begin_token, facts.end_token)


class Tokens:
    """The two tokenizers of one card."""

    def __init__(self, card: Card, base: Path, layout: Layout, clip_begin: int, clip_end: int) -> None:
        """`base` is the folder that relative tokenizer paths of the card start from."""
        self._card = card
        self._kosmos = _open(card.tokenizers.kosmos, base, "kosmos")
        self._clip = _open_clip() if card.tokenizers.clip == OPEN_CLIP else _open(card.tokenizers.clip, base, "clip")
        self._clip_begin, self._clip_end, self._clip_limit = clip_begin, clip_end, layout.clip.text_positions
        self._rows = {"kosmos": layout.kosmos.vocabulary, "clip": layout.clip.vocabulary}

    def __call__(self, instruction: str) -> PromptIds:
        """Ids of one instruction put into the card's prompt templates."""
        text = self._card.prompt.replace("{instruction}", instruction.strip()).strip()
        ids = self._kosmos(f"{BEGIN}{IMAGE} {IMAGE} {END_IMAGE} {text}")
        # begin, image, one placeholder for all latents, end of image, text
        before, after = ids[:2], ids[3:]
        clip = self._clip(self._card.clip_prompt.replace("{instruction}", instruction.strip()).strip())
        clip = [self._clip_begin, *clip[: self._clip_limit - 2], self._clip_end]
        for tower, highest in (("kosmos", max(ids)), ("clip", max(clip))):
            if highest >= self._rows[tower]:
                raise UserError(
                    f"tokenizers.{tower} gives token {highest}, the checkpoint has rows for {self._rows[tower]}; "
                    f"name the tokenizer the policy was trained with"
                )
        return PromptIds(before, after, clip)


def _open(where: str, base: Path, tower: str) -> TextIds:
    folder = base / where
    if (folder / "tokenizer.json").is_file():
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)
    from mobile_vla.policy.upstream import AutoTokenizer

    try:
        # a robot fetches nothing by itself: a hub id works when its files have been downloaded before
        slow = AutoTokenizer.from_pretrained(str(folder) if folder.is_dir() else where, local_files_only=True)
    except Exception as error:  # transformers and the hub raise a dozen unrelated types here
        raise UserError(
            f"tokenizers.{tower} is '{where}', which is neither a folder with tokenizer.json beside the card nor a "
            f"hub id downloaded before; download its tokenizer files and name their folder in the card"
        ) from error
    return lambda text: list(slow(text, add_special_tokens=False)["input_ids"])


def _open_clip() -> TextIds:
    from mobile_vla.policy import open_clip_tower

    return open_clip_tower.tokenizer()
