"""From one raw message to the typed tuples of its role."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rosbags.serde import SerdeError

from mobile_vla.bags import cdr
from mobile_vla.bags.types import (
    BagAction,
    BagCommand,
    BagDiagnostic,
    BagFrame,
    BagInstruction,
    BagMode,
    BagOdometry,
    BagRange,
    BagScan,
    Event,
    RawMessage,
)

_BEYOND_SPEED = 1e4
"""m/s or rad/s: what no robot does, and what squares and sums of it stand."""

Deserialize = Callable[[bytes, str], Any]


class DecodeError(Exception):
    """A message that is not what its type says."""


def decode(role: str, message: RawMessage, ros1: bool, deserialize: Deserialize) -> Sequence[Event]:
    """The tuples of one message: one, or as many as a DiagnosticArray has. Raises `DecodeError`."""
    try:
        if role in ("image", "command", "action") and not ros1:
            events: Sequence[Event] = (_fast(role, message),)
        else:
            events = list(_slow(role, message, deserialize(message.data, message.type)))
    except (cdr.CdrError, SerdeError) as error:
        raise DecodeError(f"not a {message.type}: {error or 'the bytes do not fit the type'}") from error
    for event in events:
        if isinstance(event, BagCommand | BagAction) and not all(abs(v) < _BEYOND_SPEED for v in event[3:6]):
            raise DecodeError(f"its speeds are {event[3]:g}, {event[4]:g} and {event[5]:g}")
    return events


def _fast(role: str, message: RawMessage) -> Event:
    topic, kind, log_ns, data = message
    if kind == "sensor_msgs/msg/Image":
        return cdr.image(topic, log_ns, data)
    if kind == "sensor_msgs/msg/CompressedImage":
        return cdr.compressed_image(topic, log_ns, data)
    if kind == "geometry_msgs/msg/Twist":
        return cdr.twist(topic, log_ns, data)
    command, frame_id = cdr.twist_stamped(topic, log_ns, data)
    if role == "action":
        return _action(command, frame_id)
    return command


def _slow(role: str, message: RawMessage, value: Any) -> Iterator[Event]:
    topic, kind, log_ns = message.topic, message.type, message.log_ns
    if role == "image":
        yield _frame(value, kind, topic, log_ns)
    elif role in ("command", "action"):
        stamped = kind.endswith("Stamped")
        twist = value.twist if stamped else value
        command = BagCommand(
            _stamp(value) if stamped else log_ns, log_ns, topic, twist.linear.x, twist.linear.y, twist.angular.z
        )
        yield _action(command, value.header.frame_id) if role == "action" else command
    elif role == "instruction":
        yield BagInstruction(log_ns, log_ns, topic, value.data)
    elif role == "scan":
        geometry = (value.angle_min, value.angle_increment, value.range_min, value.range_max)
        yield BagScan(_stamp(value), log_ns, topic, value.ranges.tolist(), *geometry)
    elif role == "range":
        yield BagRange(_stamp(value), log_ns, topic, value.range, value.min_range, value.max_range)
    elif role == "odometry":
        pose, twist = value.pose.pose, value.twist.twist
        q = pose.orientation
        yaw = math.atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y * q.y + q.z * q.z))
        yield BagOdometry(
            _stamp(value),
            log_ns,
            topic,
            pose.position.x,
            pose.position.y,
            yaw,
            twist.linear.x,
            twist.linear.y,
            twist.angular.z,
        )
    elif role == "mode":
        yield BagMode(log_ns, log_ns, topic, _level(value.level), value.message, _pairs(value.values))
    elif role == "diagnostics":
        stamp_ns = _stamp(value)
        for status in value.status:
            yield BagDiagnostic(
                stamp_ns, log_ns, topic, status.name, _level(status.level), status.message, _pairs(status.values)
            )


def _frame(value: Any, kind: str, topic: str, log_ns: int) -> BagFrame:
    data = memoryview(value.data)
    if kind.endswith("CompressedImage"):
        return BagFrame(_stamp(value), log_ns, topic, cdr.compression_of(value.format), 0, 0, 0, False, data)
    return BagFrame(
        _stamp(value),
        log_ns,
        topic,
        value.encoding,
        value.height,
        value.width,
        value.step,
        bool(value.is_bigendian),
        data,
    )


def _action(command: BagCommand, space: str) -> BagAction:
    return BagAction(
        command.stamp_ns,
        command.log_ns,
        command.topic,
        command.linear_mps,
        command.lateral_mps,
        command.angular_radps,
        space,
    )


def _stamp(value: Any) -> int:
    stamp = value.header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def _level(level: Any) -> int:
    return level[0] if isinstance(level, (bytes, bytearray)) else int(level)


def _pairs(values: Any) -> dict[str, str]:
    return {pair.key: pair.value for pair in values}
