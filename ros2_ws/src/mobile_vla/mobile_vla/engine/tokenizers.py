"""Opening the tokenizers that a card names: a folder beside it, a hub id downloaded before, or open_clip's own."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.checkpoint.card import Card
from mobile_vla.checkpoint.layout import Layout
from mobile_vla.checkpoint.tokenizer_files import FAST, MAX_BYTES, OPEN_CLIP
from mobile_vla.errors import UserError
from mobile_vla.files import read_text
from mobile_vla.policy.tokens import TextIds, Tokens, TowerTokenizer


def tokens_of(card: Card, layout: Layout, base: Path) -> Tokens:
    """The tokenizers of a card; `base` is the folder that its relative paths start from."""
    clip = card.tokenizers.clip
    kosmos = _open(card.tokenizers.kosmos, base, "kosmos")
    return Tokens(card, layout, kosmos, _open_clip() if clip == OPEN_CLIP else _open(clip, base, "clip").ids)


def _open(where: str, base: Path, tower: str) -> TowerTokenizer:
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

    return TowerTokenizer(lambda text: list(slow(text, add_special_tokens=False)["input_ids"]), token)


def _from_file(path: Path, tower: str) -> TowerTokenizer:
    from tokenizers import Tokenizer as FastTokenizer

    data = read_text(path, MAX_BYTES)
    try:
        tokenizer = FastTokenizer.from_str(data)
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

    def ids(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    return TowerTokenizer(ids, tokenizer.token_to_id)


def _open_clip() -> TextIds:
    from mobile_vla.policy import open_clip_tower

    return open_clip_tower.tokenizer()
