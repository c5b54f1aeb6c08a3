"""Posts, the world among them, and the benchmark of touches."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from mobile_vla.config import with_values
from mobile_vla.control.config import ControllerConfig
from mobile_vla_bench.closed_loop.touches import Trial, drive, drive_all, kinds, metrics_of
from mobile_vla_cli import main
from mobile_vla_sim import posts
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.post_world import PostWorld
from mobile_vla_sim.posts import POST_RADIUS_M, PostLayout, barn_file, generated, layouts
from mobile_vla_sim.scene import Pose

BODY = {"range_guard.use_scan": True, "range_guard.round": True, "range_guard.stop_distance_m": 0.05}
GATE = with_values(
    ControllerConfig(), BODY | {f"range_guard.{edge}": 0.18 for edge in ("half_width_m", "front_m", "rear_m")}
)
QUIET = with_values(SimulatorConfig(), {"lidar.noise_std_m": 0.0, "base.slip_std": 0.0})


def world(places: list[tuple[float, float]], gate: ControllerConfig = GATE, yaw: float = 0.0) -> PostWorld:
    return PostWorld(QUIET, gate.range_guard, PostLayout("one", 1, np.array(places), Pose(0.0, 0.0, yaw)))


def test_rays_meet_posts_where_they_are() -> None:
    unit = world([(1.0, 0.0), (0.0, 2.0), (-9.0, 0.0)])
    ranges = unit.scan()
    assert ranges[180] == pytest.approx(1.0 - POST_RADIUS_M)
    assert ranges[270] == pytest.approx(2.0 - POST_RADIUS_M)
    assert math.isinf(ranges[0]), "beyond the sensor's range"
    half = math.asin(POST_RADIUS_M)
    assert np.count_nonzero(np.isfinite(ranges[100:260])) == 2 * math.floor(math.degrees(half)) + 1
    turned = world([(1.0, 0.0)], yaw=math.pi / 2)
    assert turned.scan()[90] == pytest.approx(1.0 - POST_RADIUS_M)
    assert turned.nearest_bearing_rad == pytest.approx(-math.pi / 2)


@pytest.mark.parametrize(
    ("round_body", "aside", "touched"), [(True, 0.24, True), (True, 0.27, False), (False, 0.27, False)]
)
def test_a_touch_is_the_body_at_a_post(round_body: bool, aside: float, touched: bool) -> None:
    unit = world([(0.6, aside)], with_values(GATE, {"range_guard.round": round_body}))
    for _ in range(40):
        unit.command(0.5, 0.0)
        unit.advance(0.05)
    assert unit.path_m == pytest.approx(0.5 * 2.0, abs=0.15)
    assert (unit.touched_s is not None) is touched
    assert unit.least_gap_m == pytest.approx(aside - 0.18 - POST_RADIUS_M, abs=2e-3)


def test_layouts_are_made_by_a_seed_closed_and_free_where_the_robot_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(posts.SHARED, "/nowhere")
    assert np.array_equal(generated(5), generated(5))
    made = layouts(4, 0.18)
    assert [layout.name for layout in made] == [f"generated {index}" for index in range(4)]
    for layout in made:
        assert 100 < len(layout.posts) < 500
        gap = np.min(np.hypot(*(layout.posts - layout.start[:2]).T)) - POST_RADIUS_M
        assert gap > 0.18
        low, high = layout.posts.min(axis=0), layout.posts.max(axis=0)
        assert all(low < layout.start[:2]) and all(layout.start[:2] < high)


def test_barn_layouts_come_first() -> None:
    if barn_file() is None:
        pytest.skip("there is no shared/data/barn beside the checkout")
    assert [layout.name.split()[0] for layout in layouts(102, 0.18)] == ["barn"] * 100 + ["generated"] * 2


def test_a_run_depends_on_layout_and_driver_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(posts.SHARED, "/nowhere")
    trial = Trial("random", SimulatorConfig(), GATE, count=2, limit_s=3.0)
    assert drive(trial, 1) == drive_all(trial)[1]
    assert kinds(drive_all(trial)) == {"barn": 0, "generated": 2}


def test_touches_fail_the_target() -> None:
    trial = Trial("straight", SimulatorConfig(), GATE, count=1, limit_s=1.0)
    free = drive(trial, 0)
    assert {metric.name: metric.met for metric in metrics_of("straight", [free])}["straight_touches"]
    bad = metrics_of("straight", [free, free._replace(touched_s=0.5)])
    assert (bad[0].value, bad[0].met, bad[1].value) == (1, False, 50.0)


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(posts.SHARED, "/nowhere")
    out = tmp_path / "touches.json"
    arguments = ["sim", "bench", "--suite", "barn", "--drivers", "straight", "--episodes", "1", "--limit-s", "2"]
    assert main([*arguments, "--workers", "1", "--out", str(out), "--json"]) == 0
    captured = capsys.readouterr()
    report = json.loads(out.read_text())
    assert report["executed"]["layouts"] == {"barn": 0, "generated": 1}
    assert {"straight_touches_per_100", "straight_speed_mps"} <= {metric["name"] for metric in report["figures"]}
    assert "shared/data/barn/posts_mm.npz is not beside the checkout" in captured.err
    assert main([*arguments, "--policy", "small"]) == 2
    assert main(["sim", "bench", "--suite", "barn", "--drivers", "expert"]) == 2
