"""Pictures without a display, by both ways to draw them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mobile_vla.config import with_values
from mobile_vla.errors import UserError
from mobile_vla_sim import rendering
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.world import World

SMALL = {"camera.width_px": 160, "camera.height_px": 120}
# PyOpenGL binds one platform per process, so each backend gets its own.
DRAW = """
import hashlib, sys
import numpy as np
from mobile_vla.config import with_values
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.world import World
config = with_values(SimulatorConfig(), {"gl": sys.argv[1], "camera.width_px": 160, "camera.height_px": 120})
with World(config, 3) as world:
    digest, pictures = hashlib.sha256(), []
    for _ in range(3):
        world.command(0.4, 0.5)
        world.advance(0.4)
        pictures.append(world.render().copy())
        digest.update(pictures[-1].tobytes())
    np.save(sys.argv[2], pictures)
    print(world.gl_backend, digest.hexdigest())
"""
WORKS = {"egl": rendering.egl_works, "osmesa": rendering.osmesa_works}


EDGE = 24
"""A backend may be a graphics card: it mixes the colours of an edge's two sides in another proportion."""


def draw(gl: str, pictures: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", DRAW, gl, str(pictures)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == "", "a renderer that is closed leaves no complaint at exit"
    return done.stdout.split()


@pytest.mark.parametrize("gl", ["egl", "osmesa"])
def test_a_backend_draws_the_same_pixels_in_every_process(gl: str, tmp_path: Path) -> None:
    if not WORKS[gl]():
        pytest.skip(f"{gl} is not installed here")
    first, second = draw(gl, tmp_path / "first.npy"), draw(gl, tmp_path / "second.npy")
    assert first == second
    assert first[0] == gl


def test_both_backends_draw_the_same_picture(tmp_path: Path) -> None:
    if not all(works() for works in WORKS.values()):
        pytest.skip("only one of EGL and OSMesa is installed here")
    for gl in WORKS:
        draw(gl, tmp_path / f"{gl}.npy")
    egl, osmesa = (np.load(tmp_path / f"{gl}.npy").astype(int) for gl in WORKS)
    difference = np.abs(egl - osmesa)
    assert difference.mean() < 2
    assert np.mean(difference > EDGE) < 0.01


@pytest.fixture(scope="module")
def world() -> World:
    with World(with_values(SimulatorConfig(), {**SMALL, "scenario": "open_floor"}), 0) as one:
        yield one


def test_the_picture_shows_the_blue_ball_ahead_in_the_middle(world: World) -> None:
    picture = world.render().astype(int)
    assert picture.shape == (120, 160, 3)
    blue = (picture[:, :, 2] > picture[:, :, 0] + 60) & (picture[:, :, 2] > picture[:, :, 1] + 60)
    rows, columns = np.nonzero(blue)
    assert len(rows) > 5
    assert columns.mean() == pytest.approx(79.5, abs=1.0)
    # Tilted down by 8 degrees, the camera has the far floor above the middle row.
    assert rows.mean() < 60


def test_the_ball_moves_left_in_the_picture_when_the_robot_turns_right(world: World) -> None:
    world.reset(0)
    for _ in range(10):
        world.command(0.0, -0.4)
        world.advance(0.05)
    picture = world.render().astype(int)
    columns = np.nonzero(picture[:, :, 2] > np.maximum(picture[:, :, 0], picture[:, :, 1]) + 60)[1]
    assert columns.mean() < 75
    world.reset(0)


def test_depth_is_the_distance_along_the_axis(world: World) -> None:
    depth = world.render_depth()
    assert depth.shape == (120, 160)
    # The floor under the optical axis: height over the sine of the tilt.
    tilt = np.radians(world.config.camera.pitch_down_deg)
    assert depth[59:61, 20:40].mean() == pytest.approx(0.32 / np.sin(tilt), rel=0.03)


def test_the_overview_shows_the_room_from_above(world: World) -> None:
    assert world.render_overview(200, 160).shape == (160, 200, 3)


def test_noise_blur_and_brightness_change_the_picture_reproducibly() -> None:
    def shot(**camera: float) -> np.ndarray:
        values = {**SMALL, **{f"camera.{name}": value for name, value in camera.items()}}
        with World(with_values(SimulatorConfig(), values), 1) as one:
            return one.render()

    clean = shot()
    noisy = shot(noise_std=10.0)
    assert np.array_equal(noisy, shot(noise_std=10.0))
    with World(with_values(SimulatorConfig(), {**SMALL, "camera.noise_std": 10.0}), 1) as one:
        assert not np.array_equal(one.render(), one.render())
    assert np.std(noisy.astype(float) - clean) == pytest.approx(10.0, rel=0.15)
    assert shot(brightness=0.5).mean() == pytest.approx(clean.mean() / 2, rel=0.02)
    assert (
        np.abs(np.diff(shot(blur_px=3.0).astype(int), axis=1)).mean()
        < 0.7 * np.abs(np.diff(clean.astype(int), axis=1)).mean()
    )


@pytest.mark.parametrize("gl", ["auto", "egl", "osmesa"])
def test_without_any_opengl_one_sentence_names_the_packages(gl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "egl_works", lambda: False)
    monkeypatch.setattr(rendering, "osmesa_works", lambda: False)
    with pytest.raises(UserError, match="libegl1 libegl-mesa0 libgl1-mesa-dri, or libosmesa6"):
        rendering.choose_backend(gl)


def test_osmesa_is_taken_where_egl_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "OpenGL", raising=False)
    monkeypatch.setattr(rendering, "egl_works", lambda: False)
    monkeypatch.setattr(rendering, "osmesa_works", lambda: True)
    assert rendering.choose_backend("auto") == "osmesa"


def test_a_closed_renderer_may_be_closed_again(world: World) -> None:
    with World(with_values(SimulatorConfig(), SMALL), 0) as one:
        one.render()
        one.close()
        assert one.render().shape == (120, 160, 3)
