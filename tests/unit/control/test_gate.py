from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from mobile_vla.config import with_values
from mobile_vla.control import STILL, ControllerConfig, Mode, ScanGeometry, Velocity
from mobile_vla.control.envelope import axis_limits
from mobile_vla.control.limits import stopping_time_s

if TYPE_CHECKING:
    from conftest import Rig

MS = 1_000_000
PERIOD_NS = 33_333_333
TICK_MS = 34
CLEAR = ScanGeometry(-math.pi, math.radians(1), 0.1, 10.0)
STOP_S = stopping_time_s(0.5, axis_limits(ControllerConfig())[0], 1 / 30)


def speed(rig: Rig) -> float:
    return abs(rig.last.linear_x) + abs(rig.last.linear_y) + abs(rig.last.angular_z)


# arming


def test_boots_disarmed_and_stays_still_whatever_arrives(rig: Rig) -> None:
    rig.action, rig.stick = Velocity(1.0, 0.0, 1.0), Velocity(0.4, 0.0, 0.4)
    commands = rig.run(3.0)
    assert {(command.mode, command.linear_x, command.angular_z, command.publish) for command in commands} == {
        (Mode.DISARMED, 0.0, 0.0, True)
    }
    assert rig.last.reason == "disarmed"


@pytest.mark.parametrize(
    ("values", "status", "latency_ms", "sentence"),
    [
        ({}, None, 50, "the policy has not reported itself"),
        ({}, False, 50, "the policy is not ready: probe failed"),
        ({}, True, None, "no action from a camera image has arrived"),
        ({"require__odometry": True}, True, 50, "odometry is dead"),
        ({"range_guard__use_scan": True}, True, 50, "a configured range source is dead: scan"),
        (
            {"range_guard__use_range": True},
            True,
            50,
            "dead: range",
        ),
    ],
)
def test_arming_is_refused_with_the_reason(
    make_rig: type[Rig], values: dict[str, object], status: bool | None, latency_ms: int | None, sentence: str
) -> None:
    rig = make_rig(**values)
    rig.status = status
    if latency_ms is not None:
        rig.action, rig.latency_ns = STILL, latency_ms * MS
    rig.run(0.5)
    outcome = rig.gate.arm(rig.now)
    assert not outcome.ok
    assert sentence in outcome.message
    assert rig.tick().mode is Mode.DISARMED


def test_arming_is_refused_once_camera_or_policy_went_silent(rig: Rig) -> None:
    rig.action = STILL
    rig.run(0.5)
    rig.action = None
    rig.run(0.4)
    assert "the newest action's image is 0.4" in rig.gate.arm(rig.now).message
    rig.action, rig.status = STILL, None
    rig.run(3.1)
    assert "the policy has not reported itself" in rig.gate.arm(rig.now).message


def test_arming_is_refused_while_the_picture_is_bad_or_a_stick_is_held(rig: Rig) -> None:
    rig.action = STILL
    rig.run(0.5)
    rig.gate.offer_image_health("camera frozen")
    assert "camera frozen" in rig.gate.arm(rig.now).message
    rig.gate.offer_image_health("")
    rig.stick = Velocity(0.2, 0.0, 0.0)
    rig.tick()
    assert "joy holds a stick" in rig.gate.arm(rig.now).message
    rig.stick = STILL
    rig.tick()
    assert rig.gate.arm(rig.now).ok
    assert rig.gate.arm(rig.now).message == "already armed"


def test_without_requirements_a_person_can_drive_with_no_policy_at_all(make_rig: type[Rig]) -> None:
    rig = make_rig(require__camera=False, require__policy=False)
    rig.status = None
    assert rig.gate.arm(rig.now).ok
    rig.stick = Velocity(0.3, 0.0, 0.0)
    rig.run(2.0)
    assert (rig.last.mode, rig.last.linear_x) == (Mode.TELEOP, 0.3)


