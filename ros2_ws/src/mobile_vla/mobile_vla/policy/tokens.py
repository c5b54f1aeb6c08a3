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
from mobile_vla.checkpoint.tokenizer_files import FAST, MAX_BYTES, OPEN_CLIP
from mobile_vla.errors import UserError
from mobile_vla.policy.instruction import too_long
from mobile_vla.policy.model import tower_facts
from mobile_vla.regular import read_text

BEGIN, IMAGE, END_IMAGE = "<s>", "<image>", "</image>"


class PromptIds(NamedTuple):
    """Token ids of one instruction: before and after the image latents, and for CLIP."""

    before: list[int]
    after: list[int]
    clip: list[int]


# Text to token ids; special tokens are written out in the text, nothing is added.
TextIds = Callable[[str], list[int]]


class _Tokenizer(NamedTuple):
    """Texts to ids, and the id of one token that the vocabulary has as a whole."""

    ids: TextIds
    token: Callable[[str], int | None]


def tokens_of(card: Card, layout: Layout, base: Path) -> Tokens:
    """The tokenizers of a card, with the limits of its towers; ids beyond an embedding table are an error."""
    facts = tower_facts(layout, card).clip
    return Tokens(card, base, layout, facts.begin_token, facts.end_token)


class Tokens:
    """The two tokenizers of one card."""

    def __init__(self, card: Card, base: Path, layout: Layout, clip_begin: int, clip_end: int) -> None:
        """`base` is the folder that relative tokenizer paths of the card start from."""
        self._card = card
        kosmos = _open(card.tokenizers.kosmos, base, "kosmos")
        self._kosmos = kosmos.ids
        self._special = _special_tokens(kosmos, card.tokenizers.kosmos)
        clip = card.tokenizers.clip
        self._clip = _open_clip() if clip == OPEN_CLIP else _open(clip, base, "clip").ids
        self._clip_begin, self._clip_end, self._clip_limit = clip_begin, clip_end, layout.clip.text_positions
        self._rows = {"kosmos": layout.kosmos.vocabulary, "clip": layout.clip.vocabulary}

    def __call__(self, instruction: str) -> PromptIds:
        """Ids of one instruction put into the card's prompt templates; `UserError` for one that is too long."""
        if problem := too_long(instruction):
            raise UserError(problem)
        text = self._card.prompt.replace("{instruction}", instruction.strip()).strip()
        ids = self._kosmos(f"{BEGIN}{IMAGE} {IMAGE} {END_IMAGE} {text}")
        # begin, image, one placeholder for all latents, end of image, text
        begin, image, end_image = self._special
        if ids[:2] != [begin, image] or ids[3:4] != [end_image]:
            raise UserError(
                f"tokenizers.kosmos splits {BEGIN}{IMAGE} {IMAGE} {END_IMAGE} into {ids[:6]}, not into one token each; "
                f"name the tokenizer the policy was trained with"
            )
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


def _special_tokens(tokenizer: _Tokenizer, where: str) -> tuple[int, int, int]:
    """The ids around the image latents, each of its own."""
    ids = {name: tokenizer.token(name) for name in (BEGIN, IMAGE, END_IMAGE)}
    missing = [name for name, found in ids.items() if found is None]
    if missing or len(set(ids.values())) < len(ids):
        raise UserError(
            f"tokenizers.kosmos is '{where}', which has no token {', '.join(missing or ids)} of its own, so the image "
            f"would be put in the wrong place; name Kosmos-2's tokenizer, the one the policy was trained with"
        )
    begin, image, end_image = (int(found) for found in ids.values() if found is not None)
    return begin, image, end_image


def _open(where: str, base: Path, tower: str) -> _Tokenizer:
    folder = base / where
    if (folder / FAST).exists():
        return _from_file(folder / FAST, tower)
    from mobile_vla.policy.upstream import AutoTokenizer

    try:
        # a robot fetches nothing by itself: a hub id works when its files have been downloaded before
        slow = AutoTokenizer.from_pretrained(str(folder) if folder.is_dir() else where, local_files_only=True)
    except Exception as error:  # transformers and the hub raise a dozen unrelated types here
        raise UserError(
            f"tokenizers.{tower} is '{where}', which is neither a folder with tokenizer.json beside the card nor a "
            f"hub id downloaded before; download its tokenizer files and name their folder in the card"
        ) from error

    def token(name: str) -> int | None:
        found = slow.convert_tokens_to_ids(name)
        return None if found is None or (found == slow.unk_token_id and name != slow.unk_token) else int(found)

    return _Tokenizer(lambda text: list(slow(text, add_special_tokens=False)["input_ids"]), token)


def _from_file(path: Path, tower: str) -> _Tokenizer:
    from tokenizers import Tokenizer

    data = read_text(path, MAX_BYTES)
    try:
        tokenizer = Tokenizer.from_str(data)
        # what the file says about lengths is for training: a fixed padding could ask for any amount of memory
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode("a", add_special_tokens=False)
    except BaseException as error:
        # the library raises a plain Exception, and its own panics are not even that
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        reason = str(error).split("\n", 1)[0][:120]
        raise UserError(
            f"tokenizers.{tower}: {path} is not a tokenizer ({reason if reason.isprintable() else 'damaged'}); "
            f"copy it again"
        ) from None
    return _Tokenizer(lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids), tokenizer.token_to_id)


def _open_clip() -> TextIds:
    from mobile_vla.policy import open_clip_tower

    return open_clip_tower.tokenizer()
