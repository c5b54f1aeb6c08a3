"""People take over, vanish, and give back."""

from __future__ import annotations

import itertools
import math

import pytest
from gate_rig import MS, PERIOD_NS, STOP_S, Rig, speed

from mobile_vla.config import with_values
from mobile_vla.control import STILL, Mode, Velocity


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
    rig.release()
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
    rig.release()
    modes = rig.run(1.0)
    assert (rig.last.mode, rig.last.reason) == (Mode.HOLD, "not_at_rest")
    assert all(command.mode is not Mode.AUTONOMY for command in modes)
    rig.until(Mode.AUTONOMY)
    assert rig.commands[-2].linear_x == 0.0


def hand_back(rig: Rig) -> None:
    """A person drives, stops and gives back: autonomy has just begun."""
    rig.drive()
    rig.stick = Velocity(0.3, 0.0, 0.0)
    rig.run(0.5)
    rig.stick = STILL
    rig.run(1.0)
    rig.release()
    rig.until(Mode.AUTONOMY)


def test_a_hand_over_goes_on_after_an_action_that_was_late(rig: Rig) -> None:
    hand_back(rig)
    begun_ns, shares = rig.steady_ns, rig.config.limits.handover
    wanted, rig.action = rig.action, None
    rig.until(Mode.HOLD, 0.4)
    rig.action = wanted
    before = rig.until(Mode.AUTONOMY, 0.2).linear_x
    assert before > 0.0, "still in motion"
    slopes = []
    while rig.steady_ns - begun_ns < 1000 * MS - 2 * PERIOD_NS:
        slopes.append((rig.tick().linear_x - before) * 30)
        before = rig.last.linear_x
    assert len(slopes) > 9
    assert max(slopes) == pytest.approx(0.5 * shares.accel_share, abs=1e-6)
    rises = [after - before for before, after in itertools.pairwise(slopes)]
    assert max(rises) <= 10.0 * shares.jerk_share / 30 + 1e-6


def test_a_hand_over_does_not_run_on_while_nobody_drives(rig: Rig) -> None:
    hand_back(rig)
    rig.run(0.2)
    wanted, rig.action = rig.action, None
    rig.until(Mode.HOLD, 0.4)
    while rig.tick().linear_x > 0.02:  # nearly at rest: no fresh hand-over begins
        pass
    drove_s = sum(command.mode is Mode.AUTONOMY for command in rig.commands[-40:]) * PERIOD_NS / 1e9
    rig.action = wanted
    rig.until(Mode.AUTONOMY, 0.2)
    reasons = [command.reason for command in rig.run(1.5)]
    assert reasons.count("handover") * PERIOD_NS / 1e9 == pytest.approx(1.0 - drove_s, abs=4 * PERIOD_NS / 1e9)


def test_every_return_from_rest_begins_a_fresh_hand_over(rig: Rig) -> None:
    hand_back(rig)
    rig.run(3.0)
    wanted, rig.action = rig.action, None
    rig.until(Mode.HOLD, 0.4)
    rig.run(2.0)
    assert rig.last.linear_x == 0.0
    rig.action = wanted
    rig.until(Mode.AUTONOMY, 0.2)
    speeds = [rig.last.linear_x, *(command.linear_x for command in rig.run(0.9))]
    steepest = max(after - before for before, after in itertools.pairwise(speeds)) * 30
    assert steepest == pytest.approx(0.5 * rig.config.limits.handover.accel_share, abs=1e-6)


def test_hand_back_keeps_to_the_hand_over_set(rig: Rig) -> None:
    hand_back(rig)
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
    rig.run(1.0)
    assert rig.last.mode is Mode.TELEOP
    rig.stick = None
    rig.run(3.0)
    assert (rig.last.mode, rig.last.reason) == (Mode.HOLD, "teleop_lost"), "neutral is no release"
    rig.release()
    assert rig.until(Mode.AUTONOMY, 1.5)


