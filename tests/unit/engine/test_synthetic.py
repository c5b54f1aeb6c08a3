from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from mobile_vla.checkpoint.card import card_path
from mobile_vla.checkpoint.contents import Contents
from mobile_vla.checkpoint.opening import open_source
from mobile_vla.checkpoint.pth import ALLOWED_GLOBALS
from mobile_vla.checkpoint.tiny_tokenizer import SPECIAL, WORDS, write_tokenizer
from mobile_vla.engine import synthetic
from mobile_vla.engine.synthetic import SyntheticSpec, cached, random_tensor, synthesize
from mobile_vla.errors import UserError
from mobile_vla_cli.main import main


def test_a_tensor_depends_on_its_name_and_seed_only() -> None:
    one = random_tensor("rnn.weight_hh_l0", (8, 4), 1)
    assert torch.equal(one, random_tensor("rnn.weight_hh_l0", (8, 4), 1))
    assert not torch.equal(one, random_tensor("rnn.weight_hh_l0", (8, 4), 2))
    assert not torch.equal(one, random_tensor("rnn.weight_hh_l1", (8, 4), 1))


def test_the_same_seed_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    synthesize(tmp_path / "again.safetensors", SyntheticSpec("tiny", "documented"))
    assert (tmp_path / "again.safetensors").read_bytes() == (made / "documented.safetensors").read_bytes()


def test_a_training_container_is_an_ordinary_torch_file(made: Path) -> None:
    """Laid out without data and filled in afterwards, yet read by plain `torch.load` without mmap."""
    with torch.serialization.safe_globals(list(ALLOWED_GLOBALS)):
        root = torch.load(made / "reconstructed.pth", weights_only=True)
    assert set(root) == {"epoch", "model_state_dict", "optimizer_state_dict", "val_mae", "args"}
    for name, tensor in root["model_state_dict"].items():
        assert torch.equal(tensor, random_tensor(name, tuple(tensor.shape), 0))


def test_the_formats_hold_the_same_weights(tmp_path: Path) -> None:
    for name in ("a.safetensors", "a.pt"):
        synthesize(tmp_path / name, SyntheticSpec("tiny", "tanh", seed=4))
    one, other = (Contents(open_source(tmp_path / name)) for name in ("a.safetensors", "a.pt"))
    assert set(one.tensors) == set(other.tensors)
    assert all(torch.equal(one.read(name), other.read(name)) for name in one.tensors)


def test_it_is_marked_in_the_file_too(made: Path) -> None:
    safetensors = open_source(made / "documented.safetensors").container
    assert safetensors.metadata["mobile_vla.synthetic"] == "random weights, seed 0"
    assert open_source(made / "tanh.pt").container.entries["synthetic"] == "random weights, seed 0"


def test_the_cache_is_filled_once_by_whoever_is_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with ThreadPoolExecutor(3) as pool:
        paths = set(pool.map(lambda _: cached("tiny"), range(3)))
    (path,) = paths
    before = path.stat().st_mtime_ns
    assert cached("tiny") == path
    assert path.stat().st_mtime_ns == before
    assert [entry.name for entry in (tmp_path / "mobile_vla").iterdir()] == [path.parent.name]


def test_a_failed_generation_leaves_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(synthetic, "random_tensor", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cached("tiny")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("huge", "unknown size 'huge'"), ("tiny:tahn", "unknown layout 'tahn'; did you mean 'tanh'?")],
)
def test_unknown_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, sentence: str) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError) as error:
        cached(name)
    assert sentence in str(error.value)
    assert not list(tmp_path.iterdir())


def test_formats_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must end in .pth or .pt; rename it"):
        synthesize(tmp_path / "a.safetensors", SyntheticSpec("tiny", "tanh", training_container=True))
    with pytest.raises(UserError, match=r"or .safetensors; rename it"):
        synthesize(tmp_path / "a.bin", SyntheticSpec("tiny", "tanh"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(UserError, match="Permission denied"):
        synthesize(tmp_path / "a.safetensors", SyntheticSpec("tiny", "tanh"))


def test_every_known_word_is_one_token_and_every_text_survives(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for word in WORDS:
        assert len(tokenizer.encode(f"go {word}", add_special_tokens=False).ids) == 2
    odd = "Zerschlagt die Grünkübel, größer als 7 m!"
    assert tokenizer.decode(tokenizer.encode(odd, add_special_tokens=False).ids).strip() == odd
    assert tokenizer.encode("<s><image>", add_special_tokens=False).ids == [
        SPECIAL.index("<s>"),
        SPECIAL.index("<image>"),
    ]


def test_what_else_was_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint", "synthesize", "--size", "tiny", "--layout", "tanh", str(tmp_path / "p.pth")]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == f"beside it: {card_path(tmp_path / 'p.pth')} (its card), {tmp_path / 'tokenizer'}/ (its tokenizer)"
    assert (tmp_path / "tokenizer").is_dir()


def test_a_card_and_a_tokenizer_of_somebody_else_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["checkpoint", "synthesize", "--size", "tiny", "--layout", "tanh", str(tmp_path / "p.pth")]
    card, tokenizer = card_path(tmp_path / "p.pth"), tmp_path / "tokenizer" / "tokenizer.json"
    card.write_text("mine")
    assert main(command) == 2
    assert "p.pth.card.yaml exists and would be overwritten" in capsys.readouterr().err
    tokenizer.parent.mkdir()
    tokenizer.write_text("mine")
    assert main([*command, "--force"]) == 2
    assert "tokenizer.json exists and is another tokenizer" in capsys.readouterr().err
    assert (card.read_text(), tokenizer.read_text()) == ("mine", "mine")
    assert not (tmp_path / "p.pth").exists()


def test_a_place_that_cannot_be_a_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be written \((File exists|Not a directory)\); choose another place"):
        synthesize(tmp_path / "file/p.safetensors", SyntheticSpec("tiny", "tanh"))


def test_a_full_disk_is_said_in_a_unit_that_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 987_000}))
    with pytest.raises(UserError, match=r"987\.0 kB free, [0-9.]+ MB are needed; free some, or choose another place"):
        synthesize(tmp_path / "a.safetensors", SyntheticSpec("tiny", "documented"))
    assert list(tmp_path.iterdir()) == []


def test_folders_made_for_a_file_that_was_refused_are_removed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must end in"):
        synthesize(tmp_path / "a" / "b" / "p.bin", SyntheticSpec("tiny", "tanh"))
    assert list(tmp_path.iterdir()) == []
