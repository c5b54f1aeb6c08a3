"""Invalid checkpoint files: one sentence each, no code run, no file left."""

from __future__ import annotations

import argparse
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from mobile_vla.checkpoint.contents import Contents
from mobile_vla.checkpoint.opening import open_source
from mobile_vla.checkpoint.source import SourceError
from mobile_vla.engine.load import load
from mobile_vla.engine.strict import StrictError
from mobile_vla.errors import UserError


def sentence(path: Path) -> str:
    with pytest.raises(UserError) as error:
        Contents(open_source(path))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_directory_names_the_files_in_it(made: Path) -> None:
    assert "is a directory, not a checkpoint; name one of its files: documented.safetensors" in sentence(made)


def test_an_empty_directory(tmp_path: Path) -> None:
    assert "there is no weights file in it" in sentence(tmp_path)


def test_a_missing_file(tmp_path: Path) -> None:
    assert "does not exist; check the path" in sentence(tmp_path / "none.pth")


def test_a_hub_id_is_not_fetched() -> None:
    assert "nothing is fetched by itself" in sentence(Path("someone/some-policy"))


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.pth"
    path.touch()
    assert "is empty" in sentence(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "secret.pth"
    path.write_bytes((made / "reconstructed.pth").read_bytes())
    path.chmod(0)
    assert "Permission denied" in sentence(path)


@pytest.mark.parametrize("name", ["reconstructed.pth", "documented.safetensors"])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.999])
def test_a_truncated_file(made: Path, tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    whole = (made / name).read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "truncated or damaged" in sentence(path)


def test_a_zip_that_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "photos.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "hello")
    assert "not a PyTorch checkpoint (no data.pkl in it)" in sentence(path)


def test_a_text_named_like_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "policy.pth"
    path.write_text("version https://git-lfs.github.com/spec/v1")
    assert "is not a checkpoint although it is named like one" in sentence(path)


def test_the_old_format_is_named(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    torch.save({"a": torch.zeros(1)}, path, _use_new_zipfile_serialization=False)
    assert "old format (before 1.6)" in sentence(path)


class Trap:
    def __init__(self, where: Path) -> None:
        self.where = where

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.where),)


@pytest.mark.parametrize("inside", [True, False])
def test_code_in_a_pickle_is_named_and_not_run(tmp_path: Path, inside: bool) -> None:
    trap = tmp_path / "ran"
    path = tmp_path / "evil.pth"
    torch.save({"model_state_dict": {"a": torch.zeros(1)}, "args": Trap(trap)} if inside else Trap(trap), path)
    assert "wants to run posix.mkdir while being read" in sentence(path)
    assert not trap.exists()


def test_a_bare_pickle_is_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Trap(trap)))
    assert "old format" in sentence(path)
    assert not trap.exists()


def test_a_training_script_leaves_a_namespace_and_numpy_numbers(tmp_path: Path) -> None:
    path = tmp_path / "training.pth"
    entries = {
        "epoch": 3,
        "val_mae": np.float32(0.2),
        "best": np.int64(7),
        "args": argparse.Namespace(out=Path("x"), lr=1e-4),
    }
    torch.save({**entries, "model_state_dict": {"rnn.a": torch.zeros(1)}}, path)
    container = open_source(path).container
    assert container.entries["val_mae"] == np.float32(0.2)
    assert container.entries["args"].lr == 1e-4
    assert container.key == "model_state_dict"


def test_a_container_without_weights(tmp_path: Path) -> None:
    path = tmp_path / "log.pth"
    torch.save({"epoch": 3, "losses": [1.0, 2.0]}, path)
    assert "holds epoch, losses, none of which is a set of weights" in sentence(path)


def test_an_entry_that_is_no_tensor(tmp_path: Path) -> None:
    path = tmp_path / "odd.pth"
    torch.save({"state_dict": {"rnn.a": torch.zeros(1), "rnn.version": 3}}, path)
    assert "'rnn.version', which is int and not a tensor" in sentence(path)


def test_a_single_tensor(tmp_path: Path) -> None:
    path = tmp_path / "one.pth"
    torch.save(torch.zeros(3), path)
    assert "holds Tensor instead of named tensors" in sentence(path)


def test_nan_is_found_and_named(checkpoint, state) -> None:
    name = "kosmos_model.text_model.model.layers.1.ffn.fc2.weight"
    broken = state[name].clone()
    broken[3, 5] = float("nan")
    with pytest.raises(SourceError, match=f"{name} contains NaN or infinity"):
        load(checkpoint({**state, name: broken}))


def test_tensors_that_disagree_are_named(checkpoint, state) -> None:
    changed = {**state, "feature_fusion.weight": torch.zeros(100, 192), "feature_fusion.bias": torch.zeros(100)}
    with pytest.raises(StrictError, match=r"feature_fusion.weight says 100 and rnn.weight_ih_l0 says 128"):
        load(checkpoint(changed))


def test_integers_where_weights_belong(checkpoint, state) -> None:
    name = "rnn.bias_hh_l0"
    with pytest.raises(StrictError, match="1 of an unusable number format"):
        load(checkpoint({**state, name: state[name].to(torch.int64)}))


def test_another_sha256_than_the_cards(checkpoint, state) -> None:
    path = checkpoint(state)
    card = path.with_name(path.name + ".card.yaml")
    card.write_text(card.read_text() + f"weights_sha256: '{'0' * 64}'\n")
    with pytest.raises(SourceError, match="its card says 0000000000000000"):
        load(path)


def test_no_card_is_an_error_that_lists_what_is_needed(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "policy.pth"
    path.write_bytes((made / "reconstructed.pth").read_bytes())
    with pytest.raises(
        UserError, match=r"has no card, so nobody can know format, name, .*action.space.*`vla checkpoint card new"
    ):
        load(path)
