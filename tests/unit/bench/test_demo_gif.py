from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobile_vla.errors import UserError
from mobile_vla.evaluate.video import VideoWriter
from mobile_vla_bench.demo_gif import RATE_HZ, make_gif


def test_a_gif_has_one_frame_per_step_of_the_drive_and_plays_for_ever(tmp_path: Path) -> None:
    video, gif = tmp_path / "video.mp4", tmp_path / "demo.gif"
    with VideoWriter(video) as writer:
        for index in range(60):
            writer.write(np.full((60, 120, 3), 4 * index, np.uint8), index / 10)
    assert make_gif(video, gif, speed_up=5.0, width=60) == 6
    with Image.open(gif) as image:
        assert (image.size, image.n_frames) == ((60, 30), 6)
        assert (image.info["loop"], image.info["duration"]) == (0, 1000 / RATE_HZ)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.gif", "video.mp4"]


def test_a_video_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no file"):
        make_gif(tmp_path / "none.mp4", tmp_path / "demo.gif")


def test_a_start_behind_the_end_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    with VideoWriter(video) as writer:
        writer.write(np.zeros((60, 120, 3), np.uint8), 0.0)
    with pytest.raises(UserError, match="no frame after 5 s"):
        make_gif(video, tmp_path / "demo.gif", from_s=5.0)
    assert [path.name for path in tmp_path.iterdir()] == ["video.mp4"]


def test_the_gif_of_the_first_page_is_small() -> None:
    gif = Path(__file__).resolve().parents[3] / "docs" / "images" / "demo.gif"
    assert gif.stat().st_size <= 1_500_000
    with Image.open(gif) as image:
        assert image.n_frames > 20
