"""The policy drives: every base, stale and bad actions, pictures that must not be used."""

from __future__ import annotations

import math

import pytest
from gate_rig import MS, PERIOD_NS, STOP_S, Rig, speed

from mobile_vla.control import STILL, Mode, OffPlane, Velocity


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


def test_commands_with_a_motion_off_the_ground_are_refused_and_counted(rig: Rig) -> None:
    lifting = OffPlane(0.1, 0.0, 0.0)
    rig.drive()
    for _ in range(3):
        rig.pass_time(MS)
        rig.gate.offer_teleop("joy", rig.ros_ns, Velocity(0.1, 0.0, 0.0), rig.now, off_plane=lifting)
        rig.gate.offer_action(rig.ros_ns, "diff", Velocity(1.0, 0.0, 0.0), rig.now, off_plane=lifting)
    assert rig.tick().mode is Mode.AUTONOMY, "no person took over"
    counts = rig.gate.rejections.counts
    assert (counts["joy.off_plane"], counts["action.off_plane"]) == (3, 3)
