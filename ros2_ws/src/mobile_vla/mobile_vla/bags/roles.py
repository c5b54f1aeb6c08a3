"""Which topic of a bag plays which part: by type, then by its usual name; asked for when that leaves two."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from mobile_vla.bags.types import TopicInfo
from mobile_vla.errors import UserError, nearest

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
TWIST_TYPES = ("geometry_msgs/msg/Twist", "geometry_msgs/msg/TwistStamped")
_TYPES = {
    "image": IMAGE_TYPES,
    "command": TWIST_TYPES,
    "action": ("geometry_msgs/msg/TwistStamped",),
    "instruction": ("std_msgs/msg/String",),
    "odometry": ("nav_msgs/msg/Odometry",),
    "mode": ("diagnostic_msgs/msg/DiagnosticStatus",),
    "diagnostics": ("diagnostic_msgs/msg/DiagnosticArray",),
    "scan": ("sensor_msgs/msg/LaserScan",),
    "range": ("sensor_msgs/msg/Range",),
}
_USUAL = {
    "image": "camera/image_raw",
    "command": "cmd_vel",
    "action": "policy/action",
    "instruction": "instruction",
    "odometry": "odom",
    "mode": "controller/state",
    "diagnostics": "diagnostics",
    "scan": "scan",
    "range": "range",
}
BASIC = ("image", "command", "action", "instruction", "odometry", "mode", "diagnostics")
"""What is looked for unless more is asked for: two scanners are fine where nobody reads them."""
_ONLY_BY_NAME = ("action", "instruction", "mode")
_NOT_COMMANDS = ("policy/action", "teleop/")
_COMPRESSED = "/compressed"


class Roles(NamedTuple):
    """Topic names; None where the bag has none."""

    image: str | None = None
    command: str | None = None
    action: str | None = None
    instruction: str | None = None
    odometry: str | None = None
    mode: str | None = None
    diagnostics: str | None = None
    scan: str | None = None
    range: str | None = None


def find_roles(
    topics: Iterable[TopicInfo], chosen: Mapping[str, str] | None = None, wanted: Collection[str] = BASIC
) -> Roles:
    """The wanted roles of a bag's topics; `chosen` (role -> topic) overrides. Raises UserError when two topics fit."""
    listed = {topic.name: topic for topic in topics}
    chosen = dict(chosen or {})
    for role, name in chosen.items():
        if role not in _TYPES:
            raise UserError(f"unknown role '{role}'; {nearest(role, _TYPES)}")
        if name not in listed:
            raise UserError(f"the bag has no topic {name}; {nearest(name, listed)}")
        if listed[name].type not in _TYPES[role]:
            raise UserError(
                f"{name} is a {listed[name].type}, the {role} must be {' or '.join(_TYPES[role])}; choose another topic"
            )
        if listed[name].error:
            raise UserError(f"{name} cannot be read: {listed[name].error}; choose another topic")
    asked = {*wanted, *chosen}
    return Roles(**{role: chosen.get(role) or _find(role, listed) for role in Roles._fields if role in asked})


def find_camera_and(
    topics: Collection[TopicInfo], chosen: Mapping[str, str] | None = None, wanted: Collection[str] = BASIC
) -> Roles:
    """`find_roles` of a bag that must have a camera; where it has none, nothing else is asked for."""
    chosen = dict(chosen or {})
    camera = {"image": chosen["image"]} if "image" in chosen else {}
    if find_roles(topics, camera, ("image",)).image is None:
        raise UserError(_no_camera(topics))
    return find_roles(topics, chosen, wanted)


def _no_camera(topics: Collection[TopicInfo]) -> str:
    cameras = [topic for topic in topics if topic.type in IMAGE_TYPES]
    if not cameras:
        known = ", ".join(sorted(topic.name for topic in topics)) or "none"
        return f"the bag has no camera topic (Image or CompressedImage), its topics: {known}; record one"
    undecodable = next((topic for topic in cameras if topic.error), None)
    if undecodable is not None:
        return f"the camera topic {undecodable.name} cannot be read: {undecodable.error}; record it again"
    return f"the bag holds no picture: its camera topic {cameras[0].name} is empty; record it again"


def _find(role: str, topics: Mapping[str, TopicInfo]) -> str | None:
    names = [
        name for name, topic in topics.items() if topic.type in _TYPES[role] and topic.messages > 0 and not topic.error
    ]
    if role == "command":
        names = [name for name in names if not any(word in name for word in _NOT_COMMANDS)]
    if role == "image":
        names = _one_per_camera(names)
    usual = [name for name in names if name.removesuffix(_COMPRESSED).endswith(f"/{_USUAL[role]}")]
    candidates = usual or ([] if role in _ONLY_BY_NAME else names)
    if len(candidates) > 1:
        listed = ", ".join(sorted(candidates))
        raise UserError(f"the bag has {len(candidates)} {role} topics: {listed}; choose one with --{role}-topic")
    return candidates[0] if candidates else None


def _one_per_camera(names: list[str]) -> list[str]:
    """A camera recorded both raw and compressed counts once, as raw."""
    return [name for name in names if not (name.endswith(_COMPRESSED) and name.removesuffix(_COMPRESSED) in names)]
