"""Ground truth messages and standstill detection."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from mobile_vla_sim.base import BodyVelocity
from mobile_vla_sim.scene import Thing
from mobile_vla_sim.standing import StandstillTimer
from mobile_vla_sim.truth import GroundTruth, read_truth, truth_values
from mobile_vla_sim.world import World

Make = Callable[..., World]


def test_standing_counts_from_the_first_moment_without_motion() -> None:
    standing = StandstillTimer()
    still, creeping, turning = BodyVelocity(0.02, 0.05), BodyVelocity(0.04, 0.0), BodyVelocity(0.0, 0.2)
    moments = [(0.0, still), (0.5, still), (1.0, creeping), (1.5, still), (2.5, still), (3.0, turning), (3.1, still)]
    assert [standing.seconds(*moment) for moment in moments] == [0.0, 0.5, 0.0, 0.0, 1.0, 0.0, 0.0]
    assert StandstillTimer().seconds(5.0, BodyVelocity(0.0, 0.0, 0.2)) == 0.0


def test_ground_truth_survives_diagnostics(world: Make) -> None:
    one = world()
    things = (*one.scene.things, Thing("cube", "red", -1.5, 0.0), Thing("cube", "red", 1.5, 2.0))
    one.reset(3, dataclasses.replace(one.scene, things=things))
    truth = read_truth(truth_values(one, 2.5))
    assert truth is not None
    assert (truth.seed, truth.time_s, truth.still_s, truth.contact) == (3, 0.0, 2.5, "")
    assert truth.instruction == one.scene.instruction
    assert {name: round(distance, 3) for name, distance in truth.objects.items()} == {"blue ball": 6.0, "red cube": 1.5}
    assert truth.nearest == "red cube"
    assert truth.named("please go to the red block") == "red cube"
    assert truth.named("go to the green cone") == ""


def test_a_touch_is_told_with_its_time(world: Make, drive: Callable[..., None]) -> None:
    one = world()
    drive(one, 20.0, 0.4, 0.0)
    values = truth_values(one, 0.0)
    assert values["collided"] == "true"
    assert values["contact"].startswith("blue ball 0 at 1")


def test_stopped_requires_nearness_and_one_second() -> None:
    truth = GroundTruth(0, 9.0, "", {"red ball": 0.56, "blue cube": 2.0}, 1.2, 3.0, "")
    assert truth.stopped_at() == "red ball"
    assert truth.stopped_at(0.5) == "", "still since before the moment that counts"
    assert truth._replace(still_s=0.9).stopped_at() == ""
    assert truth._replace(objects={"red ball": 0.58}).stopped_at() == ""


def test_without_a_simulator_there_is_no_ground_truth() -> None:
    assert read_truth({}) is None
    assert read_truth({"ready": "true"}) is None
