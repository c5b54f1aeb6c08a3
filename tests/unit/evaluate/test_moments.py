"""The video of an evaluation: where the robot went and why, from the recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mobile_vla.bags.align import AlignedFrame
from mobile_vla.bags.types import BagFrame, BagMode, BagOdometry
from mobile_vla.evaluate.moments import EvaluationVideo
from mobile_vla.evaluate.rollout import RolloutFrame
from mobile_vla.evaluate.video import _MEASURED, Caption, Overlay

PICTURE = np.zeros((48, 64, 3), np.uint8)
STATE = {"mode": "teleop", "source": "expert", "reason": "limits"}


def moment(t: float, x_m: float) -> RolloutFrame:
    at_ns = round(t * 1e9)
    sample = AlignedFrame(
        BagFrame(at_ns, at_ns, "/camera", "rgb8", 48, 64, 192, False, b""),
        None,
        None,
        BagMode(at_ns, at_ns, "/controller/state", 0, "", STATE),
        BagOdometry(at_ns, at_ns, "/odom", x_m, 0.0, 0.0, 0.2, 0.0, 0.0),
    )
    return RolloutFrame(t, PICTURE, "go", (0.2, 0.0), [(0.2, 0.0)], [(0.5, 0.0)], sample)


def test_path_and_reason_are_the_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Caption] = []
    draw = Overlay.draw

    def note(self: Overlay, rgb: np.ndarray, caption: Caption) -> np.ndarray:
        shown.append(caption._replace(path=list(caption.path)))
        return draw(self, rgb, caption)

    monkeypatch.setattr(Overlay, "draw", note)
    video = EvaluationVideo(tmp_path / "eval.mp4", (0.3, 0.8))
    for t, x_m in ((0.0, 0.0), (0.1, 0.5), (0.2, 1.0), (9.0, 0.0)):
        video(moment(t, x_m))
    video.close()
    assert shown[2].path == [(0.0, 0.0), (0.5, 0.0), (1.0, 0.0)]
    assert shown[3].path == [(0.0, 0.0)]  # the next episode begins anew
    assert (shown[2].source, shown[2].reason) == ("expert", "velocity, acceleration or jerk limit")


def test_a_path_that_is_not_known_ahead_fills_the_panel() -> None:
    path = [(10.0, 0.0), (14.0, 0.0)]
    picture = Overlay().draw(PICTURE, Caption(0.0, path=path))
    panel = picture[326:472, -320:]
    columns = np.flatnonzero((panel == _MEASURED).all(axis=2).any(axis=0))
    assert columns.max() - columns.min() > 100
