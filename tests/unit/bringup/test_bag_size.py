"""What a graph's recorder will write in an hour, in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mobile_vla_bringup.bag_size import sentence
from mobile_vla_bringup.graph import Choice, describe


def said(tmp_path: Path, free: float = 500e9, robot: str = "diff", **recorder: Any) -> str:
    graph = describe(Choice(robot=robot, policy="small", bag=str(tmp_path / "lab")), {"recorder": recorder})
    return sentence(graph, int(free))


def test_raw_pictures_are_counted_and_jpeg_is_offered(tmp_path: Path) -> None:
    text = said(tmp_path)
    # 640 x 480 x 3 bytes at 30 Hz are 99.5 GB an hour
    assert f"recording into {tmp_path / 'lab'}: up to 100 GB an hour (raw pictures 640x480 at 30 Hz)" in text
    assert "500 GB are free, enough for 5.0 h" in text
    assert "; --set recorder.images=jpeg writes about 8.4 GB an hour" in text


def test_what_is_chosen_counts(tmp_path: Path) -> None:
    jpeg = said(tmp_path, images="jpeg")
    assert "8.4 GB an hour (JPEG pictures" in jpeg
    assert "--set" not in jpeg
    assert "up to 108 GB an hour (raw and JPEG pictures" in said(tmp_path, images="both")
    assert "up to 0.1 GB an hour (no pictures of" in said(tmp_path, profile="commands")
    assert "up to 232 GB an hour" in said(tmp_path, robot="diff_depth")  # depth pictures of the same size
    assert "enough for 6 min" in said(tmp_path, free=10e9)


@pytest.mark.parametrize("recorder", [{"continuous": False}, {"topics": ["cmd_vel"]}])
def test_nothing_is_said_where_nothing_can_be_known(tmp_path: Path, recorder: dict[str, Any]) -> None:
    assert said(tmp_path, **recorder) == ""


def test_a_camera_without_a_size(tmp_path: Path) -> None:
    graph = describe(
        Choice(robot="diff", policy="small", bag=str(tmp_path / "lab")), {"camera": {"width_px": 0, "height_px": 0}}
    )
    assert "how much depends on the camera, whose size is not set; 1.0 GB are free" in sentence(graph, 10**9)


def test_the_simulated_robot(tmp_path: Path) -> None:
    assert "(raw pictures 640x480 at 15 Hz)" in said(tmp_path, robot="sim")
