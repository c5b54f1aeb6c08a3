"""The ways messages travel here."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _profile(depth: int, reliability: ReliabilityPolicy, durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=durability)


NEWEST_RELIABLE = _profile(1, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)
"""Commands: the newest one arrives, older ones are worthless."""

NEWEST_BEST_EFFORT = _profile(1, ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
"""Images as a reader wants them: the newest or none."""

FRAMES_BEST_EFFORT = _profile(8, ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
"""Camera frames where each is counted and the newest is used: a reader that the scheduler keeps waiting for a quarter
of a second at 30 Hz still learns of every one. It must drain the queue whenever it is woken."""

IMAGE_OUT = _profile(2, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)
"""Images as a writer offers them: a recorder may ask for reliable delivery."""

LATCHED = _profile(1, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)
"""Facts that a late joiner must know."""

SENTENCE = _profile(10, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)
"""Instructions as they are read: what was said before, and each of several in one tick."""

EVERY_STOP = _profile(512, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)
"""Stop devices as they are read: no press is pushed out by newer messages, of whatever writer."""

SENSOR = _profile(5, ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
"""Range, odometry, joystick: best effort, a short queue."""

EVENTS = _profile(50, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)
"""Diagnostics: many writers, one topic."""

CLOCK = _profile(1, ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
"""Simulated time as rclpy subscribes to it."""


def volatile(profile: QoSProfile) -> QoSProfile:
    """The same request, which volatile writers (the default of every ROS tool) match, too."""
    return _profile(profile.depth, profile.reliability, DurabilityPolicy.VOLATILE)


def at_once(profile: QoSProfile) -> QoSProfile:
    """The same queue for messages as they arrive: a reliable reader hands on nothing that came behind a missing one."""
    return _profile(profile.depth, ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