def test_only_actions_from_images_after_arming_and_reset_move(rig: Rig) -> None:
    rig.action, rig.latency_ns, rig.answers_resets = Velocity(1.0, 0.0, 0.0), 100 * MS, False
    rig.run(0.5)
    rig.gate.arm(rig.now)
    rig.run(1.0)
    assert (rig.last.mode, rig.last.reason, speed(rig)) == (Mode.HOLD, "policy_reset", 0.0)
    assert rig.last.reset_policy == 1
    rig.gate.policy_was_reset(7, rig.now)
    assert rig.tick().reason == "policy_reset"
    rig.gate.policy_was_reset(1, rig.now)
    waited = [rig.tick() for _ in range(3)]
    assert [command.reason for command in waited] == ["no_action"] * 3
    assert rig.tick().mode is Mode.AUTONOMY


def test_waiting_for_the_reset_can_be_switched_off(make_rig: type[Rig]) -> None:
    rig = make_rig(teleop__wait_for_policy_reset=False)
    rig.answers_resets = False
    assert rig.drive().linear_x == 0.3


@pytest.mark.parametrize("before", ["arming", "release", "hold"])
def test_images_from_before_a_change_never_drive_after_it(make_rig: type[Rig], before: str) -> None:
    rig = make_rig(teleop__wait_for_policy_reset=False, teleop__dwell_s=0.25)
    rig.latency_ns, rig.answers_resets = 200 * MS, False
    if before == "arming":
        rig.action = Velocity(1.0, 0.0, 0.0)
        rig.run(0.5)
        rig.gate.arm(rig.now)
    else:
        rig.drive()
    if before == "release":
        rig.stick = STILL
        rig.run(2.0)
        rig.latency_ns = 290 * MS
    rig.stick = None
    if before == "hold":
        rig.gate.offer_image_health("black")
        rig.tick()
        rig.gate.offer_image_health("")
    change_ros_ns = rig.ros_ns
    assert rig.until(Mode.AUTONOMY, 1.0).action_stamp_ns > change_ros_ns


def test_a_stick_that_vanished_before_arming_does_not_matter(rig: Rig) -> None:
    rig.action = STILL
    rig.send_stick(Velocity(0.4, 0.0, 0.0))
    rig.run(1.0)
    assert rig.gate.arm(rig.now).ok
    assert rig.until(Mode.AUTONOMY, 0.5)


def test_disarming_asks_for_no_reset(rig: Rig) -> None:
    rig.action, rig.answers_resets = STILL, False
    rig.run(0.5)
    rig.gate.arm(rig.now)
    assert rig.tick().reset_policy == 1
    rig.gate.disarm(rig.now)
    assert rig.tick().reset_policy == 0


# autonomy


@pytest.mark.parametrize(
    ("values", "action", "expected"),
    [
        ({}, (1.0, 0.0, -0.5), (0.3, 0.0, -0.4)),
        ({}, (-1.0, 0.0, 0.0), (-0.2, 0.0, 0.0)),
        ({"base__kind": "omni", "action__space": "omni"}, (0.5, -1.0, 0.0), (0.15, -0.3, 0.0)),
        (
            {"base__kind": "ackermann", "action__space": "ackermann"},
            (1.0, 0.0, 0.4),
            (0.3, 0.0, 0.3 * math.tan(0.2) / 0.3),
        ),
        (
            {"base__kind": "ackermann", "action__space": "ackermann", "base__ackermann_output": "angle"},
            (1.0, 0.0, 0.4),
            (0.3, 0.0, 0.2),
        ),
    ],
)
def test_the_policy_drives_every_kind_of_base(
    make_rig: type[Rig], values: dict[str, object], action: tuple[float, float, float], expected: tuple[float, ...]
) -> None:
    rig = make_rig(**values)
    rig.action = Velocity(*action)
    rig.run(0.3)
    assert rig.gate.arm(rig.now).ok
    rig.until(Mode.AUTONOMY)
    rig.run(3.0)
    assert (rig.last.linear_x, rig.last.linear_y, rig.last.angular_z) == pytest.approx(expected)
    assert (rig.last.source, rig.last.action_stamp_ns) == ("policy", rig.ros_ns - 50 * MS)
    assert rig.last.reason == ("limits" if action[0] == -1.0 else "ok")


