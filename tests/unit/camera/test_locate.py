"""The setting `source`, and the source object made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mobile_vla.camera.capture import GStreamerSource, V4l2Source
from mobile_vla.camera.config import CameraConfig
from mobile_vla.camera.files import FolderSource, VideoFileSource
from mobile_vla.camera.locate import _make, kind_of, make_source
from mobile_vla.camera.stream import StreamSource
from mobile_vla.errors import UserError


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("0", "v4l2"),
        ("/dev/video2", "v4l2"),
        ("/dev/v4l/by-id/usb-cam-index0", "v4l2"),
        ("csi", "csi"),
        ("csi:1", "csi"),
        ("csi://1", "csi"),
        ("v4l2src device=/dev/video0 ! videoconvert ! appsink", "gstreamer"),
        ("rtsp://10.0.0.5/stream", "stream"),
        ("https://camera/mjpg", "stream"),
    ],
)
def test_kind_by_form(source: str, kind: str):
    assert kind_of(source) == kind


def test_kind_of_what_exists(folder: Path, video: Path):
    assert kind_of(str(folder)) == "folder"
    assert kind_of(f"file://{folder}") == "folder"
    assert kind_of(str(video)) == "video"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"source": "/no/such/film.mp4"}, "no existing file or folder"),
        ({"source": "webcam"}, "no existing file or folder"),
        ({"source": "gopher://camera"}, "unknown scheme 'gopher'"),
        ({"source": "csi:front"}, "names no CSI camera"),
        ({"source": "/no/such/folder", "kind": "folder"}, "no image folder"),
        ({"source": "/no/such/film", "kind": "video"}, "no video file"),
        ({"source": "camera/stream", "kind": "stream"}, "unknown scheme ''"),
    ],
)
def test_refused(values: dict[str, Any], sentence: str, fake_time: Any):
    with pytest.raises(UserError, match=sentence):
        make_source(CameraConfig(**values), fake_time.clock)


def test_one_image_is_not_a_camera(folder: Path, fake_time: Any):
    with pytest.raises(UserError, match="is one image; give the folder"):
        make_source(CameraConfig(source=str(folder / "frame1.png")), fake_time.clock)


def test_makes_the_right_source(folder: Path, video: Path, fake_time: Any):
    expected = {
        "0": V4l2Source,
        "csi:1": GStreamerSource,
        "videotestsrc ! appsink": GStreamerSource,
        "http://camera/": StreamSource,
        str(folder): FolderSource,
        str(video): VideoFileSource,
    }
    for source, cls in expected.items():
        assert type(_make(CameraConfig(source=source), fake_time.clock)) is cls


def test_csi_numbers(fake_time: Any):
    for source, kind, sensor in (("csi", "auto", 0), ("csi:1", "auto", 1), ("2", "csi", 2)):
        made = _make(CameraConfig(source=source, kind=kind), fake_time.clock)
        assert isinstance(made, GStreamerSource)
        assert f"sensor-id={sensor} " in made.pipeline
