from __future__ import annotations

import math

import pytest

from mobile_vla.config import with_values
from mobile_vla.control import ControllerConfig, Now, ScanGeometry
from mobile_vla.control.clock import Rejected
from mobile_vla.control.health_monitor import HealthMonitor
from mobile_vla.control.range_guard import RangeGuard

MS = 1_000_000


def at(milliseconds: int) -> Now:
    return Now(77 * MS + milliseconds * MS, 1_000_000 * MS + milliseconds * MS)


def monitor(**values: object) -> tuple[HealthMonitor, RangeGuard]:
    config = with_values(ControllerConfig(), {key.replace("__", "."): value for key, value in values.items()})
    guard = RangeGuard(config)
    return HealthMonitor(config, guard), guard


def test_a_policy_has_three_seconds_to_say_another_word() -> None:
    unit, _ = monitor()
    assert unit.policy_age_ns(at(0).steady_ns) is None
    assert "has not reported itself" in unit.policy_refusal(at(0).steady_ns)
    unit.offer_policy_status(True, "running", at(0))
    assert unit.policy_age_ns(at(40).steady_ns) == 40 * MS
    assert unit.policy_refusal(at(3000).steady_ns) == ""
    assert "has not reported itself" in unit.policy_refusal(at(3001).steady_ns)
    unit.offer_policy_status(False, "canary failed", at(4000))
    assert unit.policy_refusal(at(4000).steady_ns) == "the policy is not ready: canary failed"


@pytest.mark.parametrize(("linear", "angular"), [(math.nan, 0.0), (0.0, math.nan), (math.inf, 0.0), (0.0, -math.inf)])
def test_odometry_without_numbers_is_no_sign_of_life(linear: float, angular: float) -> None:
    unit, _ = monitor(require__odometry=True)
    with pytest.raises(Rejected, match=f"odometry reads {linear} m/s, {angular} rad/s") as caught:
        unit.offer_odometry(at(0).ros_ns, linear, angular, at(0))
    assert caught.value.code == "odometry.not_finite"
    assert unit.faults(at(0).steady_ns) == ("odometry_timeout", "")


def test_odometry_lives_half_a_second_and_is_asked_for_only_where_required() -> None:
    for required in (True, False):
        unit, _ = monitor(require__odometry=required)
        unit.offer_odometry(at(0).ros_ns, 0.1, 0.2, at(0))
        assert unit.faults(at(500).steady_ns) == ("", "")
        assert unit.faults(at(501).steady_ns) == ("odometry_timeout" if required else "", "")


@pytest.mark.parametrize(
    ("publishers", "incompatible", "guard_teleop", "expected"),
    [
        (1, "joy", True, ("range_timeout", "range_timeout")),
        (1, "joy", False, ("range_timeout", "")),
        (1, "estop", True, ("incompatible_input", "incompatible_input")),
        (1, "estop", False, ("incompatible_input", "incompatible_input")),
        (2, "estop", True, ("second_publisher", "second_publisher")),
        (2, "joy", False, ("second_publisher", "second_publisher")),
    ],
)
def test_of_several_faults_the_one_that_blocks_teleop_is_named_first(
    publishers: int, incompatible: str, guard_teleop: bool, expected: tuple[str, str]
) -> None:
    unit, _ = monitor(range_guard__use_range=True, range_guard__guard_teleop=guard_teleop, require__odometry=True)
    unit.offer_publishers({"cmd_vel": ["/controller", "/other"][:publishers]})
    unit.incompatible_inputs = {incompatible: "another type"}
    assert unit.faults(at(0).steady_ns) == expected