def test_source_death_ends_in_zero_within_the_stated_time(rig: Rig) -> None:
    rig.drive()
    rig.action = None
    dead_after = rig.run(2.0)
    first_hold = next(index for index, command in enumerate(dead_after) if command.mode is Mode.HOLD)
    zero = next(index for index, command in enumerate(dead_after) if command.linear_x == 0.0)
    # The last action was 50 ms old on arrival and lives 0.3 s after its image.
    assert (first_hold + 1) * PERIOD_NS <= 250 * MS + PERIOD_NS
    assert (zero - first_hold) / 30 <= STOP_S
    assert dead_after[first_hold].reason == "stale_action"
    assert all(command.publish for command in dead_after)


def test_autonomy_recovers_by_itself_when_actions_return(rig: Rig) -> None:
    rig.drive()
    rig.action = None
    rig.run(1.5)
    assert speed(rig) == 0.0
    rig.action = Velocity(1.0, 0.0, 0.0)
    assert rig.until(Mode.AUTONOMY, 0.2)


def test_a_slow_policy_gets_longer_but_never_beyond_the_cap(rig: Rig) -> None:
    rig.latency_ns = 400 * MS
    assert rig.drive().linear_x == 0.3
    rig.action = None
    held = sum(command.mode is Mode.AUTONOMY for command in rig.run(2.0))
    assert held * PERIOD_NS <= 600 * MS


@pytest.mark.parametrize("between", ["hold", "ramp", "interpolate"])
def test_between_inferences_nothing_exceeds_limits_or_the_last_action(make_rig: type[Rig], between: str) -> None:
    rig = make_rig(action__between=between)
    rig.drive()
    rig.action = None
    for index in range(60):
        if index % 6 == 0:
            rig.send_action(Velocity(1.0, 0.0, 0.5))
        rig.tick()
        assert 0.0 <= rig.last.linear_x <= 0.3
    assert rig.last.mode is Mode.AUTONOMY
    assert rig.last.linear_x == pytest.approx(0.3, abs=0.11 if between == "ramp" else 1e-9)


@pytest.mark.parametrize(
    "bad",
    [
        (Velocity(math.nan, 0.0, 0.0), 50, "diff"),
        (Velocity(1.0, 0.0, math.inf), 50, "diff"),
        (Velocity(1e300, 0.0, 0.0), 50, "diff"),
        (Velocity(1.0, 0.0, 0.0), 50, "omni"),
        (Velocity(1.0, 0.0, 0.0), -500, "diff"),
        (Velocity(1.0, 0.0, 0.0), 5000, "diff"),
        (Velocity(1.0, 0.0, 0.0), 1_700_000_000_000 + 10_000_000, "diff"),
    ],
)
def test_bad_actions_are_counted_and_never_move(rig: Rig, bad: tuple[Velocity, int, str]) -> None:
    rig.action = STILL
    rig.run(0.5)
    rig.gate.arm(rig.now)
    rig.action = None
    velocity, age_ms, frame_id = bad
    for _ in range(60):
        rig.send_action(velocity, age_ms * MS, frame_id)
        assert speed(rig) == 0.0
        rig.tick()
    assert sum(rig.gate.rejections.counts.values()) == 60
    assert len(rig.gate.rejections.last) <= 2
    assert rig.last.mode is Mode.HOLD


def test_frozen_picture_counts_as_stale(rig: Rig) -> None:
    rig.drive()
    rig.gate.offer_image_health("camera frozen: 30 identical frames")
    assert (rig.tick().mode, rig.last.reason) == (Mode.HOLD, "image_unhealthy")
    rig.run(STOP_S)
    assert speed(rig) == 0.0
    rig.gate.offer_image_health("")
    assert rig.until(Mode.AUTONOMY, 0.3)


def test_a_policy_that_says_it_is_not_ready_stops(rig: Rig) -> None:
    rig.drive()
    rig.status = False
    assert (rig.tick().mode, rig.last.reason) == (Mode.HOLD, "policy_not_ready")


