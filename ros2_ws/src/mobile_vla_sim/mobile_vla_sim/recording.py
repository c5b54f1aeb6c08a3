"""Simulated episodes as rosbag2 recordings, with the topics and stamps of a real robot's, without a graph.

Time in the bag is simulated time after `START_NS`; episodes follow each other with a pause, marked as the recorder
marks them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from mobile_vla.bags.definitions import standard_types
from mobile_vla.bags.episodes import TOPIC as EPISODE_TOPIC
from mobile_vla.bags.episodes import Mark
from mobile_vla.bags.types import Qos
from mobile_vla.bags.writer import BagWriter
from mobile_vla.camera.encodings import compress
from mobile_vla.config.action_space import ACTION_SPACES
from mobile_vla_sim.drivers import Action, ActionScale, Driver
from mobile_vla_sim.episode import Direct, EpisodeResult, Rules, run_episode, scaled
from mobile_vla_sim.expert import Expert
from mobile_vla_sim.noisy import NoisyExpert
from mobile_vla_sim.pacing import NS, SensorSchedule
from mobile_vla_sim.world import World

START_NS = 1_800_000_000 * NS
_PAUSE_NS = 2 * NS
_LATCHED = Qos(durability="transient_local")
_SENSOR = Qos(reliability="best_effort", depth=5)
TOPICS: dict[str, tuple[str, Qos]] = {
    "/camera/image_raw/compressed": ("sensor_msgs/msg/CompressedImage", Qos(depth=2)),
    "/instruction": ("std_msgs/msg/String", _LATCHED),
    "/policy/action": ("geometry_msgs/msg/TwistStamped", Qos()),
    "/cmd_vel": ("geometry_msgs/msg/Twist", Qos()),
    "/odom": ("nav_msgs/msg/Odometry", _SENSOR),
    "/scan": ("sensor_msgs/msg/LaserScan", _SENSOR),
    "/controller/state": ("diagnostic_msgs/msg/DiagnosticStatus", _LATCHED),
    f"/{EPISODE_TOPIC}": ("diagnostic_msgs/msg/DiagnosticStatus", _LATCHED),
}


class Recording:
    """Writes one bag of episodes. `begin`, then `note` once per control period, then `end`, for each."""

    def __init__(self, bag: BagWriter, scale: ActionScale, jpeg_quality: int = 90) -> None:
        self._bag = bag
        self._scale = scale
        self._quality = jpeg_quality
        self._store = standard_types()
        self._types = self._store.types
        self._offset_ns = START_NS
        self._numbers = itertools.count(1)
        for name, (kind, qos) in TOPICS.items():
            bag.add_topic(name, kind, qos)

    def begin(self, world: World, instruction: str) -> None:
        """A new episode: the instruction and the mark; the mode follows with the first control period."""
        self._number, self._instruction = next(self._numbers), instruction
        self._scans = SensorSchedule(world.config.lidar.rate_hz)
        now = self._offset_ns
        self._write("/instruction", now, data=instruction)
        self._by_person: bool | None = None
        mark = Mark(True, self._number, instruction, "", 0.0)
        self._status(f"/{EPISODE_TOPIC}", now, "begin", mark.values())

    def note(self, world: World, action: Action, image: np.ndarray, *, by_person: bool = False) -> None:
        """One control period: what the camera saw and what was done about it, by the policy or by who took over."""
        now = self._offset_ns + world.time_ns
        if by_person != self._by_person:
            self._by_person = by_person
            self._mode(now, *(("teleop", "expert") if by_person else ("autonomy", "policy")))
        header = self._header(now, world.config.camera_frame)
        pixels = compress(image, "rgb8", self._quality)
        self._write(
            "/camera/image_raw/compressed", now, header=header, format="rgb8; jpeg compressed bgr8", data=pixels
        )
        odometry = world.odometry()
        self._odometry(now, world, odometry.pose, odometry.velocity)
        if self._scans.due(world.time_ns):
            self._scan(now, world)
        space = self._scale.space
        twist = self._twist(*ACTION_SPACES[space].to_twist(action))
        self._write("/policy/action", now, header=self._header(now, space), twist=twist)
        velocity = scaled(action, self._scale)
        command = self._twist(velocity.linear_mps, velocity.lateral_mps, velocity.angular_radps)
        self._bag.write("/cmd_vel", now, self._cdr("geometry_msgs/msg/Twist", command))

    def end(self, world: World, result: EpisodeResult) -> None:
        """The episode's outcome."""
        now = self._offset_ns + world.time_ns
        mark = Mark(False, self._number, self._instruction, result.outcome, world.time_s)
        self._status(f"/{EPISODE_TOPIC}", now, "end", mark.values())
        self._mode(now, "disarmed", "none")
        self._offset_ns = now + _PAUSE_NS

    def _mode(self, now: int, mode: str, source: str) -> None:
        self._status("/controller/state", now, mode, {"mode": mode, "source": source})

    def _scan(self, now: int, world: World) -> None:
        lidar, config = world.lidar, world.lidar.config
        self._write(
            "/scan",
            now,
            header=self._header(now, world.config.lidar_frame),
            angle_min=lidar.angle_min_rad,
            angle_max=lidar.angle_min_rad + lidar.angle_increment_rad * (config.rays - 1),
            angle_increment=lidar.angle_increment_rad,
            time_increment=0.0,
            scan_time=1.0 / config.rate_hz,
            range_min=config.min_m,
            range_max=config.max_m,
            ranges=world.scan(),
            intensities=np.zeros(0, np.float32),
        )

    def _odometry(self, now: int, world: World, pose: Any, velocity: Any) -> None:
        geometry = "geometry_msgs/msg/"
        position = self._make(f"{geometry}Point", x=pose.x, y=pose.y, z=0.0)
        turned = {"x": 0.0, "y": 0.0, "z": math.sin(pose.yaw / 2.0), "w": math.cos(pose.yaw / 2.0)}
        placed = self._make(
            f"{geometry}Pose", position=position, orientation=self._make(f"{geometry}Quaternion", **turned)
        )
        twist = self._twist(velocity.linear_mps, velocity.lateral_mps, velocity.angular_radps)
        unknown = np.zeros(36)
        self._write(
            "/odom",
            now,
            header=self._header(now, world.config.odom_frame),
            child_frame_id=world.config.base_frame,
            pose=self._make(f"{geometry}PoseWithCovariance", pose=placed, covariance=unknown),
            twist=self._make(f"{geometry}TwistWithCovariance", twist=twist, covariance=unknown),
        )

    def _twist(self, forward: float, left: float, turn: float) -> Any:
        vector = "geometry_msgs/msg/Vector3"
        return self._make(
            "geometry_msgs/msg/Twist",
            linear=self._make(vector, x=forward, y=left, z=0.0),
            angular=self._make(vector, x=0.0, y=0.0, z=turn),
        )

    def _status(self, topic: str, now: int, message: str, values: dict[str, str]) -> None:
        pairs = [self._make("diagnostic_msgs/msg/KeyValue", key=key, value=value) for key, value in values.items()]
        self._write(topic, now, level=0, name="simulation", message=message, hardware_id="mobile_vla", values=pairs)

    def _header(self, now: int, frame: str) -> Any:
        stamp = self._make("builtin_interfaces/msg/Time", sec=now // NS, nanosec=now % NS)
        return self._make("std_msgs/msg/Header", stamp=stamp, frame_id=frame)

    def _make(self, kind: str, **fields: Any) -> Any:
        return self._types[kind](**fields)

    def _write(self, topic: str, now: int, **fields: Any) -> None:
        kind = TOPICS[topic][0]
        self._bag.write(topic, now, self._cdr(kind, self._make(kind, **fields)))

    def _cdr(self, kind: str, message: Any) -> bytes:
        return bytes(self._store.serialize_cdr(message, kind))


def record_episodes(
    world: World,
    seeds: Iterable[int],
    driver: Driver,
    bag: BagWriter,
    rules: Rules,
    *,
    progress: Callable[[EpisodeResult], None] | None = None,
) -> list[EpisodeResult]:
    """Drive the rooms of `seeds` and write every control period of every episode into `bag`.

    Wherever an expert drives, alone or in place of a policy (`Corrected`), the bag says teleop, as where a person does:
    these are the frames to learn from.
    """
    recording = Recording(bag, rules.scale)
    results = []
    for seed in seeds:
        world.reset(seed)
        recording.begin(world, world.scene.instruction)

        def note(one: World, action: Action) -> None:
            recording.note(one, action, one.render(), by_person=_by_expert(driver))

        result = run_episode(world, driver, Direct(rules.scale), rules, note)
        recording.end(world, result)
        results.append(result)
        if progress is not None:
            progress(result)
    return results


def _by_expert(driver: Driver) -> bool:
    return bool(getattr(driver, "by_expert", isinstance(driver, (Expert, NoisyExpert))))
