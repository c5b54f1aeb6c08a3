"""Devices that are missing, without permission, busy or unplugged; pipelines that cannot run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mobile_vla.camera import capture as module
from mobile_vla.camera.capture import GStreamerSource, V4l2Source, buffer_age_ns, csi_pipeline, fourcc
from mobile_vla.camera.config import CameraConfig
from mobile_vla.camera.source import NS, DamagedFrame, SourceLost
from mobile_vla.errors import UserError

# A character device that exists everywhere stands in for the camera's.
DEVICE = "/dev/null"
WITH_GSTREAMER = "  GStreamer:                   YES (1.20.3)"
WITHOUT_GSTREAMER = "  GStreamer:                   NO"
PIPELINE = "videotestsrc ! videoconvert ! appsink"


def test_missing_device_says_which_exist(fake_time: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_devices", lambda: "/dev/video2")
    with pytest.raises(SourceLost, match=r"no camera at /dev/video77; plug it in or set source to one of: /dev/video2"):
        V4l2Source(CameraConfig(source="77"), fake_time.clock).open()


def test_missing_device_passes_the_check(fake_time: Any):
    V4l2Source(CameraConfig(source="/dev/video77"), fake_time.clock).check()  # it may be plugged in later


def test_a_device_without_permission_names_its_group(fake_time: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(SourceLost, match="usermod -aG video"):
        V4l2Source(CameraConfig(source=DEVICE), fake_time.clock).open()


def test_a_file_is_no_device(tmp_path: Path, fake_time: Any):
    path = tmp_path / "video0"
    path.write_text("")
    with pytest.raises(UserError, match="is not a camera device"):
        V4l2Source(CameraConfig(source=str(path)), fake_time.clock).check()


def test_busy_device_is_released(fake_time: Any, capture: Any):
    busy = capture([], opened=False)
    with pytest.raises(SourceLost, match="another program"):
        V4l2Source(CameraConfig(source=DEVICE), fake_time.clock, busy).open()
    assert busy.released == 1


def test_device_is_asked_for_the_format(fake_time: Any, capture: Any):
    opened = capture([])
    config = CameraConfig(source=DEVICE, fourcc="MJPG", width_px=1280, height_px=720, rate_hz=15.0)
    V4l2Source(config, fake_time.clock, opened).open()
    assert opened.arguments == (DEVICE, cv2.CAP_V4L2)
    assert opened.wishes == {
        cv2.CAP_PROP_FOURCC: cv2.VideoWriter_fourcc(*"MJPG"),
        cv2.CAP_PROP_FRAME_WIDTH: 1280,
        cv2.CAP_PROP_FRAME_HEIGHT: 720,
        cv2.CAP_PROP_FPS: 15.0,
        cv2.CAP_PROP_BUFFERSIZE: 1,
    }
    assert next(iter(opened.wishes)) == cv2.CAP_PROP_FOURCC  # it decides which sizes there are
    assert fourcc("YUYV") == cv2.VideoWriter_fourcc(*"YUYV")


def test_unplugged_while_reading(fake_time: Any, capture: Any, make_picture: Any):
    opened = capture([make_picture(1), None])
    source = V4l2Source(CameraConfig(source=DEVICE), fake_time.clock, opened)
    source.open()
    np.testing.assert_array_equal(source.read().pixels, make_picture(1))
    with pytest.raises(SourceLost, match="still plugged in"):
        source.read()
    source.close()
    source.close()
    assert opened.released == 1
    with pytest.raises(SourceLost, match="not open"):
        source.read()


def test_stamp_is_the_drivers_buffer_time(fake_time: Any, capture: Any, make_picture: Any):
    fake_time.now_ns = 100 * NS
    source = V4l2Source(CameraConfig(source=DEVICE), fake_time.clock, capture([make_picture(1)], position_ms=99_960.0))
    source.open()
    assert source.read().stamp_ns == fake_time.clock.stamp_ns() - 40_000_000


@pytest.mark.parametrize(
    ("position_ms", "age_ns"),
    [
        (0.0, 0),  # the driver gives none
        (-1.0, 0),
        (100_001.0, 0),  # in the future: another clock
        (1_700_000_000_000.0, 0),  # wall clock
        (50_000.0, 0),  # 50 s ago: another clock
        (99_000.0, NS),  # a queue that was not emptied: the frame is as old as it is
    ],
)
def test_buffer_age(position_ms: float, age_ns: int):
    assert buffer_age_ns(position_ms, 100 * NS) == age_ns


def test_what_is_no_picture_is_damaged(fake_time: Any, capture: Any):
    source = V4l2Source(CameraConfig(source=DEVICE), fake_time.clock, capture([np.zeros((4, 4), np.float32)]))
    source.open()
    with pytest.raises(DamagedFrame, match="is not a picture"):
        source.read()


def test_pipeline_without_gstreamer_says_so(fake_time: Any):
    source = GStreamerSource(PIPELINE, fake_time.clock, build_information=lambda: WITHOUT_GSTREAMER)
    with pytest.raises(UserError, match=r"built without.*python3-opencv"):
        source.check()


def test_gstreamer_support_is_read_from_opencv(fake_time: Any):
    source = GStreamerSource(PIPELINE, fake_time.clock)
    if any("GStreamer" in line and "YES" in line for line in cv2.getBuildInformation().splitlines()):
        source.check()
    else:
        with pytest.raises(UserError, match="GStreamer"):
            source.check()


def test_pipeline_without_appsink_is_refused(fake_time: Any):
    source = GStreamerSource("videotestsrc ! fakesink", fake_time.clock, build_information=lambda: WITH_GSTREAMER)
    with pytest.raises(UserError, match="appsink"):
        source.check()


def test_pipeline_runs_fails_and_ends(fake_time: Any, capture: Any, make_picture: Any):
    opened = capture([make_picture(1)])
    source = GStreamerSource(PIPELINE, fake_time.clock, "CSI camera 0", opened, lambda: WITH_GSTREAMER)
    source.check()
    source.open()
    assert opened.arguments == (PIPELINE, cv2.CAP_GSTREAMER)
    assert source.read().encoding == "bgr8"
    with pytest.raises(SourceLost, match="CSI camera 0 stopped"):
        source.read()
    opened.opened = False
    with pytest.raises(SourceLost, match="nvargus-daemon"):
        source.open()


def test_csi_pipeline():
    config = CameraConfig(width_px=1280, height_px=720, rate_hz=29.97, csi_flip_method=2)
    pipeline = csi_pipeline(config, sensor=1)
    assert "nvarguscamerasrc sensor-id=1 !" in pipeline
    assert "width=1280, height=720, framerate=2997/100" in pipeline
    assert "flip-method=2" in pipeline
    assert pipeline.endswith("appsink drop=true max-buffers=1 sync=false")
    assert "width" not in csi_pipeline(CameraConfig(width_px=0, height_px=0), 0)


def test_listing_devices_says_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(()))
    assert module._devices() == "none on this machine"