def test_a_new_instruction_discards_what_was_computed_before(rig: Rig) -> None:
    rig.latency_ns = 100 * MS
    rig.drive()
    rig.gate.instruction_changed(rig.now)
    held = [rig.tick().mode for _ in range(4)]
    assert held[0] is Mode.HOLD
    assert held.count(Mode.HOLD) in (3, 4)
    assert rig.until(Mode.AUTONOMY, 0.2)


# teleop


def test_a_person_takes_over_at_the_next_tick(rig: Rig) -> None:
    rig.drive()
    rig.stick = Velocity(-0.1, 0.0, 0.5)
    command = rig.tick()
    assert (command.mode, command.source, command.target) == (Mode.TELEOP, "joy", Velocity(-0.1, 0.0, 0.5))
    assert command.linear_x < 0.3
    rig.run(2.0)
    assert (rig.last.linear_x, rig.last.angular_z) == (-0.1, 0.5)


def test_a_neutral_stick_takes_over_too_and_stops(rig: Rig) -> None:
    rig.drive()
    rig.stick = STILL
    assert rig.tick().mode is Mode.TELEOP
    rig.run(STOP_S)
    assert speed(rig) == 0.0


def test_autonomy_returns_after_neutral_dwell_reset_and_a_new_image(rig: Rig) -> None:
    rig.drive()
    rig.stick = Velocity(0.2, 0.0, 0.0)
    rig.run(1.0)
    rig.stick = STILL
    rig.run(1.5)
    rig.answers_resets = False
    rig.stick = None
    released_ns = rig.steady_ns
    reasons = [(command.mode, command.reason) for command in (rig.tick() for _ in range(25))]
    assert reasons[0] == (Mode.TELEOP, "ok")
    assert (Mode.HOLD, "dwell") in reasons
    assert reasons[-1] == (Mode.HOLD, "policy_reset")
    rig.gate.policy_was_reset(rig.last.reset_policy, rig.now)
    reset_ros_ns = rig.ros_ns
    command = rig.until(Mode.AUTONOMY, 0.3)
    assert rig.steady_ns - released_ns >= 500 * MS
    assert command.action_stamp_ns > reset_ros_ns


def test_autonomy_waits_until_the_robot_stands(make_rig: type[Rig]) -> None:
    rig = make_rig(limits__linear__decel_mps2=0.1)
    rig.drive()
    rig.stick = STILL
    rig.run(0.2)
    rig.stick = None
    modes = rig.run(1.0)
    assert (rig.last.mode, rig.last.reason) == (Mode.HOLD, "not_at_rest")
    assert all(command.mode is not Mode.AUTONOMY for command in modes)
    rig.until(Mode.AUTONOMY)
    assert rig.commands[-2].linear_x == 0.0


def test_hand_back_keeps_to_the_hand_over_set(rig: Rig) -> None:
    rig.drive()
    rig.stick = Velocity(0.3, 0.0, 0.0)
    rig.run(0.5)
    rig.stick = STILL
    rig.run(1.0)
    rig.stick = None
    rig.until(Mode.AUTONOMY)
    assert rig.last.reason in ("handover", "ok")
    before, slope_before, shares = 0.0, 0.0, rig.config.limits.handover
    for _ in range(29):
        slope = (rig.last.linear_x - before) * 30
        assert 0 <= rig.last.linear_x <= 0.5 * shares.velocity_share + 1e-9
        assert slope <= 0.5 * shares.accel_share + 1e-6
        assert abs(slope - slope_before) <= 10.0 * shares.jerk_share / 30 + 1e-6
        before, slope_before = rig.last.linear_x, slope
        rig.tick()
    assert before > 0.15


