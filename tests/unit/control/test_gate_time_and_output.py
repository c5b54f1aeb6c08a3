"""Clocks that jump, silence, explanations, changes at run time."""

from __future__ import annotations

import pytest
from gate_rig import PERIOD_NS, Rig, speed

from mobile_vla.config import with_values
from mobile_vla.control import STILL, Mode, Outcome

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
    rig.stick = STILL
    rig.tick()
    rig.stick = None
    assert rig.tick().ages.teleop == pytest.approx(PERIOD_NS / 1e9)
    assert (rig.last.source, rig.last.action_stamp_ns) == ("joy", 0)
    rig.run(1.0)
    assert (rig.last.source, rig.last.target, rig.last.action_stamp_ns) == ("none", STILL, 0)


def test_without_actions_the_reason_names_an_action_topic_that_nobody_hears(rig: Rig) -> None:
    rig.drive()
    rig.gate.offer_unheard({"action": "policy/action is offered as Twist"})
    assert rig.tick().mode is Mode.AUTONOMY, "the right publisher is heard beside the wrong one"
    rig.action = None
    rig.run(1.0)
    assert (rig.last.mode, rig.last.reason) == (Mode.HOLD, "unheard")
    rig.gate.offer_unheard({})
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
