"""Folders and video files: order, pace, end, damage."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_vla.camera.files import FolderSource, PlaybackPacer, VideoFileSource, natural_key
from mobile_vla.camera.source import NS, DamagedFrame, EndOfSource, SourceLost
from mobile_vla.errors import UserError

FRAME_TOLERANCE_NS = 1_000_000


def read_all(source: Any):
    source.open()
    frames = []
    with pytest.raises(EndOfSource) as end:
        while True:
            frames.append(source.read())
    return frames, str(end.value)


def test_folder_in_natural_order_at_its_rate(folder: Path, fake_time: Any, make_picture: Any):
    frames, end = read_all(FolderSource(folder, 10.0, False, fake_time.clock))
    assert len(frames) == 11
    for number, frame in enumerate(frames, start=1):
        np.testing.assert_array_equal(frame.pixels, make_picture(number))
        assert frame.encoding == "bgr8"
    assert set(np.diff([frame.stamp_ns for frame in frames])) == {NS // 10}
    assert re.search("11 images", end)


def test_folder_loops_without_a_gap(folder: Path, fake_time: Any, make_picture: Any):
    source = FolderSource(folder, 10.0, True, fake_time.clock)
    source.open()
    frames = [source.read() for _ in range(25)]
    np.testing.assert_array_equal(frames[22].pixels, make_picture(1))
    assert set(np.diff([frame.stamp_ns for frame in frames])) == {NS // 10}


def test_damaged_image_is_said_and_keeps_its_place_in_time(folder: Path, fake_time: Any):
    (folder / "frame3.png").write_bytes(b"\x89PNG torn")
    (folder / "frame4.png").write_bytes(b"")
    source = FolderSource(folder, 10.0, False, fake_time.clock)
    source.open()
    source.read()
    second = source.read()
    for number in (3, 4):
        with pytest.raises(DamagedFrame, match=rf"frame{number}\.png"):
            source.read()
    assert source.read().stamp_ns - second.stamp_ns == 3 * NS // 10


def test_folder_refusals(tmp_path: Path, fake_time: Any):
    with pytest.raises(UserError, match="no image folder"):
        FolderSource(tmp_path / "missing", 1.0, False, fake_time.clock).check()
    with pytest.raises(UserError, match="holds no images"):
        FolderSource(tmp_path, 1.0, False, fake_time.clock).check()
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="none of the 1 images"):
        FolderSource(tmp_path, 1.0, False, fake_time.clock).check()


def test_folder_that_vanishes_is_lost_not_wrong(folder: Path, fake_time: Any):
    source = FolderSource(folder, 1.0, False, fake_time.clock)
    source.check()
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(SourceLost):
        source.open()


def test_grey_and_deep_images_keep_their_encoding(tmp_path: Path, fake_time: Any):
    import cv2

    cv2.imwrite(str(tmp_path / "1.png"), np.full((4, 5), 7, np.uint8))
    cv2.imwrite(str(tmp_path / "2.png"), np.full((4, 5), 700, np.uint16))
    frames, _ = read_all(FolderSource(tmp_path, 1.0, False, fake_time.clock))
    assert [frame.encoding for frame in frames] == ["mono8", "mono16"]


def test_video_at_its_own_timing(video: Path, fake_time: Any):
    frames, end = read_all(VideoFileSource(video, 30.0, False, fake_time.clock))
    levels = [float(frame.pixels.mean()) for frame in frames]
    assert levels == pytest.approx([20.0 * number for number in range(10)], abs=3)
    assert np.diff([frame.stamp_ns for frame in frames]) == pytest.approx(NS / 20, abs=FRAME_TOLERANCE_NS)
    assert "10 frames" in end


def test_video_loops_at_its_own_timing(video: Path, fake_time: Any):
    source = VideoFileSource(video, 30.0, True, fake_time.clock)
    source.open()
    frames = [source.read() for _ in range(23)]
    assert frames[20].pixels.mean() == pytest.approx(0, abs=3)
    assert frames[21].pixels.mean() == pytest.approx(20, abs=3)
    assert np.diff([frame.stamp_ns for frame in frames]) == pytest.approx(NS / 20, abs=FRAME_TOLERANCE_NS)


@pytest.mark.parametrize(("file_hz", "rate_hz"), [(60, 10.0), (25, 10.0), (25, 30.0), (30, 30.0)])
def test_a_video_is_taken_at_the_configured_rate_at_most(
    capture: Any, fake_time: Any, make_picture: Any, file_hz: int, rate_hz: float
):
    """Frames beyond the rate are dropped, not queued: the film lasts as long as before, and they cost no pixels."""
    seconds, taken = 4, min(file_hz, round(rate_hz))
    opened = capture([make_picture(number % 7) for number in range(file_hz * seconds)])
    shown = iter(range(file_hz * seconds))
    # whole milliseconds, as containers stamp their frames
    opened.get = lambda prop: float(round(next(shown) * 1000 / file_hz)) if prop == 0 else float(file_hz)
    frames, end = read_all(VideoFileSource(Path("clip.mkv"), rate_hz, False, fake_time.clock, opened))
    assert len(frames) == taken * seconds
    assert opened.retrieved == len(frames)
    gaps = np.diff([frame.stamp_ns for frame in frames])
    # each frame lies within one of the file's own from where an even rate would have it
    assert gaps == pytest.approx(NS / min(rate_hz, file_hz), abs=NS / file_hz)
    assert fake_time.now_ns == pytest.approx(seconds * NS, abs=NS / min(rate_hz, file_hz) + FRAME_TOLERANCE_NS)
    assert f"after {file_hz * seconds} frames" in end


def test_a_looping_video_keeps_the_rate_across_its_end(video: Path, fake_time: Any):
    source = VideoFileSource(video, 5.0, True, fake_time.clock)
    source.open()
    stamps = [source.read().stamp_ns for _ in range(12)]
    assert np.diff(stamps) == pytest.approx(NS / 5, abs=FRAME_TOLERANCE_NS)


def test_a_frame_that_was_grabbed_and_cannot_be_decoded_is_damage(capture: Any, fake_time: Any, make_picture: Any):
    opened = capture([make_picture(number) for number in range(3)])
    opened.retrieve = lambda: (False, None)
    source = VideoFileSource(Path("clip.mkv"), 30.0, False, fake_time.clock, opened)
    source.open()
    with pytest.raises(DamagedFrame, match=r"clip\.mkv: frame 1 cannot be decoded"):
        source.read()


def test_uneven_video_timing_is_kept(capture: Any, fake_time: Any, make_picture: Any):
    opened = capture([make_picture(number) for number in range(4)])
    positions = iter([0.0, 100.0, 150.0, 150.0])
    opened.get = lambda prop: next(positions) if prop == 0 else 20.0
    source = VideoFileSource(Path("clip.mkv"), 30.0, False, fake_time.clock, opened)
    frames, _ = read_all(source)
    # The last stamp repeats, which no clock does: the mean rate is used instead.
    assert np.diff([frame.stamp_ns for frame in frames]).tolist() == [NS // 10, NS // 20, NS // 20]


def test_video_refusals(tmp_path: Path, fake_time: Any):
    with pytest.raises(UserError, match="no video file"):
        VideoFileSource(tmp_path / "no.mp4", 30.0, False, fake_time.clock).check()
    fake = tmp_path / "text.mp4"
    fake.write_text("this is not a film")
    with pytest.raises(UserError, match="not a video"):
        VideoFileSource(fake, 30.0, False, fake_time.clock).check()


def test_a_slow_reader_gets_every_frame_later(fake_time: Any):
    pacer = PlaybackPacer(fake_time.clock)
    interval = NS // 10
    due = []
    for busy_s in (0.0, 0.0, 0.35, 0.0, 0.0):
        fake_time.now_ns += round(busy_s * NS)
        pacer.wait(interval)
        due.append(fake_time.now_ns)
    assert due == [0, interval, round(0.45 * NS), round(0.55 * NS), round(0.65 * NS)]


def test_natural_order_examples():
    names = ["f10.png", "f2.png", "F1.png", "a.png", "2.png", "10.png"]
    assert sorted(names, key=natural_key) == ["2.png", "10.png", "a.png", "F1.png", "f2.png", "f10.png"]


@given(st.lists(st.text("ab01²9._", max_size=8)))
def test_natural_order_takes_any_names(names: list[str]):
    ordered = sorted(names, key=natural_key)
    assert sorted(ordered) == sorted(names)


@given(st.lists(st.integers(0, 10**6), unique=True))
def test_natural_order_is_numeric(numbers: list[int]):
    names = sorted((f"img_{number}.png" for number in numbers), key=natural_key)
    assert names == [f"img_{number}.png" for number in sorted(numbers)]
