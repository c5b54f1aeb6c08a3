"""The controller's gate on the time of a bag: limits, ramps, staleness and range guard act as on the robot, nothing
waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from mobile_vla.bags.roles import Roles
from mobile_vla.bags.types import BagOdometry, BagRange, BagScan, SensorReading
from mobile_vla.config import with_values
from mobile_vla.control import Command, ControllerConfig, Gate, Now, ScanGeometry, Velocity

_SETTINGS = {"scan": "range_guard.use_scan", "range": "range_guard.use_range", "odometry": "require.odometry"}
_LONGEST_TRANSPORT_NS = 1_000_000_000


def sensors_of(config: ControllerConfig) -> dict[str, bool]:
    """Roles of the topics that the gate listens to besides the policy, and whether this robot uses them."""
    guard = config.range_guard
    return {"scan": guard.use_scan, "range": guard.use_range, "odometry": config.require.odometry}


def recorded_sensors(config: ControllerConfig, roles: Roles) -> list[str]:
    """Those of them that a bag has."""
    return [role for role, used in sensors_of(config).items() if used and getattr(roles, role) is not None]


class GateOnBagTime:
    """One gate, ticked at its own rate from the first action on. People have no part in it.

    A sensor that was not recorded is not waited for; one that was acts as it does live, its silence included.
    """

    def __init__(self, config: ControllerConfig, sensors: Collection[str]) -> None:
        used = sensors_of(config)
        self._config = with_values(config, {_SETTINGS[role]: used[role] and role in sensors for role in used})
        self._gate = Gate(self._config)
        self._period_ns = round(1e9 / config.rate_hz)
        self._next_ns: int | None = None
        self._actions: deque[tuple[int, int, Velocity]] = deque()
        self._sensed: deque[tuple[int, SensorReading]] = deque()
        self._newest: Command | None = None
        self._armed = False

    def offer(self, image_ns: int, action: Velocity, arrival_ns: int) -> None:
        """An action, as it arrives at the controller."""
        if self._next_ns is None:
            self._next_ns = arrival_ns
        self._actions.append((arrival_ns, image_ns, action))

    def sense(self, event: SensorReading) -> None:
        """What another sensor said. It arrives when it was logged, unless the recorder ran on another clock."""
        late_ns = event.log_ns - event.stamp_ns
        arrival_ns = event.log_ns if 0 <= late_ns <= _LONGEST_TRANSPORT_NS else event.stamp_ns
        self._sensed.append((arrival_ns, event))

    def at(self, time_ns: int) -> Command:
        """The command that holds at `time_ns`, after ticking up to it."""
        while self._next_ns is not None and self._next_ns <= time_ns:
            self._newest = self._tick(self._next_ns)
            self._next_ns += self._period_ns
        if self._newest is None:
            return self._gate.tick(Now(time_ns, time_ns))
        return self._newest

    def _tick(self, now_ns: int) -> Command:
        now = Now(now_ns, now_ns)
        self._gate.offer_policy_status(True, "", now)
        while self._sensed and self._sensed[0][0] <= now_ns:
            self._take(self._sensed.popleft()[1], now)
        while self._actions and self._actions[0][0] <= now_ns:
            _, image_ns, action = self._actions.popleft()
            self._gate.offer_action(image_ns, self._config.action.space, action, now)
        if not self._armed:
            self._armed = self._gate.arm(now).ok
        command = self._gate.tick(now)
        if command.reset_policy:
            self._gate.policy_was_reset(command.reset_policy, now)
        return command

    def _take(self, event: SensorReading, now: Now) -> None:
        if isinstance(event, BagScan):
            geometry = ScanGeometry(
                event.angle_min_rad, event.angle_increment_rad, event.range_min_m, event.range_max_m
            )
            self._gate.offer_scan(event.stamp_ns, event.ranges_m, geometry, now)
        elif isinstance(event, BagRange):
            self._gate.offer_range(event.stamp_ns, event.distance_m, event.min_m, event.max_m, now)
        elif isinstance(event, BagOdometry):
            self._gate.offer_odometry(event.stamp_ns, event.linear_mps, event.angular_radps, now)
