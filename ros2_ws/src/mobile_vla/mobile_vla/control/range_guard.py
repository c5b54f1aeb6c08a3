"""Slow-down and stop ahead of obstacles, in the direction of motion.

A scan is reduced on arrival to one clearance per direction (front, rear, left, right): the free way from the
footprint's edge inside a corridor as wide as the footprint. On the tick, speed towards a clearance c is limited to
(c - stop_distance) / slow_ttc, so the stop zone is never nearer than `slow_ttc_s` in time. Moving away is always free.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from mobile_vla.control.clock import Now, Rejected, to_ns
from mobile_vla.control.config import ControllerConfig
from mobile_vla.control.decode import Velocity
from mobile_vla.control.staleness import Watchdog

SEEN_WITHIN_RAD = 0.35
MAX_BEAMS = 20_000
_DIRECTIONS = (0.0, math.pi, math.pi / 2, -math.pi / 2)


class Clearance(NamedTuple):
    """Free way in metres in each direction; infinite where nothing is in the way, None where no beam looks."""

    front: float | None
    rear: float | None
    left: float | None
    right: float | None


UNSEEN = Clearance(None, None, None, None)


class ScanGeometry(NamedTuple):
    """What is the same in every scan of a sensor."""

    angle_min_rad: float
    angle_increment_rad: float
    range_min_m: float
    range_max_m: float


class RangeGuard:
    """Clearances from the configured range sources, their watchdogs, and the speed they allow."""

    def __init__(self, config: ControllerConfig) -> None:
        self.scan = Watchdog("scan")
        self.range = Watchdog("range")
        self._scan_clearance = UNSEEN
        self._range_front: float | None = None
        self.configure(config)

    def configure(self, config: ControllerConfig) -> None:
        """Use new settings from now on."""
        self._config = config.range_guard
        self._timeout_ns = to_ns(config.range_guard.timeout_s)
        self._future_ns = to_ns(config.staleness.future_s)
        fastest = max(
            config.limits.linear.velocity_mps, config.limits.linear.reverse_mps, config.limits.lateral.velocity_mps
        )
        fastest = max(fastest, config.limits.lateral.reverse_mps)
        guard = config.range_guard
        self._reach_m = (
            guard.stop_distance_m
            + fastest * guard.slow_ttc_s
            + max(guard.front_m, guard.rear_m, guard.half_width_m)
            + math.hypot(guard.scan_x_m, guard.scan_y_m)
            + guard.half_width_m
        )
        self._geometry: ScanGeometry | None = None
        self._table: list[tuple[float, float]] = []
        self._seen = (False, False, False, False)

    def offer_scan(self, stamp_ns: int, ranges: Sequence[float], geometry: ScanGeometry, now: Now) -> None:
        """Take a scan; raises `Rejected` when it proves nothing about the surroundings."""
        self._prepare(geometry, len(ranges))
        clearance = self._reduce(ranges, geometry)
        self.scan.offer(stamp_ns, now, self._timeout_ns, self._future_ns)
        self._scan_clearance = clearance

    def offer_range(self, stamp_ns: int, distance_m: float, min_m: float, max_m: float, now: Now) -> None:
        """Take one forward distance: beyond the maximum is clear, below the minimum (or -Inf) is an obstacle there."""
        if math.isnan(distance_m) or not 0.0 <= min_m < max_m < math.inf:
            raise Rejected(
                "range.invalid", f"range reads {distance_m} within [{min_m}, {max_m}]; the sensor must send a distance"
            )
        front = (
            math.inf if distance_m > max_m else max(distance_m, min_m) + self._config.range_x_m - self._config.front_m
        )
        self.range.offer(stamp_ns, now, self._timeout_ns, self._future_ns)
        self._range_front = front

    def dead(self, steady_ns: int) -> str:
        """The configured source that is not alive, else an empty text."""
        if self._config.use_scan and not self.scan.alive(steady_ns, self._timeout_ns):
            return "scan"
        if self._config.use_range and not self.range.alive(steady_ns, self._timeout_ns):
            return "range"
        return ""

    @property
    def clearance(self) -> Clearance:
        """The nearest of all configured sources in each direction."""
        scan = self._scan_clearance if self._config.use_scan else UNSEEN
        if not self._config.use_range or self._range_front is None:
            return scan
        return scan._replace(front=self._range_front if scan.front is None else min(scan.front, self._range_front))

    def limit(self, wanted: Velocity) -> tuple[Velocity, str]:
        """What may be driven of `wanted`, and the reason when that is less."""
        if not self._config.enabled:
            return wanted, ""
        free = self.clearance
        forward, why_forward = self._along(wanted.forward, free.front, free.rear)
        left, why_left = self._along(wanted.left, free.left, free.right)
        reasons = (why_forward, why_left)
        reason = next((name for name in ("range_stop", "range_unseen", "range_slow") if name in reasons), "")
        return Velocity(forward, left, wanted.turn), reason

    def clock_set_back(self) -> None:
        """Accept any stamp next: the ROS clock was set back."""
        self.scan.forget_stamp()
        self.range.forget_stamp()

    def _along(self, speed: float, ahead: float | None, behind: float | None) -> tuple[float, str]:
        if speed == 0.0:
            return speed, ""
        clearance = ahead if speed > 0.0 else behind
        if clearance is None:
            allowed, reason = self._config.unseen_mps, "range_unseen"
        else:
            allowed = max(clearance - self._config.stop_distance_m, 0.0) / self._config.slow_ttc_s
            reason = "range_slow" if allowed > 0.0 else "range_stop"
        if abs(speed) <= allowed:
            return speed, ""
        return math.copysign(allowed, speed), reason

    def _prepare(self, geometry: ScanGeometry, count: int) -> None:
        if geometry == self._geometry and count == len(self._table):
            return
        start, step, nearest, farthest = geometry
        if (
            not all(map(math.isfinite, geometry))
            or step == 0.0
            or not 0.0 <= nearest < farthest
            or not 0 < count <= MAX_BEAMS
        ):
            raise Rejected(
                "scan.invalid",
                f"scan has {count} beams and geometry {tuple(geometry)}; the driver must fill all fields",
            )
        angles = [start + step * index + self._config.scan_yaw_rad for index in range(count)]
        self._table = [(math.cos(angle), math.sin(angle)) for angle in angles]
        near = math.cos(SEEN_WITHIN_RAD)
        looks = [(math.cos(direction), math.sin(direction)) for direction in _DIRECTIONS]
        front, rear, left, right = (any(x * dx + y * dy >= near for x, y in self._table) for dx, dy in looks)
        self._seen = (front, rear, left, right)
        self._geometry = geometry

    def _reduce(self, ranges: Sequence[float], geometry: ScanGeometry) -> Clearance:
        guard = self._config
        nearest, farthest = geometry.range_min_m, geometry.range_max_m
        reach = min(self._reach_m, farthest)
        offset_x, offset_y, half = guard.scan_x_m, guard.scan_y_m, guard.half_width_m
        front = rear = left = right = math.inf
        invalid = 0
        for distance, (cosine, sine) in zip(ranges, self._table, strict=True):
            if distance > reach:
                continue
            if math.isnan(distance):
                invalid += 1
                continue
            if distance < nearest:
                if distance == 0.0 and guard.zero_is_clear:
                    continue
                distance = nearest  # noqa: PLW2901  (too close to measure: it is there)
            x = offset_x + distance * cosine
            y = offset_y + distance * sine
            if -half <= y <= half:
                if x >= 0.0:
                    front = min(front, x - guard.front_m)
                else:
                    rear = min(rear, -x - guard.rear_m)
            if -guard.rear_m <= x <= guard.front_m:
                if y >= 0.0:
                    left = min(left, y - half)
                else:
                    right = min(right, -y - half)
        if invalid > guard.max_invalid_share * len(ranges):
            raise Rejected(
                "scan.invalid", f"scan has {invalid} NaN beams of {len(ranges)}; clean or repair the scanner"
            )
        clear = (front, rear, left, right)
        return Clearance(
            *(value if seen or value < math.inf else None for value, seen in zip(clear, self._seen, strict=True))
        )
