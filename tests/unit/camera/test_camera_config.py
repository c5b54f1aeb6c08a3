"""Settings that contradict each other are refused with the remedy; loading them loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from mobile_vla.camera.config import CameraConfig, DepthScanConfig, ReconnectConfig
from mobile_vla.config import ConfigError


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"source": "  "}, "source is empty"),
        ({"fourcc": "MJPEG"}, "four characters"),
        ({"width_px": 0}, "together"),
        ({"resize": True, "width_px": 0, "height_px": 0}, "resize needs a size"),
        ({"frame_id": "/camera"}, "leading slash"),
        ({"frame_id": ""}, "frame_id"),
        ({"kind": "webcam"}, "kind must be one of"),
        ({"encoding": "yuv422"}, "encoding must be one of"),
        ({"rate_hz": 0.0}, "rate_hz must be > 0"),
        ({"horizontal_fov_deg": 180.0}, "<= 175"),
        ({"jpeg_quality": 0}, ">= 1"),
    ],
)
def test_refused(values: dict[str, Any], sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        CameraConfig(**values)


def test_longest_wait_below_the_first_is_refused():
    with pytest.raises(ConfigError, match="max_s must be >= initial_s"):
        ReconnectConfig(initial_s=5.0, max_s=1.0)


def test_loads_nothing_heavy():
    code = "import sys, mobile_vla.camera.config; print([m for m in ('cv2', 'numpy', 'rclpy') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"most_height_m": 0.05}, "most_height_m must be > least_height_m"),
        ({"range_max_m": 0.3}, "range_max_m must be > range_min_m .* and nearest_m"),
        ({"frame_id": "/depth"}, "leading slash"),
        ({"zero_is": "far"}, "zero_is must be one of near, unknown"),
    ],
)
def test_refused_of_a_depth_camera(values: dict[str, Any], sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        DepthScanConfig(**values)
