"""Depth pictures of scenes whose distances are known, and pictures that prove nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from depth_scenes import NOTHING, Camera, metres, millimetres
from hypothesis import assume, given
from hypothesis import strategies as st

from mobile_vla.camera.config import DepthScanConfig
from mobile_vla.camera.depth import DepthError, DepthPicture, DepthScan, Intrinsics

LEVEL = Camera()
BEAMS = 16
LEAST_M, MOST_M = 0.05, 0.5


def config(camera: Camera = LEVEL, **values: Any) -> DepthScanConfig:
    mount = {"height_m": camera.mount_m, "pitch_down_deg": camera.pitch_deg, "low_things_from_m": 20.0}
    return DepthScanConfig(**{**mount, "least_height_m": LEAST_M, "most_height_m": MOST_M, "beams": BEAMS, **values})


class Scanned:
    """One picture's scan."""

    def __init__(self, picture: DepthPicture, camera: Camera = LEVEL, **values: Any) -> None:
        scan = DepthScan(config(camera, **values))
        self.ranges = scan.ranges(picture, camera.intrinsics)
        assert scan.view is not None
        self.view = scan.view
        self.half = scan.view.angle_increment_rad / 2
        self.angles = scan.view.angle_min_rad + scan.view.angle_increment_rad * np.arange(len(self.ranges))


def nearest(*depths: np.ndarray) -> np.ndarray:
    return np.minimum.reduce(depths)


@pytest.mark.parametrize("write", [metres, millimetres])
@pytest.mark.parametrize("pitch_deg", [0.0, 12.0, -8.0])
@pytest.mark.parametrize("distance", [0.5, 1.0, 2.4])
def test_a_wall_is_at_its_distance_in_every_direction(write: Any, pitch_deg: float, distance: float) -> None:
    camera = Camera(pitch_deg=pitch_deg)
    one = Scanned(write(nearest(camera.floor(), camera.plane(0, distance))), camera, zero_is="unknown", range_max_m=5)
    reaches = ~np.isnan(one.ranges)
    assert np.count_nonzero(reaches) >= BEAMS - 4  # a tilted picture is wider at the bottom, where it sees the floor
    for angle, measured in zip(one.angles[reaches], one.ranges[reaches], strict=True):
        low, high = sorted(distance / math.cos(abs(angle) + side * one.half) for side in (-1, 1))
        assert low - 2e-3 <= measured <= high + 2e-3


def test_beams_are_even_and_symmetrical_and_left_is_positive() -> None:
    depth = np.full((LEVEL.height, LEVEL.width), NOTHING)
    depth[:, :8] = 1.0
    one = Scanned(metres(depth))
    assert one.angles[0] == pytest.approx(-one.angles[-1])
    assert one.angles[-1] == pytest.approx(math.atan(31.5 / 48), abs=1e-6)
    near = one.angles[np.isfinite(one.ranges)]
    assert len(near) in (2, 3)
    assert near.min() > 0.45


