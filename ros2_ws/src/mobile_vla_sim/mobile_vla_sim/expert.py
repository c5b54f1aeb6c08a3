"""Expert driver with ground truth: plans a path, follows it, stops at the goal.

It looks for its goal as a robot with a camera must (turn left until it is in view), so that a policy that only sees
the camera can learn from it. People are not planned around but waited for.
"""

from __future__ import annotations

import math

from mobile_vla_sim.drivers import Action, ActionScale
from mobile_vla_sim.model import WALL_HEIGHT_M
from mobile_vla_sim.planner import FloorMap, Route, distance_to_block
from mobile_vla_sim.randomise import ARRIVED_M
from mobile_vla_sim.scene import Pose, Scene
from mobile_vla_sim.sensors import wrapped
from mobile_vla_sim.world import World

STOP_M = 0.47
_GOAL_RING_M = 0.44
_NEEDED_M, _WISHED_M, _DISLIKE = 0.06, 0.45, 2.0
_LOOK_M = 0.7
_TURN_ON_SPOT_RAD = 0.8
_SEARCH_TURN = 0.6
# A search that also moves, and where and how much room it needs for that.
_ARC, _ARC_AHEAD_M, _ARC_ROOM_M = (0.75, 0.33), (0.2, 0.4, 0.6), 0.1
# How far a teacher sees: farther away, an object is too small for its student.
_TEACHER_SEES_M = 3.5
# A search ends when the goal is within this share of the half field of view.
_WELL_IN_VIEW = 0.75
# How far from its middle, as a share of its radius, a thing is still looked at.
_SIDE = 0.6
_PERSON_M, _PERSON_AHEAD_RAD = 1.1, 1.0


class Expert:
    """Drives any scene whose goal is reachable. One per world; `begin` plans for the world's present scene.

    It knows where its goal is once it has seen it. A teacher of a policy that remembers only `remembers_s` has to
    forget as soon (and search again), and to see no farther: what it knows and its student cannot know would be noise
    in the lesson. It also searches in wide arcs where there is room, because its student, who cannot tell that it has
    turned once around, would turn on the spot for ever wherever the goal is hidden from there.
    """

    def __init__(self, scale: ActionScale, remembers_s: float = math.inf) -> None:
        self._scale = scale
        self._remembers_s = remembers_s
        self._teaches = math.isfinite(remembers_s)

    def begin(self, world: World) -> None:
        scene = world.scene
        self._floor = FloorMap(scene)
        self._goal = (scene.target.x, scene.target.y)
        body = world.config.base.radius_m
        self._route = Route(
            self._floor, self._goal, _GOAL_RING_M, body + _NEEDED_M, preferred_m=body + _WISHED_M, penalty=_DISLIKE
        )
        self._start_search(world)
        self._arrived = False

    def act(self, world: World) -> Action:
        """The action for now, normalised to [-1, 1]."""
        pose = self._foreseen(world)
        away = math.dist(pose[:2], self._goal)
        self._arrived = away <= (ARRIVED_M - 0.02 if self._arrived else STOP_M)
        if self._arrived or self._person_ahead(world, pose):
            return 0.0, 0.0
        if self._searching(world):
            return self._search(pose)
        x, y = self._route.ahead(pose.x, pose.y, _LOOK_M)
        if math.dist((x, y), pose[:2]) < 0.1:
            x, y = self._goal
        error = wrapped(math.atan2(y - pose.y, x - pose.x) - pose.yaw)
        turn = max(-1.0, min(1.0, 2.2 * error / self._scale.angular_radps))
        if abs(error) > _TURN_ON_SPOT_RAD:
            return 0.0, math.copysign(max(abs(turn), 0.4), turn)
        slow_near_goal = 1.2 * max(0.0, away - STOP_M) + 0.08
        slow_near_things = 0.8 * self._clearance_ahead(world, pose) + 0.10
        fastest = min(self._scale.linear_mps, slow_near_goal, slow_near_things)
        return fastest * math.cos(error) ** 3 / self._scale.linear_mps, turn

    def _foreseen(self, world: World) -> Pose:
        """Where the robot will be when the command acts."""
        ahead_s = world.config.base.latency_s + world.config.base.motor_time_constant_s
        pose, velocity = world.pose, world.velocity
        yaw = pose.yaw + velocity.angular_radps * ahead_s / 2.0
        reach = velocity.linear_mps * ahead_s
        return Pose(
            pose.x + reach * math.cos(yaw),
            pose.y + reach * math.sin(yaw),
            wrapped(pose.yaw + velocity.angular_radps * ahead_s),
        )

    def _clearance_ahead(self, world: World, pose: Pose) -> float:
        nearest = min(self._clearance_at(pose, ahead_m) for ahead_m in (0.0, 0.25))
        return max(0.0, nearest - world.config.base.radius_m)

    def _clearance_at(self, pose: Pose, ahead_m: float) -> float:
        x, y = pose.x + ahead_m * math.cos(pose.yaw), pose.y + ahead_m * math.sin(pose.yaw)
        return float(self._floor.clearance[self._floor.cell(x, y)])

    def _start_search(self, world: World) -> None:
        self._seen = False
        self._seen_s, self._searched_rad = 0.0, 0.0
        self._last_yaw = world.pose.yaw

    def _searching(self, world: World) -> bool:
        """Whether to look for the goal: until it is well in view, and again when it is forgotten.

        Who does not teach looks once around at most: it knows the way anyway.
        """
        visible = self._sees(world)
        if self._seen:
            if visible:
                self._seen_s = world.time_s
            elif world.time_s - self._seen_s > self._remembers_s:
                self._start_search(world)
        else:
            yaw = world.pose.yaw
            self._searched_rad += abs(wrapped(yaw - self._last_yaw))
            self._last_yaw = yaw
            well = abs(bearing_of(world.pose, *self._goal)) < _WELL_IN_VIEW * half_view_rad(world)
            self._seen = (visible and well) or (self._searched_rad > 2.1 * math.pi and not self._teaches)
            self._seen_s = world.time_s
        return not self._seen

    def _sees(self, world: World) -> bool:
        near = not self._teaches or world.distance_to(world.scene.goal) < _TEACHER_SEES_M
        return near and in_view(world, world.scene.goal)

    def _search(self, pose: Pose) -> Action:
        room_m = self._route.needed_m + _ARC_ROOM_M
        free = all(self._clearance_at(pose, ahead_m) >= room_m for ahead_m in _ARC_AHEAD_M)
        return _ARC if free and self._teaches else (0.0, _SEARCH_TURN)

    @staticmethod
    def _person_ahead(world: World, pose: Pose) -> bool:
        return any(
            math.dist(pose[:2], person) < _PERSON_M and abs(bearing_of(pose, *person)) < _PERSON_AHEAD_RAD
            for person, walker in zip(world.walker_positions, world.scene.walkers, strict=True)
            if person != walker.path[-1]
        )


