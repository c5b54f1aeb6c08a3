"""Clocks that jump, silence, explanations, changes at run time."""

from __future__ import annotations

import pytest
from gate_rig import MS, PERIOD_NS, START_ROS_NS, Rig, speed

from mobile_vla.config import with_values
from mobile_vla.control import STILL, Mode, Outcome, Velocity

SILENCE_NS = 250 * MS
"""The longest time between two ticks that is no gap."""

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
    rig.tick(SILENCE_NS)
    assert 0.3 - rig.last.linear_x <= 1.0 / 30 + 1e-9


# gaps between ticks: the process was stopped, the computer suspended


def test_after_a_gap_motion_restarts_from_rest_with_a_new_action(rig: Rig) -> None:
    before_gap = rig.drive()
    stopped_ros_ns = rig.ros_ns
    rig.pass_time(SILENCE_NS)
    first = rig.tick()
    assert (first.mode, speed(rig), first.publish) == (Mode.HOLD, 0.0, True)
    assert rig.gate.rejections.counts["clock.gap"] == 1
    resumed = rig.until(Mode.AUTONOMY, 1.0)
    assert resumed.action_stamp_ns > stopped_ros_ns + SILENCE_NS
    assert 0.0 <= resumed.linear_x <= 10.0 / 900 + 1e-9, "one step of the jerk limit from rest"
    rig.run(3.0)
    assert rig.last.linear_x == before_gap.linear_x


def test_a_slow_policys_action_from_before_a_gap_does_not_move_the_robot(rig: Rig) -> None:
    rig.latency_ns = 400 * MS  # known before arming, so an action lives for 1 s
    rig.drive()
    rig.action = None
    rig.pass_time(2 * SILENCE_NS)
    rig.send_action(Velocity(1.0, 0.0, 0.0), 2 * SILENCE_NS + 200 * MS)  # was waiting in the queue
    commands = rig.run(1.0)
    assert {(command.mode, command.linear_x) for command in commands} == {(Mode.HOLD, 0.0)}


@pytest.mark.parametrize("waits_in_the_queue", [True, False])
def test_a_persons_command_from_before_a_gap_does_not_move_the_robot(rig: Rig, waits_in_the_queue: bool) -> None:
    rig.drive()
    rig.stick = Velocity(0.3, 0.0, 0.0)
    rig.run(1.0)
    stick, rig.stick = rig.stick, None
    rig.pass_time(SILENCE_NS)
    if waits_in_the_queue:
        rig.gate.offer_teleop("joy", rig.ros_ns - 100 * MS, stick, rig.now)
    first = rig.tick()
    assert (first.mode, first.reason, speed(rig)) == (Mode.HOLD, "teleop_lost", 0.0)
    rig.gate.offer_teleop("joy", rig.ros_ns - 50 * MS, stick, rig.now)  # sent while the controller did not run
    assert rig.tick().mode is Mode.HOLD
    assert rig.gate.rejections.counts["joy.before_gap"] == 1
    rig.stick = stick
    assert rig.tick().mode is Mode.TELEOP, "a person who holds the stick goes on, from rest"
    assert rig.last.linear_x <= 10.0 / 900 + 1e-9


def test_a_release_sent_during_a_gap_counts(rig: Rig) -> None:
    rig.drive()
    rig.stick = Velocity(0.3, 0.0, 0.0)
    rig.run(1.0)
    rig.stick = None
    rig.pass_time(SILENCE_NS)
    rig.tick()
    rig.gate.offer_teleop("joy", rig.ros_ns - 100 * MS, STILL, rig.now, released=True)
    assert rig.until(Mode.AUTONOMY, 1.5)


def test_a_long_gap_disarms_and_a_short_one_does_not(rig: Rig) -> None:
    rig.drive()
    rig.tick(5_000 * MS)
    assert rig.last.mode is Mode.HOLD
    rig.until(Mode.AUTONOMY)
    rig.tick(5_001 * MS)
    assert (rig.last.mode, speed(rig)) == (Mode.DISARMED, 0.0)
    assert "did not run for 5.0 s until just now" in rig.gate.arm(rig.now).message
    rig.run(1.0)
    assert rig.gate.arm(rig.now).ok


def test_a_request_to_arm_that_waited_out_a_gap_is_refused(rig: Rig) -> None:
    rig.action = STILL
    rig.run(0.5)
    rig.pass_time(10_000 * MS)
    assert "did not run for the last 10.0 s; ask again" in rig.gate.arm(rig.now).message


