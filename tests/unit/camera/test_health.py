"""Frozen, black, changed, out of order; and what a healthy camera looks like."""

from __future__ import annotations

import numpy as np
import pytest

from mobile_vla.camera.config import HealthConfig
from mobile_vla.camera.health import FINE, FrameHealth
from mobile_vla.camera.source import NS

PERIOD_NS = NS // 30


def noisy(number: int, height: int = 480, width: int = 640, level: int = 128):
    noise = np.random.default_rng(number).integers(-2, 3, (height, width, 3))
    return np.clip(level + noise, 0, 255).astype(np.uint8)


def test_a_still_scene_with_sensor_noise_is_healthy():
    health = FrameHealth()
    for number in range(60):
        assert health.judge(noisy(number), number * PERIOD_NS, "bgr8") == FINE


def test_frozen_is_found_in_time_and_recovers():
    health = FrameHealth(HealthConfig(frozen_after_s=0.5))
    still = noisy(1)
    verdicts = [health.judge(still.copy(), number * PERIOD_NS) for number in range(30)]
    first_bad = next(number for number, verdict in enumerate(verdicts) if not verdict.ok)
    assert first_bad == pytest.approx(0.5 * 30, abs=1)
    assert all(not verdict.ok for verdict in verdicts[first_bad:])
    assert "frozen" in verdicts[-1].reason
    assert health.judge(noisy(2), 31 * PERIOD_NS).ok


def test_one_repeated_frame_of_a_slow_camera_is_not_frozen():
    health = FrameHealth(HealthConfig(frozen_after_s=0.5))
    still = noisy(1)
    assert [health.judge(still, number * NS).ok for number in range(4)] == [True, True, False, False]


def test_frozen_check_can_be_turned_off():
    health = FrameHealth(HealthConfig(frozen_after_s=0.0))
    assert all(health.judge(noisy(1), number * NS).ok for number in range(10))


@pytest.mark.parametrize("shape", [(480, 640, 3), (48, 64), (1, 1, 3), (1080, 1920, 4)])
def test_black_in_every_shape(shape: tuple[int, ...]):
    frame = np.zeros(shape, np.uint8)
    if shape[-1] == 4:
        frame[..., 3] = 255  # opaque black is black
    verdict = FrameHealth().judge(frame, 1)
    assert not verdict.ok
    assert "black" in verdict.reason


def test_a_covered_lens_is_black_however_long_the_picture_stays_the_same():
    health = FrameHealth(HealthConfig(frozen_after_s=0.1))
    black = np.zeros((48, 64, 3), np.uint8)
    assert all("black" in health.judge(black, number * PERIOD_NS).reason for number in range(1, 20))


def test_covered_lens_with_noise_and_hot_pixels_is_black():
    frame = noisy(1, level=6)
    frame[::97, ::89] = 255
    assert "black" in FrameHealth().judge(frame, 1).reason


def test_a_dark_room_with_a_lamp_is_not_black():
    frame = noisy(1, level=10)
    frame[100:180, 200:300] = 200
    assert FrameHealth().judge(frame, 1).ok


def test_black_is_judged_by_depth():
    deep = np.full((48, 64), 2000, np.uint16)  # 2000 of 65535 is level 8 of 255
    assert not FrameHealth().judge(deep, 1).ok
    assert FrameHealth().judge(deep * 10, 1).ok


def test_changed_size_is_refused_until_it_is_back():
    health = FrameHealth()
    assert health.judge(noisy(1), 1, "bgr8").ok
    verdict = health.judge(noisy(2, 240, 320), 2, "bgr8")
    assert verdict.reason == "frame changed from 640 x 480 bgr8 to 320 x 240 bgr8 mid-stream"
    assert not health.judge(noisy(3, 240, 320), 3, "bgr8").ok
    assert health.judge(noisy(4), 4, "bgr8").ok


def test_changed_encoding_is_refused_and_reset_accepts_it():
    health = FrameHealth()
    health.judge(noisy(1), 1, "bgr8")
    assert "to 640 x 480 rgb8" in health.judge(noisy(2), 2, "rgb8").reason
    health.reset()
    assert health.judge(noisy(3), 3, "rgb8").ok


def test_changed_type_is_seen_without_an_encoding():
    health = FrameHealth()
    health.judge(noisy(1), 1)
    assert not health.judge(noisy(2).astype(np.uint16) * 257, 2).ok


def test_stamps_must_grow_and_a_jumped_clock_recovers():
    health = FrameHealth()
    assert health.judge(noisy(1), 10 * NS).ok
    assert "repeats" in health.judge(noisy(2), 10 * NS).reason
    assert "1.000 s before" in health.judge(noisy(3), 9 * NS).reason
    assert health.judge(noisy(4), 9 * NS + 1).ok


def test_a_moving_picture_without_noise_is_not_frozen():
    still = noisy(1)
    health = FrameHealth(HealthConfig(frozen_after_s=0.1))
    verdicts = [health.judge(np.roll(still, number, axis=1), number * PERIOD_NS) for number in range(20)]
    assert all(verdict.ok for verdict in verdicts)
