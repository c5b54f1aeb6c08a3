"""Data sets of others, and damaged ones: one sentence, whatever their files hold."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mobile_vla.bags.dataset import export_npz, hdf5, lerobot
from mobile_vla.bags.dataset.check import check
from mobile_vla.bags.dataset.episode import read_episode, write_episode
from mobile_vla.bags.dataset.manifest import Manifest, load_manifest
from mobile_vla.errors import UserError
from mobile_vla_cli import main


def npz(path: Path, **changes: np.ndarray) -> None:
    """An episode of three frames with other arrays in it."""
    sound = {
        "instruction": np.frombuffer(b"go", np.uint8),
        "stamps_ns": np.arange(3),
        "actions": np.ones((3, 3), np.float32),
        "jpeg_ends": np.array([1, 2, 3]),
        "jpeg_bytes": np.zeros(3, np.uint8),
    }
    np.savez(path, **{**sound, **changes})


def spoil(path: Path, how: str) -> None:
    """Damage one episode file."""
    data = path.read_bytes()
    if how == "pipe":
        path.unlink()
        os.mkfifo(path)
    elif how == "compressed":
        np.savez_compressed(path, **dict(np.load(path)))
    elif how == "pickled":
        npz(path, stamps_ns=np.array([{}, {}, {}]))
    elif how == "huge":
        with zipfile.ZipFile(path) as content:
            parts = {name: content.read(name) for name in content.namelist()}
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**13,)})
        with zipfile.ZipFile(path, "w") as content:
            for name, data in {**parts, "jpeg_bytes.npy": header.getvalue()}.items():
                content.writestr(name, data)
    else:
        path.write_bytes({"empty": b"", "short": data[: len(data) // 2], "nonsense": b"PK\3\4" + bytes(500)}[how])


@pytest.mark.parametrize("how", ["empty", "short", "nonsense", "pipe", "compressed", "pickled", "huge"])
def test_a_damaged_episode_is_one_sentence(
    built: Manifest, tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(built.folder / built.episodes[0].file, how)
    for arguments in (["check"], ["export", "--format", "npz", "--out", str(tmp_path / "out")]):
        assert main(["dataset", arguments[0], str(built.folder), *arguments[1:]]) == 2
        said = capsys.readouterr().err
        assert said.startswith("vla: ")
        assert built.episodes[0].file in said
        assert said.count("\n") == 1
        assert "pickle" not in said


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"actions": np.ones((2, 3), np.float32)}, "not one stamp and one command per frame"),
        ({"actions": np.ones((3, 2), np.float32)}, "not one stamp and one command per frame"),
        ({"actions": np.ones((3, 3))}, "actions is not float32 in 2 dimensions"),
        ({"jpeg_ends": np.array([1, 2, 900])}, "pictures that lie outside of it"),
        ({"jpeg_ends": np.array([2, 1, 3])}, "pictures that lie outside of it"),
        ({"instruction": np.array([255, 254], np.uint8)}, "not a readable episode"),
    ],
)
def test_an_episode_that_contradicts_itself(tmp_path: Path, changes: dict[str, np.ndarray], sentence: str) -> None:
    npz(tmp_path / "e.npz", **changes)
    with pytest.raises(UserError, match=sentence):
        read_episode(tmp_path / "e.npz")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"file": "../../x.npz"}, "the episode '../../x.npz' does not lie in the data set"),
        ({"file": "/dev/zero"}, "the episode '/dev/zero' does not lie in the data set"),
        ({"file": 5}, "file must be a text, got 5"),
        ({"split": "../../val"}, "the split '../../val' is none of train, val, test"),
        ({"frames": "9" * 5000}, "frames must be a whole number"),
        ({"more": 1}, "is not a data set"),
    ],
)
def test_a_manifest_names_episodes_of_the_data_set_only(
    built: Manifest, change: dict[str, object], sentence: str
) -> None:
    content = json.loads((built.folder / "manifest.json").read_text())
    content["episodes"][0].update(change)
    (built.folder / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="is not a data set") as error:
        load_manifest(built.folder)
    assert sentence in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "5", "", '{"format": 1, "episodes": 3}', "9" * 5000, "\xff"])
def test_a_manifest_that_is_none_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match="is not a data set"):
        load_manifest(tmp_path)


def test_pictures_of_another_size_are_not_exported(built: Manifest, tmp_path: Path) -> None:
    odd = dataclasses.replace(built, width=32)
    for export in (export_npz.export, hdf5.export, functools.partial(lerobot.export, fps=10)):
        with pytest.raises(UserError, match="picture 0 is 64x48, those of the data set are 32x48"):
            export(odd, tmp_path / "out")


def test_frames_that_are_no_pictures_are_said(built: Manifest) -> None:
    entry = built.episodes[0]
    episode = built.read(entry)
    write_episode(built.folder / entry.file, dataclasses.replace(episode, jpegs=[b"x"] * len(episode)))
    with pytest.raises(UserError, match="has a frame that is no picture"):
        check(built)