def test_zeros_are_sent_after_a_gap_even_where_silence_is_configured(make_rig: type[Rig]) -> None:
    rig = make_rig(output__idle="silent")
    rig.drive()
    rig.action = None
    rig.tick(60_000 * MS)
    assert (rig.last.publish, speed(rig)) == (True, 0.0)


def test_an_emergency_stop_is_kept_over_a_gap(rig: Rig) -> None:
    rig.drive()
    rig.gate.estop("test", rig.now)
    rig.tick(60_000 * MS)
    assert (rig.last.mode, speed(rig)) == (Mode.ESTOP, 0.0)


def test_the_clock_set_ahead_by_an_hour_is_said_and_driving_resumes_with_new_stamps(rig: Rig) -> None:
    rig.drive()
    rig.ros_ns += 3_600_000 * MS
    rig.tick()
    assert rig.gate.rejections.last["clock.stepped_forward"] == "ROS time stepped forward 3600.000 s"
    assert rig.until(Mode.AUTONOMY, 0.5)


@pytest.mark.parametrize("step_ms", [3_600_000, -3_600_000, 90, -90])
def test_a_person_drives_on_when_the_clock_is_set(rig: Rig, step_ms: int) -> None:
    """All clocks are this computer's; commands that are stamped before the last one are refused meanwhile."""
    rig.drive()
    rig.stick = Velocity(0.3, 0.0, 0.0)
    rig.run(2.0)
    rig.ros_ns += step_ms * MS
    commands = rig.run(1.0)
    assert {(command.mode, command.linear_x) for command in commands} == {(Mode.TELEOP, 0.3)}


def test_paused_simulated_time_stops_a_person_too_and_driving_goes_on_after_it(rig: Rig) -> None:
    rig.drive()
    rig.stick = Velocity(0.3, 0.0, 0.0)
    rig.run(1.0)
    paused_ns = rig.ros_ns
    for _ in range(60):
        rig.ros_ns = paused_ns - PERIOD_NS
        rig.tick()
    assert (rig.last.mode, rig.last.reason, speed(rig)) == (Mode.HOLD, "teleop_lost", 0.0)
    rig.run(2.0)
    assert (rig.last.mode, rig.last.linear_x) == (Mode.TELEOP, 0.3)


def test_without_simulated_time_nothing_moves(rig: Rig) -> None:
    rig.drive()
    for _ in range(60):
        rig.ros_ns = -PERIOD_NS
        rig.tick()
    assert (rig.last.mode, speed(rig)) == (Mode.HOLD, 0.0)
    rig.ros_ns = START_ROS_NS
    assert rig.until(Mode.AUTONOMY, 0.5)


def test_an_invalidation_on_a_clock_that_was_ahead_does_not_outlast_it(rig: Rig) -> None:
    rig.drive()
    rig.ros_ns += 3_600_000 * MS
    rig.tick()
    rig.gate.instruction_changed(rig.now)
    rig.tick()
    rig.ros_ns -= 3_600_000 * MS
    rig.tick()
    assert rig.until(Mode.AUTONOMY, 0.5)


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
    rig.stick = STILL
    rig.tick()
    rig.stick = None
    assert rig.tick().ages.teleop == pytest.approx(PERIOD_NS / 1e9)
    assert (rig.last.source, rig.last.action_stamp_ns) == ("joy", 0)
    rig.run(1.0)
    assert (rig.last.source, rig.last.target, rig.last.action_stamp_ns) == ("none", STILL, 0)


def test_without_actions_the_reason_names_an_action_topic_that_nobody_hears(rig: Rig) -> None:
    rig.drive()
    rig.gate.offer_incompatible_inputs({"action": "policy/action is offered as Twist"})
    assert rig.tick().mode is Mode.AUTONOMY, "the right publisher is heard beside the wrong one"
    rig.action = None
    rig.run(1.0)
    assert (rig.last.mode, rig.last.reason) == (Mode.HOLD, "incompatible_input")
    rig.gate.offer_incompatible_inputs({})
    assert rig.tick().reason == "stale_action"


def test_every_reset_has_a_number_of_its_own(rig: Rig) -> None:
    rig.answers_resets = False
    rig.action = STILL
    rig.run(0.3)
    numbers = []
    for _ in range(3):
        assert rig.gate.arm(rig.now) == Outcome(True, "armed")
        numbers.append(rig.tick().reset_policy)
        rig.gate.disarm(rig.now)
        rig.tick()
    assert numbers == [1, 2, 3]


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
