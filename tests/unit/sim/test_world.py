"""The simulated base: tracking, lag, slip, watchdog, collisions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from mobile_vla_sim import base
from mobile_vla_sim.config import BaseConfig, SimulatorConfig
from mobile_vla_sim.scene import Pose
from mobile_vla_sim.world import World

Make = Callable[..., World]
Drive = Callable[..., None]


def test_a_straight_command_drives_straight_at_the_commanded_speed(world: Make, drive: Drive) -> None:
    one = world()
    drive(one, 1.0, 0.4, 0.0)
    x, y, yaw = one.pose
    drive(one, 4.0, 0.4, 0.0)
    assert one.pose.x - x == pytest.approx(1.6, abs=0.01)
    assert one.pose.y == pytest.approx(y, abs=1e-3)
    assert one.pose.yaw == pytest.approx(yaw, abs=1e-3)


def test_a_turning_command_drives_a_circle_of_radius_v_over_w(world: Make, drive: Drive) -> None:
    one = world()
    drive(one, 1.0, 0.4, 0.8)
    points = []
    for _ in range(40):
        drive(one, 0.2, 0.4, 0.8)
        points.append(one.pose)
    width = max(point.x for point in points) - min(point.x for point in points)
    height = max(point.y for point in points) - min(point.y for point in points)
    assert width == pytest.approx(1.0, abs=0.03)
    assert height == pytest.approx(1.0, abs=0.03)


def test_an_omni_base_moves_sideways_and_a_differential_one_does_not(world: Make, drive: Drive) -> None:
    omni, diff = world(base__kind="omni"), world()
    for one in (omni, diff):
        drive(one, 2.0, 0.0, 0.0, 0.3)
    assert omni.pose.y == pytest.approx(0.6, abs=0.05)
    assert omni.pose.x == pytest.approx(-3.0, abs=1e-3)
    assert diff.pose.y == pytest.approx(0.0, abs=1e-6)


def test_speed_and_acceleration_stay_within_the_motors(world: Make, drive: Drive) -> None:
    one = world()
    fastest, last = 0.0, 0.0
    for _ in range(40):
        drive(one, 0.05, 50.0, 0.0)
        speed = one.velocity.linear_mps
        # The servo may catch up a little of its own lag within one sample.
        assert speed - last <= 2.0 * 0.05 + 0.02
        fastest, last = max(fastest, speed), speed
    assert fastest == pytest.approx(0.7, abs=0.01)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_command_that_is_no_number_does_not_move_the_robot(bad: float, world: Make, drive: Drive) -> None:
    one = world()
    drive(one, 1.0, bad, bad)
    assert one.pose == pytest.approx((-3.0, 0.0, 0.0), abs=1e-9)


def test_a_command_acts_after_the_latency(world: Make) -> None:
    one = world(base__latency_s=0.2)
    one.command(0.4, 0.0)
    one.advance(0.19)
    assert one.pose.x == pytest.approx(-3.0, abs=1e-9)
    one.advance(0.1)
    assert one.pose.x > -3.0 + 0.005


def test_the_base_stops_by_itself_when_commands_cease(world: Make, drive: Drive) -> None:
    one = world(base__watchdog_s=0.4)
    drive(one, 2.0, 0.5, 0.0)
    assert one.velocity.linear_mps == pytest.approx(0.5, abs=0.01)
    assert not one.stopped_by_watchdog
    one.advance(0.4 + 0.5 / 2.0 + 0.1)
    assert one.stopped_by_watchdog
    assert one.velocity.linear_mps == pytest.approx(0.0, abs=1e-3)


def test_slip_makes_odometry_drift_and_no_slip_does_not(world: Make, drive: Drive) -> None:
    exact, slipping = world(), world(base__slip_std=0.1)
    for one in (exact, slipping):
        drive(one, 6.0, 0.4, 0.5)
    # The body follows the wheels with a servo lag of 0.02 s, which is the little that the exact one is off.
    for one, low, high in ((exact, 0.0, 0.04), (slipping, 0.08, 1.0)):
        pose, start = one.odometry().pose, one.scene.start
        drift = math.hypot(pose.x - (one.pose.x - start.x), pose.y - (one.pose.y - start.y))
        assert low <= drift <= high


class Once:
    """Draws these numbers first and zeros ever after."""

    def __init__(self, *values: float) -> None:
        self._values = np.array(values)

    def standard_normal(self, count: int) -> np.ndarray:
        drawn, self._values = self._values[:count], np.zeros(count)
        return drawn


@pytest.mark.parametrize(("slipping", "turns"), [((1.0, 0.0, 0.0), "left"), ((0.0, 1.0, 0.0), "right")])
def test_a_slipping_wheel_turns_the_robot_to_its_side(slipping: tuple[float, ...], turns: str) -> None:
    config = BaseConfig(slip_std=0.1, latency_s=0.0, motor_time_constant_s=0.0)
    one = base.Drivetrain(config, Once(*slipping))
    one.command(0.0, base.BodyVelocity(0.4, 0.0))
    for step in range(30):
        driven = one.step(step * 0.01, 0.01)
    assert one.wheels.angular_radps == 0.0
    lost = 0.1 * math.exp(-0.3)  # of the slipping wheel's way; slip has a memory of one second
    assert driven.linear_mps == pytest.approx(0.4 * (1 - lost / 2), abs=1e-6)
    assert driven.angular_radps == pytest.approx((1 if turns == "left" else -1) * 0.4 * lost / 0.3, rel=1e-6)


def test_a_wall_holds_the_robot_and_is_reported(world: Make, drive: Drive) -> None:
    one = world()
    one.reset(0, dataclasses.replace(one.scene, start=Pose(2.5, 2.0, 0.0)))
    drive(one, 8.0, 0.5, 0.0)
    assert one.contact is not None
    assert one.contact.what == "wall east"
    assert one.contact.time_s == pytest.approx((4.0 - 0.18 - 2.5) / 0.5, abs=0.2)
    # 1 cm of give is what the contact model allows while the motors push.
    assert one.pose.x <= 4.0 - 0.18 + 0.01
    assert one.velocity.linear_mps == pytest.approx(0.0, abs=0.01)


def test_driving_freely_is_no_collision(world: Make, drive: Drive) -> None:
    one = world()
    drive(one, 3.0, 0.5, 0.0)
    assert not one.collided


def test_a_person_steps_out_when_the_robot_comes_near(world: Make, drive: Drive) -> None:
    one = world(scenario="corridor_person")
    start = one.walker_positions[0]
    one.advance(2.0)
    assert one.walker_positions[0] == start
    drive(one, 7.5, 0.5, 0.0)
    assert one.walker_positions[0][1] < start[1] - 0.5


def test_the_same_seed_and_commands_give_the_same_run(drive: Drive) -> None:
    def run(seed: int) -> tuple[object, ...]:
        one = World(SimulatorConfig(), seed)
        drive(one, 3.0, 0.3, 0.4)
        return one.pose, one.odometry(), tuple(one.scan().tolist()), one.range(), one.scene.instruction

    assert run(3) == run(3)
    assert run(3) != run(4)


def test_reset_forgets_the_episode_before(drive: Drive) -> None:
    one = World(SimulatorConfig(), 5)
    fresh = one.pose, one.odometry(), tuple(one.scan().tolist())
    drive(one, 3.0, 0.5, 0.0)
    one.reset(5)
    assert (one.pose, one.odometry(), tuple(one.scan().tolist())) == fresh
    assert (one.time_s, one.path_m, one.collided) == (0.0, 0.0, False)