def test_a_reason_is_told_with_what_it_is_about() -> None:
    unit, guard = monitor(range_guard__use_range=True)
    guard.offer_range(at(0).ros_ns, 1.0, 0.05, 4.0, at(0))
    unit.offer_publishers({"cmd_vel": ["/controller", "/nav"], "action": ["/inference", "/b/inference"]})
    assert unit.detail("second_publisher", at(0).steady_ns) == (
        ": cmd_vel has 2 publishers: /controller, /nav; stop all but one; "
        "action has 2 publishers: /inference, /b/inference; stop all but one"
    )
    assert unit.detail("range_timeout", at(501).steady_ns) == ": range"
    unit.incompatible_inputs = {"estop": "/button sends Bool"}
    assert unit.detail("incompatible_input", at(0).steady_ns) == ": /button sends Bool"
    assert unit.detail("odometry_timeout", at(0).steady_ns) == ""


def test_old_odometry_is_counted_under_its_own_name() -> None:
    unit, _ = monitor()
    with pytest.raises(Rejected, match=r"odometry is 0\.501 s old") as caught:
        unit.offer_odometry(at(0).ros_ns, 0.0, 0.0, at(501))
    assert caught.value.code == "odometry.too_old"


@pytest.mark.parametrize(
    ("topic", "used", "guard_teleop", "expected"),
    [
        ("cmd_vel", {}, True, ("second_publisher", "second_publisher")),
        ("action", {}, True, ("second_publisher", "")),
        ("scan", {"range_guard__use_scan": True}, True, ("second_publisher", "second_publisher")),
        ("scan", {"range_guard__use_scan": True}, False, ("second_publisher", "")),
        ("range", {"range_guard__use_range": True}, True, ("second_publisher", "second_publisher")),
        ("odom", {"require__odometry": True}, True, ("second_publisher", "")),
    ],
)
def test_a_second_publisher_of_an_input_stops_who_relies_on_it(
    topic: str, used: dict[str, bool], guard_teleop: bool, expected: tuple[str, str]
) -> None:
    for values, reasons in ((used, expected), ({**used, "output__fault_on_second_publisher": False}, ("", ""))):
        unit, guard = monitor(range_guard__guard_teleop=guard_teleop, **values)
        guard.offer_range(at(0).ros_ns, 1.0, 0.05, 4.0, at(0))
        guard.offer_scan(at(0).ros_ns, [9.0] * 360, ScanGeometry(0.0, math.tau / 360, 0.1, 10.0), at(0))
        unit.offer_odometry(at(0).ros_ns, 0.1, 0.2, at(0))
        unit.offer_publishers({topic: ["/one"]})
        assert unit.faults(at(0).steady_ns) == ("", "")
        unit.offer_publishers({topic: ["/one", "/other"]})
        assert unit.faults(at(0).steady_ns) == reasons
        assert unit.second_publishers == {topic: f"{topic} has 2 publishers: /one, /other; stop all but one"}
        unit.offer_publishers({"another": []})
        assert unit.faults(at(0).steady_ns) == reasons, "what is not offered stays"
        unit.offer_publishers({topic: ["/other"]})
        assert unit.faults(at(0).steady_ns) == ("", "")


def test_a_second_publisher_of_odometry_that_is_not_required_is_named_and_stops_nobody() -> None:
    unit, _ = monitor()
    unit.offer_publishers({"odom": ["/one", "/other"]})
    assert unit.faults(at(0).steady_ns) == ("", "")
    assert unit.second_publishers == {"odom": "odom has 2 publishers: /one, /other; stop all but one"}
    unit.offer_publishers({"action": ["/one", "/other"]})
    assert unit.faults(at(0).steady_ns) == ("second_publisher", "")
    assert "odom" not in unit.detail("second_publisher", at(0).steady_ns), "a fault names what causes it"


@pytest.mark.parametrize("topic", ["scan", "range"])
def test_publishers_of_an_input_that_is_not_used_do_not_matter(topic: str) -> None:
    unit, _ = monitor()
    unit.offer_publishers({topic: ["/one", "/other"]})
    assert unit.faults(at(0).steady_ns) == ("", "")
    assert unit.second_publishers == {}