@pytest.mark.parametrize("mount_m", [0.1, 0.3, 0.9])
@pytest.mark.parametrize("pitch_deg", [0.0, 15.0])
def test_a_floor_alone_is_clear(mount_m: float, pitch_deg: float) -> None:
    camera = Camera(mount_m=mount_m, pitch_deg=pitch_deg)
    assert np.isposinf(Scanned(metres(camera.floor()), camera).ranges[BEAMS // 4 : -BEAMS // 4]).all()
    too_high = replace(camera, mount_m=mount_m + 0.2)
    raised = Scanned(metres(camera.floor()), too_high).ranges  # the same picture from higher up is a table's top
    assert np.isfinite(raised).any()


def test_pitch_is_honoured() -> None:
    camera = Camera(pitch_deg=10.0)
    wrong = Scanned(metres(camera.floor()), replace(camera, pitch_deg=0.0)).ranges
    assert np.isfinite(wrong[BEAMS // 2])


def test_a_ceiling_and_what_hangs_from_it_are_passed_under() -> None:
    scene = nearest(LEVEL.floor(), LEVEL.plane(2, 0.6), LEVEL.box((0.9, -1, 0.52), (1.1, 1, 0.6)))
    assert np.isposinf(Scanned(metres(scene)).ranges).all()
    lower = nearest(scene, LEVEL.box((0.9, -1, 0.45), (1.1, 1, 0.6)))
    assert Scanned(metres(lower)).ranges[BEAMS // 2] == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("pitch_deg", [0.0, 10.0])
def test_a_box_is_where_it_is(pitch_deg: float) -> None:
    camera = Camera(pitch_deg=pitch_deg, width=160, height=120, focal=120.0)
    scene = nearest(camera.floor(), camera.plane(0, 2.5), camera.box((1.0, 0.1, 0.0), (1.4, 0.3, 0.2)))
    one = Scanned(metres(scene), camera, beams=60)
    left, right = math.atan2(0.3, 1.0), math.atan2(0.1, 1.4)
    for angle, measured in zip(one.angles, one.ranges, strict=True):
        if right + 2 * one.half < angle < left - 2 * one.half:
            corner = math.atan2(0.1, 1.0)
            assert measured == pytest.approx(
                1.0 / math.cos(angle) if angle > corner else 0.1 / math.sin(angle), abs=0.06
            )
        elif abs(angle) < 0.4 and not right - 2 * one.half < angle < left + 2 * one.half:
            assert measured == pytest.approx(2.5 / math.cos(angle), abs=0.05)


@given(
    x=st.floats(0.35, 2.6),
    y=st.floats(-1.5, 1.5),
    z=st.floats(LEAST_M, MOST_M),
    pitch_deg=st.floats(-10.0, 20.0),
    mount_m=st.floats(0.08, 0.8),
    off_centre=st.floats(-4.0, 4.0),
)
def test_no_point_among_obstacles_is_missed_or_farther_than_it_is(  # noqa: PLR0917
    x: float, y: float, z: float, pitch_deg: float, mount_m: float, off_centre: float
) -> None:
    camera = Camera(mount_m=mount_m, pitch_deg=pitch_deg, off_centre=off_centre)
    place = camera.seen_at(x, y, z)
    assume(place is not None)
    assert place is not None
    row, column, depth = place
    assume(depth > 0.31 and math.hypot(x, y) < 2.9)
    half_pixel_m = 0.5 * depth / camera.focal
    assume(LEAST_M + 1.1 * half_pixel_m <= z <= MOST_M - 1.1 * half_pixel_m)
    picture = np.full((camera.height, camera.width), NOTHING)
    picture[row, column] = depth
    one = Scanned(metres(picture), camera, range_max_m=3.0)
    distance, bearing = math.hypot(x, y), math.atan2(y, x)
    (found,) = np.flatnonzero(np.isfinite(one.ranges))
    assert abs(one.ranges[found] - distance) <= 1.5 * half_pixel_m
    assert abs(one.angles[found] - bearing) <= one.half + 1.5 * half_pixel_m / distance


@given(row=st.integers(0, 47), column=st.integers(0, 63), depth=st.floats(0.3, 2.0), pitch_deg=st.floats(-10.0, 20.0))
def test_a_pixel_is_never_read_farther_than_it_is(row: int, column: int, depth: float, pitch_deg: float) -> None:
    camera = Camera(pitch_deg=pitch_deg)
    x, y, z = np.array([0, 0, camera.mount_m]) + depth * camera.rays()[row, column]
    assume(LEAST_M + 1e-4 < z < MOST_M - 1e-4 and math.hypot(x, y) < 2.9)
    scene = nearest(camera.floor(), camera.plane(0, 2.95))
    scene[row, column] = depth
    one = Scanned(metres(scene), camera)
    beam = int(np.argmin(np.abs(one.angles - math.atan2(y, x))))
    assert one.ranges[beam] <= math.hypot(x, y) + 1e-5


def test_unmeasured_directions_are_never_clear() -> None:
    for value in (np.nan, 0.0):
        scene = np.full((LEVEL.height, LEVEL.width), NOTHING)
        scene[:, 20:44] = value
        ranges = Scanned(metres(scene), zero_is="unknown").ranges
        assert np.isnan(ranges[6:10]).all()
        assert np.isposinf(ranges[:4]).all()
    assert np.isnan(Scanned(metres(np.full((48, 64), np.nan))).ranges).all()
    assert np.isnan(Scanned(metres(np.zeros((48, 64))), zero_is="unknown").ranges).all()


def test_zero_is_near_unless_told_otherwise() -> None:
    scene = np.full((LEVEL.height, LEVEL.width), 2.0)
    scene[:, 26:38] = 0.0
    for write in (millimetres, metres):
        ranges = Scanned(write(scene)).ranges
        assert ranges[7:9] == pytest.approx([0.02, 0.02])
        assert ranges[[0, 4, 11, 15]].min() > 1.99
        assert np.isnan(Scanned(write(scene), zero_is="unknown").ranges[7:9]).all()
    scene[:, ::3] = 0.0  # here and there, as every depth camera does
    assert Scanned(millimetres(scene)).ranges[[0, 4, 11, 15]].min() > 1.99


@pytest.mark.parametrize("depth", [0.29, 0.05, 1e-6, -1.0, -math.inf])
def test_one_pixel_too_near_is_an_obstacle_at_once(depth: float) -> None:
    scene = np.full((LEVEL.height, LEVEL.width), 2.0)
    scene[20, 32] = depth
    ranges = Scanned(metres(scene), range_min_m=0.03).ranges
    assert ranges.min() == pytest.approx(0.03)
    assert np.count_nonzero(ranges < 1.9) == 1


def test_no_beam_reads_less_than_the_scan_can_say() -> None:
    camera = Camera(height=160, mount_m=0.5, pitch_deg=20.0)
    scene = np.full((160, 64), np.inf)
    scene[159, 32] = 0.2  # at one's feet: 0.07 m ahead
    for least in (0.0, 0.1):
        ranges = Scanned(metres(scene), camera, nearest_m=0.1, range_min_m=least).ranges
        assert np.nanmin(ranges) == pytest.approx(max(least, 0.075), abs=2e-3)


@pytest.mark.parametrize(("share", "clear"), [(0.3, False), (0.7, True)])
def test_a_beam_may_miss_only_so_many_of_its_pixels(share: float, clear: bool) -> None:
    scene = np.full((LEVEL.height, LEVEL.width), NOTHING)
    scene[::2] = np.nan
    ranges = Scanned(metres(scene), most_unmeasured_share=share).ranges
    assert np.isposinf(ranges).all() if clear else np.isnan(ranges).all()
    scene[25] = 1.0
    assert np.isfinite(Scanned(metres(scene), most_unmeasured_share=share).ranges).all()  # what was measured counts


def test_infinity_is_far_and_farther_than_asked_is_clear() -> None:
    assert np.isposinf(Scanned(metres(np.full((48, 64), np.inf))).ranges).all()
    assert np.isposinf(Scanned(metres(np.full((48, 64), 3.1)), range_max_m=3.0).ranges).all()


def test_the_sides_of_a_tilted_picture_are_limited_to_their_range() -> None:
    camera = Camera(pitch_deg=20.0)
    one = Scanned(metres(np.full((48, 64), np.inf)), camera)
    assert np.isnan(one.ranges[[0, -1]]).all()
    assert np.isposinf(one.ranges[BEAMS // 2])
    assert one.view.short_sighted == np.count_nonzero(np.isnan(one.ranges))
    scene = np.full((48, 64), np.inf)
    scene[47, 0] = 0.25
    assert np.isfinite(Scanned(metres(scene), camera, nearest_m=0.2).ranges[-1])


@pytest.mark.parametrize("off_centre", [-8.0, 8.0])
def test_directions_beyond_an_off_centre_picture_are_unknown(off_centre: float) -> None:
    camera = Camera(off_centre=off_centre)
    one = Scanned(metres(camera.plane(0, 1.0)), camera)
    assert one.angles[0] == pytest.approx(-one.angles[-1])
    dark = one.ranges[::-1] if off_centre < 0 else one.ranges  # its centre to the right: more is seen of the left
    assert np.isnan(dark[:2]).all()
    assert np.isfinite(dark[4:]).all()


def test_steps_use_fewer_pixels_of_the_same_geometry() -> None:
    scene = nearest(LEVEL.floor(), LEVEL.plane(0, 1.5))
    one = Scanned(metres(scene), row_step=3, column_step=2)
    assert one.ranges[BEAMS // 2] == pytest.approx(1.5, abs=0.01)
    scene[1::3] = 0.4  # rows that are not looked at
    assert Scanned(metres(scene), row_step=3, column_step=2).ranges == pytest.approx(one.ranges)


def test_low_things_must_be_seen_near_enough() -> None:
    bottom = 23.5 / 48
    from_m = 0.25 / bottom
    view = Scanned(metres(LEVEL.floor()), low_things_from_m=from_m + 0.01).view
    assert view.low_things_seen_from_m == pytest.approx(from_m, rel=1e-3)
    with pytest.raises(DepthError, match=r"low things are in the depth picture from 0.51 m on, wanted from 0.5 m"):
        Scanned(metres(LEVEL.floor()), low_things_from_m=0.5)
    tilted = Camera(pitch_deg=10.0)
    assert Scanned(metres(tilted.floor()), tilted).view.low_things_seen_from_m == pytest.approx(
        0.25 / math.tan(math.radians(10) + math.atan(bottom)), rel=1e-3
    )
    up = Camera(pitch_deg=-30.0)
    with pytest.raises(DepthError, match="low things are in the depth picture from inf m on"):
        Scanned(metres(up.floor()), up, range_max_m=0.4, zero_is="unknown")


def test_padding_and_byte_order() -> None:
    pixels = np.ascontiguousarray(LEVEL.plane(0, 1.2), np.float32)
    padded = np.zeros((48, 70), np.float32)
    padded[:, :64] = pixels
    expected = Scanned(metres(pixels)).ranges
    for picture in (
        DepthPicture(padded.tobytes(), 48, 64, 280, "32FC1"),
        DepthPicture(padded.astype(">f4").tobytes(), 48, 64, 280, "32FC1", True),
    ):
        assert Scanned(picture).ranges == pytest.approx(expected)


GOOD = metres(LEVEL.plane(0, 1.0))
K = LEVEL.intrinsics.k


@pytest.mark.parametrize(
    ("picture", "intrinsics", "code", "sentence"),
    [
        (GOOD._replace(encoding="rgb8"), LEVEL.intrinsics, "encoding", "16UC1 .* or 32FC1 .*, got 'rgb8'"),
        (GOOD._replace(encoding="mono16"), LEVEL.intrinsics, "encoding", "got 'mono16'"),
        (GOOD, None, "no_info", "camera_info has not come"),
        (
            GOOD,
            LEVEL.intrinsics._replace(width_px=32),
            "size",
            "is for 32 x 48 pixels and the depth picture has 64 x 48",
        ),
        (GOOD._replace(step=255), LEVEL.intrinsics, "damaged", "bytes, got 12288|step 255 is too small"),
        (GOOD._replace(step=100, data=b"\0" * 4800), LEVEL.intrinsics, "damaged", "step 100 is too small"),
        (GOOD._replace(data=GOOD.data[:-5]), LEVEL.intrinsics, "damaged", "needs 12288 bytes of data, got 12283"),
        (GOOD._replace(data=bytes(GOOD.data) + b"\0"), LEVEL.intrinsics, "damaged", "got 12289"),
        (GOOD, LEVEL.intrinsics._replace(k=(0.0,) * 9), "intrinsics", "focal lengths 0 and 0; calibrate"),
        (GOOD, LEVEL.intrinsics._replace(k=()), "intrinsics", "no intrinsics; calibrate"),
        (GOOD, LEVEL.intrinsics._replace(k=(math.nan, *K[1:])), "intrinsics", "focal lengths nan"),
        (GOOD, LEVEL.intrinsics._replace(k=(*K[:2], 900.0, *K[3:])), "intrinsics", r"centre at \(900, 23.5\), outside"),
    ],
)
def test_unusable_pictures_are_refused(
    picture: DepthPicture, intrinsics: Intrinsics | None, code: str, sentence: str
) -> None:
    scan = DepthScan(config())
    with pytest.raises(DepthError, match=sentence) as refused:
        scan.ranges(picture, intrinsics)
    assert refused.value.code == code
    assert scan.form is None
    assert np.isfinite(scan.ranges(GOOD, LEVEL.intrinsics)).all()  # it recovers


@pytest.mark.parametrize(
    ("camera", "write"),
    [(replace(LEVEL, width=60), metres), (LEVEL, millimetres), (replace(LEVEL, focal=50.0), metres)],
)
def test_another_form_mid_stream_is_refused_until_the_first_is_back(camera: Camera, write: Any) -> None:
    scan = DepthScan(config())
    first = scan.ranges(GOOD, LEVEL.intrinsics)
    with pytest.raises(DepthError, match="changed from 64 x 48 32FC1") as refused:
        scan.ranges(write(camera.plane(0, 1.0)), camera.intrinsics)
    assert refused.value.code == "changed"
    assert scan.ranges(GOOD, LEVEL.intrinsics) == pytest.approx(first)


@pytest.mark.parametrize(
    ("camera", "values", "sentence"),
    [
        (Camera(pitch_deg=60.0), {}, "straight ahead the depth camera sees obstacles up to 0.37 m only"),
        (Camera(mount_m=2.0), {"range_max_m": 2.0}, "no pixel .* looks at the height of obstacles"),
        (LEVEL, {"beams": 200}, "200 beams are too many for 64 columns .* lower beams to about 21"),
    ],
)
def test_a_mount_that_leaves_low_obstacles_unseen_is_refused(
    camera: Camera, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DepthError, match=sentence):
        Scanned(metres(np.full((48, 64), 1.0)), camera, **values)


def test_a_frozen_camera_gives_no_scan_until_its_picture_moves() -> None:
    scan = DepthScan(config(frozen_after_s=0.5))
    period_ns = 66_000_000
    for number in range(8):
        scan.ranges(GOOD, LEVEL.intrinsics, number * period_ns)
    with pytest.raises(DepthError, match="frozen: 9 identical pictures") as refused:
        scan.ranges(GOOD, LEVEL.intrinsics, 8 * period_ns)
    assert refused.value.code == "frozen"
    moved = np.full((48, 64), 1.0)
    moved[8, 8] = 1.001
    assert np.isfinite(scan.ranges(metres(moved), LEVEL.intrinsics, 9 * period_ns)).all()
    unchecked = DepthScan(config(frozen_after_s=0.0))
    for number in range(20):
        unchecked.ranges(GOOD, LEVEL.intrinsics, number * period_ns)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_picture_of_nothing_is_not_frozen(value: float) -> None:
    scan = DepthScan(config(frozen_after_s=0.5))
    for number in range(20):
        ranges = scan.ranges(metres(np.full((48, 64), value)), LEVEL.intrinsics, number * 66_000_000)
    assert len(ranges) == BEAMS