@pytest.mark.parametrize("way", ["release", "re-arm"])
def test_a_source_that_vanishes_at_rest_holds_until_it_is_released_or_somebody_rearms(rig: Rig, way: str) -> None:
    rig.source = "keyboard"
    rig.drive()
    rig.stick = STILL
    rig.run(2.0)
    rig.stick = None  # SIGKILL: control was neither kept nor given back
    rig.run(10.0)
    assert (rig.last.mode, rig.last.reason, speed(rig)) == (Mode.HOLD, "teleop_lost", 0.0)
    assert rig.gate.teleop_lost == "keyboard"
    if way == "release":
        rig.release()
    else:
        rig.gate.disarm(rig.now)
        rig.tick()
        assert rig.gate.arm(rig.now).ok
    assert rig.until(Mode.AUTONOMY, 1.5)


@pytest.mark.parametrize("stick", [Velocity(0.2, 0.0, 0.0), STILL])
def test_disabling_a_source_that_has_control_holds_until_somebody_rearms(rig: Rig, stick: Velocity) -> None:
    rig.drive()
    rig.stick = stick
    rig.run(1.0)
    rig.gate.reconfigure(with_values(rig.config, {"teleop.joy.enabled": False}))
    assert rig.tick().mode is Mode.HOLD, "at the next tick"
    rig.run(5.0)
    assert (rig.last.mode, rig.last.reason, speed(rig)) == (Mode.HOLD, "teleop_lost", 0.0)
    assert rig.gate.teleop_lost == "joy"
    rig.gate.disarm(rig.now)
    rig.tick()
    assert rig.gate.arm(rig.now).ok
    assert rig.until(Mode.AUTONOMY, 1.5)


def test_a_source_that_was_disabled_in_control_gives_back_by_a_release_once_enabled(rig: Rig) -> None:
    rig.drive()
    rig.stick = Velocity(0.2, 0.0, 0.0)
    rig.run(1.0)
    rig.gate.reconfigure(with_values(rig.config, {"teleop.joy.enabled": False}))
    rig.run(2.0)
    rig.gate.reconfigure(rig.config)
    rig.release()
    assert rig.until(Mode.AUTONOMY, 1.5)


def test_a_source_enabled_with_its_stick_held_drives_only_after_the_stick_was_at_rest(rig: Rig) -> None:
    rig.drive()
    rig.stick = Velocity(0.2, 0.0, 0.0)
    rig.run(1.0)
    rig.gate.reconfigure(with_values(rig.config, {"teleop.joy.enabled": False}))
    rig.run(1.0)
    rig.gate.reconfigure(rig.config)
    rig.run(2.0)
    assert (rig.last.mode, speed(rig)) == (Mode.HOLD, 0.0)
    assert rig.gate.rejections.counts["joy.held"] > 0
    rig.stick = STILL
    rig.run(0.5)
    rig.stick = Velocity(0.2, 0.0, 0.0)
    rig.run(1.0)
    assert rig.last.mode is Mode.TELEOP
    assert speed(rig) > 0.1


def test_disabling_a_source_without_control_changes_nothing(rig: Rig) -> None:
    rig.drive()
    rig.gate.reconfigure(with_values(rig.config, {"teleop.joy.enabled": False}))
    assert (rig.tick().mode, rig.last.reason) == (Mode.AUTONOMY, "ok")


def test_another_persons_release_does_not_speak_for_a_vanished_one(rig: Rig) -> None:
    rig.drive()
    rig.send_stick(STILL, "keyboard")
    rig.run(1.0)
    rig.release()
    rig.run(3.0)
    assert (rig.last.reason, rig.gate.teleop_lost) == ("teleop_lost", "keyboard")


def test_a_sender_that_never_says_released_gives_back_by_a_zero_where_configured(make_rig: type[Rig]) -> None:
    rig = make_rig(teleop__joy__must_release=False)
    rig.drive()
    rig.stick = Velocity(0.2, 0.0, 0.0)
    rig.run(1.0)
    rig.stick = STILL
    rig.run(1.0)
    rig.stick = None
    assert rig.until(Mode.AUTONOMY, 1.5)


def test_a_release_in_motion_is_none(rig: Rig) -> None:
    rig.drive()
    rig.send_stick(Velocity(0.2, 0.0, 0.0), released=True)
    rig.run(3.0)
    assert (rig.last.mode, rig.last.reason) == (Mode.HOLD, "teleop_lost")


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