def bearing_of(pose: Pose, x: float, y: float) -> float:
    """Direction of a point seen from a pose; positive to the left."""
    return wrapped(math.atan2(y - pose.y, x - pose.x) - pose.yaw)


def half_view_rad(world: World) -> float:
    """How far to each side the camera sees."""
    return math.radians(world.config.camera.horizontal_fov_deg) / 2.0


def in_view(world: World, thing: int) -> bool:
    """Whether the camera sees a thing: it points there, and nothing tall hides it."""
    target = world.scene.things[thing]
    ahead = abs(bearing_of(world.pose, target.x, target.y)) < half_view_rad(world)
    return ahead and in_sight(world.scene, world.pose, thing)


def in_sight(scene: Scene, pose: Pose, thing: int) -> bool:
    """Whether a straight line to a thing's middle, or to one of its sides, passes nothing tall (crates are low)."""
    target = scene.things[thing]
    reach = math.dist(pose[:2], (target.x, target.y))
    cos, sin = (target.x - pose.x) / max(reach, 1e-9), (target.y - pose.y) / max(reach, 1e-9)
    sides = (0.0, -_SIDE * target.radius_m, _SIDE * target.radius_m)
    return any(_free_line(scene, pose, thing, target.x - side * sin, target.y + side * cos) for side in sides)


def _free_line(scene: Scene, pose: Pose, thing: int, x: float, y: float) -> bool:
    reach = math.dist(pose[:2], (x, y))
    cos, sin = (x - pose.x) / max(reach, 1e-9), (y - pose.y) / max(reach, 1e-9)
    for index, other in enumerate(scene.things):
        along = (other.x - pose.x) * cos + (other.y - pose.y) * sin
        across = abs((other.y - pose.y) * cos - (other.x - pose.x) * sin)
        if index != thing and 0.0 < along < reach and across < other.radius_m:
            return False
    tall = [block for block in scene.blocks if block.height_m > WALL_HEIGHT_M / 4.0]
    steps = max(2, int(reach / 0.05))
    points = [(pose.x + cos * reach * step / steps, pose.y + sin * reach * step / steps) for step in range(steps)]
    return all(float(distance_to_block(px, py, block)) > 0.0 for block in tall for px, py in points)
