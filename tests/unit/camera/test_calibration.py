"""The standard YAML, every way it can be wrong, and guesses that say they are guesses."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hostile_yaml import HOSTILE

from mobile_vla.camera.calibration import (
    CalibrationError,
    calibration_for,
    load_calibration,
    pinhole_guess,
    uncalibrated,
)
from mobile_vla.camera.config import CameraConfig

STANDARD = {
    "image_width": 640,
    "image_height": 480,
    "camera_name": "front",
    "camera_matrix": {"rows": 3, "cols": 3, "data": [600.5, 0, 320.1, 0, 601.2, 239.7, 0, 0, 1]},
    "distortion_model": "plumb_bob",
    "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.1, -0.2, 0.001, 0.002, 0]},
    "rectification_matrix": {"rows": 3, "cols": 3, "data": [1, 0, 0, 0, 1, 0, 0, 0, 1]},
    "projection_matrix": {"rows": 3, "cols": 4, "data": [598.0, 0, 321.0, 0, 0, 599.0, 240.0, 0, 0, 0, 1, 0]},
}


@pytest.fixture
def write(tmp_path: Path):
    def _write(document: Any):
        file = tmp_path / "front.yaml"
        file.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
        return file

    return _write


def changed(path: str, value: Any):
    document = copy.deepcopy(STANDARD)
    *groups, leaf = path.split(".")
    branch = document
    for group in groups:
        branch = branch[group]
    if value is None:
        del branch[leaf]
    else:
        branch[leaf] = value
    return document


def test_standard_file(write: Any):
    found = load_calibration(write(STANDARD), "front")
    assert (found.width_px, found.height_px, found.camera_name, found.calibrated) == (640, 480, "front", True)
    assert found.k == (600.5, 0, 320.1, 0, 601.2, 239.7, 0, 0, 1)
    assert found.d == (0.1, -0.2, 0.001, 0.002, 0)
    assert found.p[2] == 321.0
    assert found.distortion_model == "plumb_bob"


def test_optional_parts_follow_from_the_camera_matrix(write: Any):
    document = {key: STANDARD[key] for key in STANDARD if key not in ("rectification_matrix", "projection_matrix")}
    found = load_calibration(write(document))
    assert found.r == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert found.p == (600.5, 0, 320.1, 0, 0, 601.2, 239.7, 0, 0, 0, 1, 0)


@pytest.mark.parametrize(("model", "count"), [("rational_polynomial", 8), ("equidistant", 4), ("fisheye", 4)])
def test_other_lenses(write: Any, model: str, count: int):
    document = changed("distortion_model", model)
    document["distortion_coefficients"]["data"] = [0.01] * count
    assert len(load_calibration(write(document)).d) == count


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("image_width", None, "image_width must be a whole number"),
        ("image_width", 0, "image_width must be a whole number"),
        ("image_height", "480", "image_height must be a whole number"),
        ("image_height", True, "image_height must be a whole number"),
        ("camera_matrix", None, "camera_matrix must have 9 numbers"),
        ("camera_matrix.data", [1.0] * 8, "camera_matrix must have 9 numbers"),
        ("camera_matrix.data", [600, 0, 320, 0, float("nan"), 240, 0, 0, 1], "9 finite numbers"),
        ("camera_matrix.data", [600, 0, "mid", 0, 600, 240, 0, 0, 1], "9 finite numbers"),
        ("camera_matrix.data", [-600, 0, 320, 0, 600, 240, 0, 0, 1], "above 0"),
        ("camera_matrix.data", [600, 0, 900, 0, 600, 240, 0, 0, 1], "outside the 640 x 480"),
        ("camera_matrix.data", [600, 0, 0, 0, 600, 0, 320, 240, 1], "transposed"),
        ("distortion_model", "plum_bob", "did you mean 'plumb_bob'"),
        ("distortion_coefficients.data", [0.1] * 3, "distortion_coefficients must have 4 or 5"),
        ("rectification_matrix.data", [2, 0, 0, 0, 1, 0, 0, 0, 1], "not a rotation"),
        ("projection_matrix.data", [0.0] * 12, "projection_matrix must have positive"),
    ],
)
def test_refused(write: Any, path: str, value: Any, sentence: str):
    file = write(changed(path, value))
    with pytest.raises(CalibrationError, match=sentence) as refusal:
        load_calibration(file)
    assert str(file) in str(refusal.value)


def test_a_number_with_an_exponent_is_a_number(write: Any):
    text = yaml.safe_dump(STANDARD).replace("- 0.001\n", "- 1e-3\n")
    assert load_calibration(write(text)).d == (0.1, -0.2, 1e-3, 0.002, 0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("%YAML:1.0\n---\nimage_width: 640\n", "not valid YAML"),
        ("a: [1, 2", "not valid YAML"),
        ("- 1\n- 2\n", "not a mapping"),
        ("", "not a mapping"),
    ],
)
def test_text_that_is_no_calibration(write: Any, text: str, sentence: str):
    with pytest.raises(CalibrationError, match=sentence):
        load_calibration(write(text))


def test_missing_binary_and_folder(tmp_path: Path):
    with pytest.raises(CalibrationError, match="no calibration file"):
        load_calibration(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(CalibrationError, match="not a text file"):
        load_calibration(tmp_path / "binary.yaml")
    with pytest.raises(CalibrationError, match="is a directory, not a file"):
        load_calibration(tmp_path)


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_one_sentence_with_the_file(tmp_path: Path, kind: str):
    file = tmp_path / "front.yaml"
    HOSTILE[kind](file)
    with pytest.raises(CalibrationError) as refusal:
        load_calibration(file)
    assert str(refusal.value).startswith(f"calibration file {file}")
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500


def test_another_cameras_file(write: Any):
    with pytest.raises(CalibrationError, match="for camera 'front', not 'rear'"):
        load_calibration(write(STANDARD), "rear")


def test_another_image_size(write: Any):
    loaded = load_calibration(write(STANDARD))
    assert calibration_for(CameraConfig(), loaded, 640, 480) is loaded
    with pytest.raises(CalibrationError, match="for 640 x 480 images, but the camera gives 1280 x 720"):
        calibration_for(CameraConfig(), loaded, 1280, 720)


def test_pinhole_guess_sees_the_configured_angle_and_is_flagged():
    guess = calibration_for(CameraConfig(horizontal_fov_deg=90.0), None, 640, 480)
    assert not guess.calibrated
    assert (guess.distortion_model, guess.d) == ("", ())
    left, right = (math.degrees(math.atan((u - guess.k[2]) / guess.k[0])) for u in (-0.5, 639.5))
    assert (left, right) == pytest.approx((-45.0, 45.0))
    assert guess.k[0] == guess.k[4] == guess.p[0] == guess.p[5]
    assert guess.k[5] == 239.5


def test_nothing_known_is_all_zeros():
    assert calibration_for(CameraConfig(), None, 640, 480) == uncalibrated(640, 480, "camera")
    assert set(uncalibrated(640, 480).k) == {0.0}


@pytest.mark.parametrize("fov", [0.0, -1.0, 180.0, float("nan")])
def test_impossible_angles(fov: float):
    with pytest.raises(CalibrationError):
        pinhole_guess(640, 480, fov)
