"""The exported data set opened by the real `lerobot` library, where it is installed."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from bag_making import Messages
from tests.unit.bags.test_dataset import drive

from mobile_vla.bags.dataset import lerobot
from mobile_vla.bags.dataset.build import BuildOptions, build

library = pytest.importorskip("lerobot.datasets.lerobot_dataset", reason="lerobot is not installed")


def frames_at(path: Path, timestamps: list[float], *_: object, **__: object) -> torch.Tensor:
    """Stands in for lerobot's decoder, which wants a torchcodec or a torchvision that may not fit this torch."""
    with av.open(str(path)) as container:
        shown = {round(float(frame.time), 3): frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)}
    pictures = np.stack([shown[round(at, 3)] for at in timestamps])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def test_lerobot_reads_what_was_written(tmp_path: Path, messages: Messages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "decode_video_frames", frames_at)
    bags = [drive(tmp_path / f"bag{seed}", messages, seed) for seed in range(2)]
    manifest = build(bags, tmp_path / "set", BuildOptions(least_frames=5))
    out = lerobot.export(manifest, tmp_path / "out", fps=10)
    opened = library.LeRobotDataset("local/drive", root=out, video_backend="pyav")
    assert (opened.num_episodes, opened.num_frames, opened.fps) == (4, 120, 10)
    ordered = [entry for name in ("train", "val", "test") for entry in manifest.of_split(name)]
    for number in (0, 31, 75, 119):
        item = opened[number]
        episode = manifest.read(ordered[number // 30])
        np.testing.assert_allclose(item["action"].numpy(), episode.actions[number % 30], atol=1e-6)
        assert item["task"] == episode.instruction
        picture = list(episode.frames())[number % 30].astype(np.float32) / 255
        assert np.abs(item[lerobot.CAMERA].numpy().transpose(1, 2, 0) - picture).mean() < 0.03
