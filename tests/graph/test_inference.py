"""What the policy's node says about itself while no camera speaks."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from mobile_vla_ros.topics import DIAGNOSTICS


def test_a_camera_that_stays_silent_is_a_warning_but_not_at_once(graph: Any) -> None:
    reports = graph.listen(DIAGNOSTICS)
    graph.start_robot(only=("inference",))

    def said() -> list[tuple[bytes, str]]:
        return [(status.level, status.message) for report in reports for status in report.status]

    warning = (DiagnosticStatus.WARN, "no camera frames arrive on camera/image_raw")
    graph.wait(lambda: warning in said(), what="a warning about the camera")
    waiting = (DiagnosticStatus.OK, "waiting for the first camera frame")
    assert said().index(waiting) < said().index(warning)
