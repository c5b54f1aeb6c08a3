from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from mobile_vla.checkpoint.card import Tokenizers
from mobile_vla.engine.tokenizers import tokens_of
from mobile_vla.errors import UserError


def test_tokenizer_files_are_found_beside_the_card(loaded, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"neither a folder with tokenizer.json"):
        tokens_of(loaded.card, loaded.model.layout, tmp_path)


def with_tokenizer(loaded, folder: Path, data: bytes):
    (folder / "other").mkdir()
    (folder / "other/tokenizer.json").write_bytes(data)
    return dataclasses.replace(loaded.card, tokenizers=Tokenizers(kosmos="other", clip="open_clip"))


@pytest.mark.parametrize("token", ["<s>", "<image>", "</image>"])
def test_a_kosmos_tokenizer_needs_the_tokens_around_the_image(loaded, tmp_path: Path, token: str) -> None:
    """Without `<image>` its letters became tokens, and the image rows went where nobody had trained them."""
    text = (loaded.base / "tokenizer/tokenizer.json").read_text()
    card = with_tokenizer(loaded, tmp_path, text.replace(f'"{token}"', f'"{token[:-1]}~>"').encode())
    with pytest.raises(UserError, match=f"tokenizers.kosmos is 'other', which has no token {token} of its own"):
        tokens_of(card, loaded.model.layout, tmp_path)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"version": "1.0", "model": {"type": "None"}}', b"\xff\xfe"])
def test_a_broken_tokenizer_file_is_one_sentence(loaded, tmp_path: Path, data: bytes) -> None:
    card = with_tokenizer(loaded, tmp_path, data)
    with pytest.raises(UserError, match=r"is not a tokenizer \(|is not a text file") as error:
        tokens_of(card, loaded.model.layout, tmp_path)
    assert "\n" not in str(error.value)


def test_a_pipe_instead_of_a_tokenizer_does_not_block(loaded, tmp_path: Path) -> None:
    card = with_tokenizer(loaded, tmp_path, b"")
    (tmp_path / "other/tokenizer.json").unlink()
    os.mkfifo(tmp_path / "other/tokenizer.json")
    with pytest.raises(UserError, match="is a pipe"):
        tokens_of(card, loaded.model.layout, tmp_path)


def test_a_padding_that_the_file_asks_for_is_not_done(loaded, tmp_path: Path) -> None:
    text = (loaded.base / "tokenizer/tokenizer.json").read_text()
    padding = (
        '"padding": {"strategy": {"Fixed": 100000}, "direction": "Right", "pad_to_multiple_of": null, '
        '"pad_id": 1, "pad_type_id": 0, "pad_token": "<pad>"}'
    )
    assert '"padding": null' in text or '"padding":null' in text
    card = with_tokenizer(
        loaded, tmp_path, text.replace('"padding": null', padding).replace('"padding":null', padding).encode()
    )
    card = dataclasses.replace(card, tokenizers=Tokenizers(kosmos="other", clip="other"))
    assert len(tokens_of(card, loaded.model.layout, tmp_path)("go").after) < 50
