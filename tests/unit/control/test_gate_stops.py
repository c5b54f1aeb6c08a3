"""Emergency stop, disarming, range guard, and what else stops the robot."""

from __future__ import annotations

import math

import pytest
from gate_rig import MS, PERIOD_NS, STOP_S, Rig, speed

from mobile_vla.control import STILL, Latched, Mode, Outcome, ScanGeometry, Velocity

CLEAR = ScanGeometry(-math.pi, math.radians(1), 0.1, 10.0)


# emergency stop


@pytest.mark.parametrize("driver", ["policy", "person"])
def test_emergency_stop_is_zero_on_the_next_tick_and_latched(rig: Rig, driver: str) -> None:
    rig.drive(1.0, 0.5)
    if driver == "person":
        rig.stick = Velocity(0.5, 0.0, 0.5)
        rig.run(1.0)
    assert speed(rig) > 0.5
    assert rig.gate.estop("button", rig.now).ok
    assert (rig.tick().mode, speed(rig), rig.last.reason) == (Mode.ESTOP, 0.0, "estop")
    assert rig.gate.estop_cause == "button"
    assert {speed_ for command in rig.run(2.0) for speed_ in (command.linear_x, command.angular_z)} == {0.0}
    assert not rig.gate.arm(rig.now).ok
    assert "button" in rig.gate.arm(rig.now).message


def test_reset_is_late_enough_and_does_not_restart_motion(rig: Rig) -> None:
    rig.drive()
    rig.gate.estop("service", rig.now)
    rig.run(0.4)
    refusal = rig.gate.reset_estop(rig.now)
    assert not refusal.ok
    assert "allowed after 0.5 s" in refusal.message
    rig.run(0.2)
    assert rig.gate.reset_estop(rig.now).ok
    rig.run(2.0)
    assert (rig.last.mode, speed(rig)) == (Mode.DISARMED, 0.0)
    assert rig.gate.arm(rig.now).ok
    rig.until(Mode.AUTONOMY)
    rig.run(1.0)
    assert speed(rig) > 0.2


def test_reset_without_a_stop_is_fine(rig: Rig) -> None:
    assert rig.gate.reset_estop(rig.now).ok


def test_a_pressed_stop_input_latches_and_blocks_the_reset(rig: Rig) -> None:
    rig.drive()
    rig.gate.offer_estop_input(False, rig.now)
    assert rig.tick().mode is Mode.AUTONOMY
    rig.gate.offer_estop_input(True, rig.now)
    rig.run(1.0)
    assert rig.gate.estop_cause == "stop input"
    refusal = rig.gate.reset_estop(rig.now)
    assert not refusal.ok
    assert "still pressed" in refusal.message
    assert rig.tick().mode is Mode.ESTOP
    rig.gate.offer_estop_input(False, rig.now)
    assert rig.tick().mode is Mode.ESTOP
    assert rig.gate.reset_estop(rig.now).ok
    assert rig.tick().mode is Mode.DISARMED


def test_a_stop_input_is_named_and_opened_by_its_own_device_only(rig: Rig) -> None:
    rig.drive()
    rig.gate.offer_estop_writers({"a": "/button", "b": "/bumper"})
    rig.gate.offer_estop_input(True, rig.now, "a")
    rig.gate.offer_estop_input(False, rig.now, "b")
    assert (rig.tick().mode, speed(rig), rig.gate.estop_cause) == (Mode.ESTOP, 0.0, "stop input /button")
    rig.run(1.0)
    assert "still pressed: /button" in rig.gate.reset_estop(rig.now).message
    rig.gate.offer_estop_input(False, rig.now, "a")
    assert rig.gate.reset_estop(rig.now).ok


def test_a_stop_of_another_process_is_latched_at_boot(rig: Rig, make_rig: type[Rig]) -> None:
    rig.gate.estop("service", rig.now)
    latched = rig.gate.latched
    assert latched == Latched("service")
    after = make_rig()
    assert after.gate.latched is None
    after.gate.restore_estop(latched, after.now)
    assert (after.tick().mode, after.gate.estop_cause) == (Mode.ESTOP, "service")
    assert "emergency stop is latched (service)" in after.gate.arm(after.now).message
    after.run(0.6)
    assert after.gate.reset_estop(after.now).ok
    assert after.tick().mode is Mode.DISARMED


def test_a_stop_between_ticks_that_is_reset_at_once_still_disarms(rig: Rig) -> None:
    rig.drive()
    rig.gate.estop("service", rig.now)
    rig.pass_time(600 * MS)
    assert rig.gate.reset_estop(rig.now).ok
    assert (rig.tick().mode, speed(rig)) == (Mode.DISARMED, 0.0)


# disarm, faults, surroundings


def test_disarming_brings_to_rest_within_limits(rig: Rig) -> None:
    rig.drive()
    assert rig.gate.disarm(rig.now) == Outcome(True, "disarmed")
    first = rig.tick()
    assert first.mode is Mode.DISARMED
    assert 0.28 < first.linear_x < 0.3
    rig.run(STOP_S)
    assert speed(rig) == 0.0


def drive_guarded(make_rig: type[Rig], **values: object) -> tuple[Rig, list[float]]:
    rig = make_rig(range_guard__use_scan=True, **values)
    ranges = [math.inf] * 360
    plain_tick = rig.tick

    def tick(period_ns: int = PERIOD_NS) -> object:
        if ranges:
            rig.gate.offer_scan(rig.ros_ns, ranges, CLEAR, rig.now)
        return plain_tick(period_ns)

    rig.tick = tick  # type: ignore[assignment]
    rig.drive()
    return rig, ranges


