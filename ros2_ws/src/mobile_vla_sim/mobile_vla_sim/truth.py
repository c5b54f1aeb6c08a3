"""Ground truth of the simulator: published on /diagnostics, read by evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mobile_vla_sim.language import named_pair
from mobile_vla_sim.randomise import ARRIVED_M
from mobile_vla_sim.standing import STILL_FOR_S

if TYPE_CHECKING:
    from mobile_vla_sim.world import World


class GroundTruth(NamedTuple):
    """One moment of one episode."""

    seed: int
    time_s: float
    """Simulated, since the episode began."""
    instruction: str
    """What the room asks for; the robot may have been told something else."""
    objects: dict[str, float]
    """Distance to the middle of every object, by its name, in the room's order; of two alike, the nearer one."""
    still_s: float
    path_m: float
    contact: str
    """What was touched first, and when; empty: nothing."""

    @property
    def nearest(self) -> str:
        """The object that the robot is nearest to."""
        return min(self.objects, key=self.objects.__getitem__)

    def stopped_at(self, still_s: float | None = None) -> str:
        """The object at which the robot has stopped; `still_s` where the standstill counts from a later moment."""
        still = self.still_s if still_s is None else min(still_s, self.still_s)
        near = self.nearest
        return near if still >= STILL_FOR_S and self.objects[near] <= ARRIVED_M else ""

    def named(self, instruction: str) -> str:
        """The object of this room that a sentence names; empty when there is none."""
        name = " ".join(named_pair(instruction) or ())
        return name if name in self.objects else ""


def truth_values(world: World, still_s: float) -> dict[str, str]:
    """The truth as values of a diagnostics status."""
    contact = f"{world.contact.what} at {world.contact.time_s:.2f} s" if world.contact else ""
    distances = [(thing.name, world.distance_to(index)) for index, thing in enumerate(world.scene.things)]
    truth = GroundTruth(
        world.seed, world.time_s, world.scene.instruction, _by_name(distances), still_s, world.path_m, contact
    )
    return {
        "time_s": f"{truth.time_s:.2f}",
        "seed": str(truth.seed),
        "instruction": truth.instruction,
        "goal": world.scene.target.name,
        "goal_distance_m": f"{world.distance_to(world.scene.goal):.3f}",
        "arrived": str(truth.stopped_at() == world.scene.target.name).lower(),
        "stopped_at": truth.stopped_at(),
        "still_s": f"{still_s:.2f}",
        "objects": "; ".join(f"{name} {distance:.3f}" for name, distance in truth.objects.items()),
        "collided": str(world.collided).lower(),
        "contact": truth.contact,
        "path_m": f"{truth.path_m:.3f}",
    }


def read_truth(values: Mapping[str, str]) -> GroundTruth | None:
    """The truth from a simulator's diagnostics; None where they do not hold it (no simulator, or nothing said yet)."""
    if "objects" not in values:
        return None
    pairs = (entry.rpartition(" ") for entry in values["objects"].split("; "))
    return GroundTruth(
        int(values["seed"]),
        float(values["time_s"]),
        values["instruction"],
        _by_name([(name, float(distance)) for name, _, distance in pairs]),
        float(values["still_s"]),
        float(values["path_m"]),
        values["contact"],
    )


def _by_name(distances: Sequence[tuple[str, float]]) -> dict[str, float]:
    nearest: dict[str, float] = {}
    for name, distance in distances:
        nearest[name] = min(distance, nearest.get(name, distance))
    return nearest