def test_a_stick_that_vanishes_held_stops_and_waits_for_a_person(rig: Rig) -> None:
    rig.drive()
    rig.stick = Velocity(0.4, 0.0, 0.0)
    rig.run(2.0)
    rig.stick = None
    vanished = rig.run(3.0)
    stale = next(index for index, command in enumerate(vanished) if command.mode is not Mode.TELEOP)
    assert (stale + 1) * PERIOD_NS <= 250 * MS + PERIOD_NS
    assert next(index for index, command in enumerate(vanished) if command.linear_x == 0.0) <= stale + STOP_S * 30
    assert (rig.last.mode, rig.last.reason) == (Mode.HOLD, "teleop_lost")
    rig.stick = STILL
    rig.tick()
    rig.stick = None
    assert rig.until(Mode.AUTONOMY, 1.5)


def test_rearming_forgives_a_vanished_stick(rig: Rig) -> None:
    rig.drive()
    rig.send_stick(Velocity(0.4, 0.0, 0.0))
    rig.run(3.0)
    assert rig.last.reason == "teleop_lost"
    rig.gate.disarm(rig.now)
    rig.tick()
    assert rig.gate.arm(rig.now).ok
    assert rig.until(Mode.AUTONOMY, 1.0)


def test_a_frozen_pad_stops(rig: Rig) -> None:
    rig.drive()
    rig.stick = Velocity(0.3, 0.0, 0.1)
    rig.run(4.9)
    assert rig.last.mode is Mode.TELEOP
    rig.run(0.3 + STOP_S)
    assert (rig.last.mode, rig.last.reason, speed(rig)) == (Mode.HOLD, "teleop_lost", 0.0)


def test_bad_teleop_neither_moves_nor_keeps_alive(rig: Rig) -> None:
    rig.drive()
    rig.stick = Velocity(0.4, 0.0, 0.0)
    rig.run(1.0)
    rig.stick = Velocity(math.nan, 0.0, 0.0)
    rig.run(0.5 + STOP_S)
    assert (rig.last.mode, speed(rig)) == (Mode.HOLD, 0.0)
    assert rig.gate.rejections.counts["joy.not_finite"] > 10


def test_two_overrides_at_once_the_higher_priority_drives(rig: Rig) -> None:
    rig.drive()
    for _ in range(60):
        rig.send_stick(Velocity(0.4, 0.0, 0.0), "keyboard")
        rig.send_stick(Velocity(0.1, 0.0, 0.0), "joy")
        rig.send_stick(Velocity(0.5, 0.0, 0.0), "web")
        rig.tick()
    assert (rig.last.source, rig.last.linear_x) == ("joy", 0.1)


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
    assert "still pressed" in rig.gate.reset_estop(rig.now).message
    rig.gate.offer_estop_input(False, rig.now)
    assert rig.tick().mode is Mode.ESTOP
    assert rig.gate.reset_estop(rig.now).ok
    assert rig.tick().mode is Mode.DISARMED


def test_a_stop_between_ticks_that_is_reset_at_once_still_disarms(rig: Rig) -> None:
    rig.drive()
    rig.gate.estop("service", rig.now)
    rig.pass_time(600 * MS)
    assert rig.gate.reset_estop(rig.now).ok
    assert (rig.tick().mode, speed(rig)) == (Mode.DISARMED, 0.0)


# disarm, faults, surroundings


def test_disarming_brings_to_rest_within_limits(rig: Rig) -> None:
    rig.drive()
    rig.gate.disarm(rig.now)
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
    assert (rig.last.reason, speed(rig)) == ("range_dead", 0.0)
    rig.stick = Velocity(0.2, 0.0, 0.0)
    rig.run(1.0)
    assert rig.last.mode is (Mode.FAULT if guard_teleop else Mode.TELEOP)
    rig.stick = STILL
    rig.tick()
    rig.stick = None
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
    assert (rig.last.mode, rig.last.reason) == (Mode.FAULT, "odometry_dead")
    assert rig.gate.rejections.counts["odometry.not_finite"] == 30
    rig.stick = Velocity(0.2, 0.0, 0.0)
    rig.run(1.0)
    assert (rig.last.mode, rig.last.linear_x) == (Mode.TELEOP, 0.2)