def test_range_guard_slows_stops_and_lets_go(make_rig: type[Rig]) -> None:
    rig, ranges = drive_guarded(make_rig)
    ranges[180] = 0.64
    rig.run(2.0)
    assert (rig.last.linear_x, rig.last.reason) == (pytest.approx(0.2), "range_slow")
    ranges[180] = 0.3
    rig.run(2.0)
    assert (rig.last.linear_x, rig.last.reason, rig.last.mode) == (0.0, "range_stop", Mode.AUTONOMY)
    ranges[180] = math.inf
    rig.run(2.0)
    assert rig.last.linear_x == 0.3


@pytest.mark.parametrize("guard_teleop", [True, False])
def test_a_dead_scanner_stops_autonomy_and_people_as_configured(make_rig: type[Rig], guard_teleop: bool) -> None:
    rig, ranges = drive_guarded(make_rig, range_guard__guard_teleop=guard_teleop)
    ranges.clear()
    died = rig.run(2.0)
    fault = next(index for index, command in enumerate(died) if command.mode is Mode.FAULT)
    assert (fault + 1) * PERIOD_NS <= 500 * MS + 2 * PERIOD_NS
    assert (rig.last.reason, speed(rig)) == ("range_timeout", 0.0)
    rig.stick = Velocity(0.2, 0.0, 0.0)
    rig.run(1.0)
    assert rig.last.mode is (Mode.FAULT if guard_teleop else Mode.TELEOP)
    rig.release()
    ranges[:] = [math.inf] * 360
    assert rig.until(Mode.AUTONOMY, 2.0)


def test_dead_odometry_stops_autonomy_but_not_people(make_rig: type[Rig]) -> None:
    rig = make_rig(require__odometry=True)
    rig.action = STILL
    for _ in range(30):
        rig.gate.offer_odometry(rig.ros_ns, 0.0, 0.0, rig.now)
        rig.tick()
    assert rig.gate.arm(rig.now).ok
    for _ in range(30):
        rig.gate.offer_odometry(rig.ros_ns, math.nan, 0.0, rig.now)
        rig.tick()
    assert (rig.last.mode, rig.last.reason) == (Mode.FAULT, "odometry_timeout")
    assert rig.gate.rejections.counts["odometry.not_finite"] == 30
    rig.stick = Velocity(0.2, 0.0, 0.0)
    rig.run(1.0)
    assert (rig.last.mode, rig.last.linear_x) == (Mode.TELEOP, 0.2)


def test_a_stop_device_that_cannot_be_heard_stops_and_refuses_arming(rig: Rig) -> None:
    rig.drive()
    sentence = "estop is offered by /button with another quality of service"
    rig.gate.offer_incompatible_inputs({"estop": sentence})
    rig.run(1.5)
    assert (rig.last.mode, rig.last.reason, speed(rig)) == (Mode.FAULT, "incompatible_input", 0.0)
    rig.stick = Velocity(0.2, 0.0, 0.0)
    rig.run(0.5)
    assert (rig.last.mode, speed(rig)) == (Mode.FAULT, 0.0), "people neither"
    rig.release()
    rig.gate.disarm(rig.now)
    assert sentence in rig.gate.arm(rig.now).message
    rig.gate.offer_incompatible_inputs({})
    assert rig.gate.arm(rig.now).ok
    assert rig.until(Mode.AUTONOMY, 1.5)


@pytest.mark.parametrize("fault", [True, False])
def test_a_second_publisher(make_rig: type[Rig], fault: bool) -> None:
    rig = make_rig(output__fault_on_second_publisher=fault)
    rig.drive()
    rig.gate.offer_publishers({"cmd_vel": ["/controller", "/nav"]})
    rig.run(1.5)
    assert rig.last.mode is (Mode.FAULT if fault else Mode.AUTONOMY)
    assert (speed(rig) == 0.0) is fault
    if fault:
        assert rig.last.reason == "second_publisher"
        rig.gate.disarm(rig.now)
        assert "/nav" in rig.gate.arm(rig.now).message
    rig.gate.offer_publishers({"cmd_vel": ["/controller"]})
    assert rig.gate.arm(rig.now).ok
    assert rig.until(Mode.AUTONOMY, 1.0)


@pytest.mark.parametrize("guard_teleop", [True, False])
def test_an_obstacle_stops_people_as_configured(make_rig: type[Rig], guard_teleop: bool) -> None:
    rig, ranges = drive_guarded(make_rig, range_guard__guard_teleop=guard_teleop)
    ranges[180] = 0.3
    rig.stick = Velocity(0.2, 0.0, 0.0)
    rig.run(2.0)
    assert rig.last.mode is Mode.TELEOP
    assert (rig.last.linear_x, rig.last.reason) == ((0.0, "range_stop") if guard_teleop else (0.2, "ok"))
    rig.release()
    rig.until(Mode.AUTONOMY)
    rig.run(1.0)
    assert (rig.last.linear_x, rig.last.reason) == (0.0, "range_stop"), "the policy is guarded in either case"


def test_the_single_range_sensor_guards_too(make_rig: type[Rig]) -> None:
    rig = make_rig(range_guard__use_range=True, require__camera=False)
    rig.tick()
    rig.gate.offer_range(rig.ros_ns, 3.0, 0.05, 4.0, rig.now)
    assert rig.gate.arm(rig.now).ok
    for distance_m, speed_mps in ((3.0, 0.2), (0.3, 0.0)):
        rig.stick = Velocity(0.2, 0.0, 0.0)
        for _ in range(60):
            rig.gate.offer_range(rig.ros_ns, distance_m, 0.05, 4.0, rig.now)
            rig.tick()
        assert rig.last.linear_x == speed_mps
    assert rig.last.ages.range == pytest.approx(PERIOD_NS / 1e9)
