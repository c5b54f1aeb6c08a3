"""From an instruction to token ids, exactly as the models' own processors make them.

Kosmos-2: `<s><image> [image latents] </image> text`; the rows of the latents are filled in later, so only the ids
before and after them are returned. CLIP: begin, text, end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mobile_vla.checkpoint.card import Card
from mobile_vla.checkpoint.layout import Layout
from mobile_vla.config.instruction import too_long
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


class TowerTokenizer(NamedTuple):
    """One tower's tokenizer: texts to ids, and the id of one token that the vocabulary has as a whole."""

    ids: TextIds
    token: Callable[[str], int | None]


class Tokens:
    """The two tokenizers of one card, with the limits of its towers; ids beyond an embedding table are an error."""

    def __init__(self, card: Card, layout: Layout, kosmos: TowerTokenizer, clip: TextIds) -> None:
        facts = tower_facts(layout, card).clip
        self._card = card
        self._kosmos, self._clip = kosmos.ids, clip
        self._special = _special_tokens(kosmos, card.tokenizers.kosmos)
        self._clip_begin, self._clip_end = facts.begin_token, facts.end_token
        self._clip_limit = layout.clip.text_positions
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


def _special_tokens(tokenizer: TowerTokenizer, where: str) -> tuple[int, int, int]:
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
