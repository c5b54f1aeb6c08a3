from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mobile_vla.checkpoint import tokenizer_files
from mobile_vla.checkpoint.card import Card, Tokenizers
from mobile_vla.checkpoint.sizes import synthetic_card
from mobile_vla.checkpoint.tokenizer_files import copy_tokenizers, tokenizer_copies
from mobile_vla.errors import UserError


def card(kosmos: str = "tokenizer", clip: str = "open_clip") -> Card:
    return dataclasses.replace(synthetic_card("tiny", "tanh"), tokenizers=Tokenizers(kosmos=kosmos, clip=clip))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    (folder / "tokenizer" / "deeper").mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json", "model.safetensors", "policy.pth"):
        (folder / "tokenizer" / name).write_text(name)
    (folder / "tokenizer" / "deeper" / "vocab.txt").touch()
    return folder


def brought(card: Card, base: Path, destination: Path) -> set[str]:
    copy_tokenizers(tokenizer_copies(card, base, destination))
    return {str(path.relative_to(destination)) for path in destination.rglob("*") if path.is_file()}


def test_the_tokenizers_own_files_come_and_nothing_else(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert brought(card(), base, out) == {"tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"}
    assert (out / "tokenizer" / "tokenizer.json").read_text() == "tokenizer.json"


def test_a_slow_tokenizer_brings_the_configuration_that_names_its_class(base: Path, tmp_path: Path) -> None:
    (base / "tokenizer" / "tokenizer.json").rename(base / "tokenizer" / "vocab.json")
    assert brought(card(), base, tmp_path / "out") == {
        "tokenizer/vocab.json", "tokenizer/tokenizer_config.json", "tokenizer/config.json"
    }  # fmt: skip


def test_the_cards_own_folder_is_not_copied_into_itself(base: Path) -> None:
    """A card that names `.` while the result goes below that folder once filled 46 levels."""
    assert brought(card(kosmos="."), base / "tokenizer", base / "tokenizer" / "out") == {
        "tokenizer.json", "tokenizer_config.json"
    }  # fmt: skip


def test_nested_names_keep_their_place(base: Path, tmp_path: Path) -> None:
    (base / "both").mkdir()
    (base / "tokenizer").rename(base / "both" / "kosmos")
    found = brought(card(kosmos="both/kosmos", clip="both/kosmos"), base, tmp_path / "out")
    assert found == {"both/kosmos/tokenizer.json", "both/kosmos/tokenizer_config.json"}


def test_what_is_not_the_cards_own_stays_where_it_is(base: Path, tmp_path: Path) -> None:
    (base / "open_clip").mkdir()
    (base / "open_clip" / "tokenizer.json").touch()
    for kosmos in ("microsoft/kosmos-2-patch14-224", str(base / "tokenizer")):
        assert tokenizer_copies(card(kosmos), base, tmp_path / "out") == []
    assert tokenizer_copies(card(), base, base) == []


def test_a_folder_outside_is_refused(base: Path, tmp_path: Path) -> None:
    (base / "inner").mkdir()
    with pytest.raises(UserError, match=r"tokenizers.kosmos is '../tokenizer', outside the card's folder"):
        tokenizer_copies(card("../tokenizer"), base / "inner", tmp_path / "out")


def test_another_tokenizer_is_not_overwritten_and_the_same_one_not_copied(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    brought(card(), base, out)
    assert tokenizer_copies(card(), base, out) == []
    (out / "tokenizer" / "tokenizer.json").write_text("another")
    with pytest.raises(UserError, match=r"tokenizer.json exists and is another tokenizer"):
        tokenizer_copies(card(), base, out)


def test_the_size_is_bounded(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_files, "MAX_BYTES", 5)
    with pytest.raises(UserError, match=r"tokenizer.json has 0 MB, too much for a tokenizer"):
        tokenizer_copies(card(), base, tmp_path / "out")