@pytest.mark.parametrize("fault", [True, False])
def test_a_second_publisher(make_rig: type[Rig], fault: bool) -> None:
    rig = make_rig(output__fault_on_second_publisher=fault)
    rig.drive()
    rig.gate.offer_publisher_count(2)
    rig.run(1.5)
    assert rig.last.mode is (Mode.FAULT if fault else Mode.AUTONOMY)
    assert (speed(rig) == 0.0) is fault
    if fault:
        assert rig.last.reason == "second_publisher"
        rig.gate.disarm(rig.now)
        assert "2 in all" in rig.gate.arm(rig.now).message
    rig.gate.offer_publisher_count(1)
    assert rig.gate.arm(rig.now).ok
    assert rig.until(Mode.AUTONOMY, 1.0)


# clocks


def test_clock_set_back_discards_and_recovers(rig: Rig) -> None:
    rig.drive()
    rig.ros_ns -= 3_600_000_000_000
    first = rig.tick()
    assert first.mode is Mode.HOLD
    assert rig.gate.rejections.counts["clock.set_back"] == 1
    assert rig.until(Mode.AUTONOMY, 0.5)


def test_clock_jump_ahead_makes_nothing_younger(rig: Rig) -> None:
    rig.drive()
    rig.action = None
    rig.ros_ns += 3_600_000_000_000
    rig.run(0.3)
    assert rig.last.mode is Mode.HOLD


def test_paused_simulated_time_stops(rig: Rig) -> None:
    rig.drive()
    frozen = rig.ros_ns
    for _ in range(60):
        rig.tick()
        rig.ros_ns = frozen
    assert (rig.last.mode, speed(rig)) == (Mode.HOLD, 0.0)


def test_a_late_tick_moves_no_further_than_one_on_time(rig: Rig) -> None:
    rig.drive()
    rig.gate.disarm(rig.now)
    rig.tick(2_000_000_000)
    assert 0.3 - rig.last.linear_x <= 1.0 / 30 + 1e-9


# output


def test_silence_only_where_configured_and_only_after_a_second_of_zeros(make_rig: type[Rig]) -> None:
    rig = make_rig(output__idle="silent")
    assert [command.publish for command in rig.run(1.5)].count(True) in (30, 31)
    rig.drive()
    assert rig.last.publish
    rig.action = None
    commands = rig.run(4.0)
    zeros = [command for command in commands if command.publish and command.linear_x == 0.0]
    assert 30 <= len(zeros) <= 32
    assert not commands[-1].publish
    assert all(command.publish for command in commands if command.linear_x != 0.0)
    rig.gate.estop("test", rig.now)
    assert all(command.publish for command in rig.run(3.0))


def test_holding_zero_never_falls_silent(rig: Rig) -> None:
    rig.drive()
    rig.action = None
    assert all(command.publish for command in rig.run(5.0))


def test_every_command_explains_itself(rig: Rig) -> None:
    rig.drive()
    ages = rig.last.ages
    assert ages.action == pytest.approx(0.05)
    assert ages.policy == 0.0
    assert (ages.teleop, ages.scan, ages.range, ages.odometry) == (None, None, None, None)


# run-time changes


def test_new_limits_apply_while_driving(rig: Rig) -> None:
    rig.drive()
    slower = with_values(
        rig.config, {"limits.linear.velocity_mps": 0.1, "action.linear_mps": 0.1, "limits.linear.decel_mps2": 0.3}
    )
    rig.gate.reconfigure(slower)
    before = rig.last.linear_x
    for command in rig.run(2.0):
        assert before - command.linear_x <= 0.3 / 30 + 1e-9
        before = command.linear_x
    assert (rig.last.linear_x, rig.last.mode) == (pytest.approx(0.1), Mode.AUTONOMY)


def test_reconfiguring_keeps_latches(rig: Rig) -> None:
    rig.gate.estop("button", rig.now)
    rig.gate.reconfigure(with_values(rig.config, {"teleop.dwell_s": 2.0}))
    assert rig.tick().mode is Mode.ESTOP
