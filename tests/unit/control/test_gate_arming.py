"""Arming, and what must be new after it."""

from __future__ import annotations

import pytest
from gate_rig import MS, PERIOD_NS, Rig, speed

from mobile_vla.control import STILL, Mode, Velocity


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
        ({"require__odometry": True}, True, 50, "odometry sends nothing usable within its timeout"),
        (
            {"range_guard__use_scan": True},
            True,
            50,
            "a configured range source sends nothing usable within its timeout: scan",
        ),
        (
            {"range_guard__use_range": True},
            True,
            50,
            "within its timeout: range",
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


def test_arming_names_a_policy_that_is_too_slow_with_its_time_and_what_it_takes(rig: Rig) -> None:
    rig.action, rig.latency_ns = STILL, 1_620 * MS
    rig.run(1.0)
    assert rig.gate.arm(rig.now).message == (
        "not armed: the policy is too slow: its actions arrive 1.62 s after their image (median of 9), and none is "
        "used after staleness.action_max_s (1 s); to drive without stops that must be 0.5 s or less: use a smaller "
        "policy, a lower precision or another engine, or raise staleness.action_max_s (the robot then drives that "
        "long on one picture)"
    )
    rig.latency_ns = 700 * MS
    rig.run(1.0)
    assert rig.gate.arm(rig.now).ok, "slow, but not too slow"


@pytest.mark.parametrize(
    ("age_ms", "frame_id", "sentence"),
    [
        (3_600_050, "diff", "image is 3600.050 s old, allowed 1.000 s; compare the clocks"),
        (-3_600_000, "diff", "action stamp is 3600.000 s in the future; synchronise the clocks"),
        (50, "omni", "action is for space 'omni'"),
    ],
)
def test_arming_says_why_every_action_is_refused(rig: Rig, age_ms: int, frame_id: str, sentence: str) -> None:
    for _ in range(10):
        rig.tick()
        rig.send_action(STILL, age_ms * MS, frame_id)
    assert rig.gate.arm(rig.now).message.startswith("not armed: actions arrive and are refused: ")
    assert sentence in rig.gate.arm(rig.now).message
    rig.run(11.0)
    assert "no action from a camera image has arrived" in rig.gate.arm(rig.now).message


@pytest.mark.parametrize(
    ("ros_ns", "sentence"), [(0, "/clock says nothing"), (5_000 * MS, "simulated time has stood still for 2.0 s")]
)
def test_arming_is_refused_without_simulated_time_and_while_it_stands(rig: Rig, ros_ns: int, sentence: str) -> None:
    rig.action = STILL
    for _ in range(61):
        rig.ros_ns = ros_ns - PERIOD_NS
        rig.tick()
    assert sentence in rig.gate.arm(rig.now).message


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
        rig.release()
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


def test_a_source_that_still_has_control_is_not_forgiven_by_arming(rig: Rig) -> None:
    rig.action = rig.stick = STILL
    rig.run(0.5)
    assert rig.gate.arm(rig.now).ok
    rig.stick = None  # killed before it could say another word
    rig.run(3.0)
    assert (rig.last.mode, rig.last.reason) == (Mode.HOLD, "teleop_lost")


def test_an_action_topic_of_another_type_is_named_when_arming(rig: Rig) -> None:
    rig.gate.offer_incompatible_inputs({"action": "policy/action is offered by /x as Twist"})
    rig.run(0.5)
    assert "offered by /x as Twist" in rig.gate.arm(rig.now).message
    rig.action = STILL
    rig.run(0.2)
    assert rig.gate.arm(rig.now).ok, "the right publisher is heard beside the wrong one"


def test_disarming_asks_for_no_reset(rig: Rig) -> None:
    rig.action, rig.answers_resets = STILL, False
    rig.run(0.5)
    rig.gate.arm(rig.now)
    assert rig.tick().reset_policy == 1
    rig.gate.disarm(rig.now)
    assert rig.tick().reset_policy == 0
