"""Slow-down and stop ahead of obstacles, in the direction of motion.

A scan is reduced on arrival to one free way per side (front, rear, left, right): from the footprint's edge inside a
corridor as wide as the footprint, to the nearest measured obstacle and to the nearest place where one may stand unseen.
On the tick, speed towards a free way c is limited to (c - stop_distance) / slow_ttc, so the stop zone is never nearer
than `slow_ttc_s` in time. Moving away is always free. Then the arc of the whole motion has to be free, too (`swept`),
of what was measured and of what no beam sees (`blind_spots`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mobile_vla.config.action_space import STILL, Velocity
from mobile_vla.control.clock import Now, Rejected, to_ns
from mobile_vla.control.config import ControllerConfig
from mobile_vla.control.scan_sides import OPEN, UNSEEN, ScanGeometry, ScanReducer, Seen, Sides, check_geometry
from mobile_vla.control.scan_source import ScanSource
from mobile_vla.control.staleness import Watchdog
from mobile_vla.control.swept import Footprint, Twist, nearest_first, share

LEAST_SHARE = 0.02


class RangeGuard:
    """Clearances from the configured range sources, their watchdogs, and the speed they allow."""

    def __init__(self, config: ControllerConfig) -> None:
        self.scan = Watchdog("scan")
        self.range = Watchdog("range")
        self._seen = Seen(OPEN, UNSEEN, [], [])
        self._ever_covered = [False] * len(UNSEEN)
        self._scan_source = ScanSource()
        self._refused_scan = ""
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
        limits, sideways = config.limits, config.base.moves_sideways
        used = (
            limits.linear.velocity_mps > 0.0,
            limits.linear.reverse_mps > 0.0,
            sideways and limits.lateral.velocity_mps > 0.0,
            sideways and limits.lateral.reverse_mps > 0.0,
        )
        self._scans = ScanReducer(guard, self._reach_m, used)
        self._base = config.base
        self._footprint = Footprint.of(guard)
        self._with_margin = self._footprint.grown(guard.margin_m)
        self._sort_points()

    def offer_scan(
        self, stamp_ns: int, ranges: Sequence[float], geometry: ScanGeometry, now: Now, frame_id: str = ""
    ) -> None:
        """Take a scan; raises `Rejected` when it proves nothing about the surroundings."""
        try:
            self._offer_scan(stamp_ns, ranges, geometry, now, frame_id)
        except Rejected as error:
            self._refused_scan = f" (scans are refused: {error})"
            raise
        self._refused_scan = ""

    def _offer_scan(
        self, stamp_ns: int, ranges: Sequence[float], geometry: ScanGeometry, now: Now, frame_id: str
    ) -> None:
        check_geometry(geometry, len(ranges))
        self._scan_source.check(frame_id, geometry, len(ranges), now.steady_ns)
        seen = self._scans.reduce(ranges, geometry)
        self.scan.offer(stamp_ns, now, self._timeout_ns, self._future_ns)
        self._seen = seen
        self._sort_points()
        self._ever_covered = [
            ever or way is not None for ever, way in zip(self._ever_covered, seen.covered, strict=True)
        ]

    def offer_range(self, stamp_ns: int, distance_m: float, min_m: float, max_m: float, now: Now) -> None:
        """Take one forward distance: beyond the maximum is clear, below the minimum (or -Inf) is an obstacle there."""
        if math.isnan(distance_m) or not 0.0 <= min_m < max_m < math.inf:
            raise Rejected(
                "range.invalid", f"range reads {distance_m} within [{min_m}, {max_m}]; the sensor must send a distance"
            )
        front = min(max(distance_m, min_m), max_m) + self._config.range_x_m - self._config.front_m
        if distance_m > max_m and front >= self._reach_m:
            front = math.inf
        self.range.offer(stamp_ns, now, self._timeout_ns, self._future_ns)
        self._range_front = front

    def timed_out(self, steady_ns: int) -> str:
        """The configured source that sent nothing usable within its timeout, else an empty text."""
        if self._config.use_scan and not self.scan.alive(steady_ns, self._timeout_ns):
            return "scan"
        if self._config.use_range and not self.range.alive(steady_ns, self._timeout_ns):
            return "range"
        return ""

    def timeout_detail(self, steady_ns: int) -> str:
        """The same, with why its messages are refused, where they are."""
        source = self.timed_out(steady_ns)
        return source + self._refused_scan if source == "scan" else source

    @property
    def clearance(self) -> Sides:
        """The way to the nearest measured obstacle of all configured sources, on each side; infinite without one."""
        clear = self._seen.clear if self._config.use_scan else OPEN
        if not self._config.use_range or self._range_front is None:
            return clear
        return clear._replace(front=self._range_front if clear.front is None else min(clear.front, self._range_front))

    @property
    def covered(self) -> Sides:
        """The way on each side up to which nothing can stand unseen; None where no source ever looked."""
        covered = self._seen.covered if self._config.use_scan else UNSEEN
        ways = [
            -math.inf if way is None and ever else way for way, ever in zip(covered, self._ever_covered, strict=True)
        ]
        if self._config.use_range and self._range_front is not None and ways[0] is None:
            ways[0] = math.inf
        return Sides(*ways)

    def limit(self, wanted: Velocity, present: Velocity = STILL) -> tuple[Velocity, str]:
        """What may be driven of `wanted`, and the reason when that is less. `present`: what is driven now."""
        if not self._config.enabled:
            return wanted, ""
        clear, covered = self.clearance, self.covered
        ahead, aside = (0 if wanted.forward > 0.0 else 1), (2 if wanted.left > 0.0 else 3)
        forward, why_forward = self._along(wanted.forward, clear[ahead], covered[ahead])
        left, why_left = self._along(wanted.left, clear[aside], covered[aside])
        reasons = (why_forward, why_left)
        reason = next((name for name in ("range_stop", "range_unseen", "range_slow") if name in reasons), "")
        limited, unseen = self._swept(Velocity(forward, left, wanted.turn), present)
        if limited is None:
            return Velocity(forward, left, wanted.turn), reason
        if unseen and reason != "range_stop":
            return limited, "range_unseen"
        stands = limited.forward == limited.left == 0.0 and (limited.turn == 0.0 or forward != 0.0 or left != 0.0)
        return limited, reason if reason == "range_stop" else "range_stop" if stands else "range_slow"

    def clock_set_back(self) -> None:
        """Accept any stamp next: the ROS clock was set back."""
        self.scan.forget_stamp()
        self.range.forget_stamp()

    def _sort_points(self) -> None:
        self._near = nearest_first(self._seen.points, self._footprint)
        self._hidden = [near for near in nearest_first(self._seen.hidden, self._with_margin) if near.gap > 0.0]

    def _swept(self, wanted: Velocity, present: Velocity) -> tuple[Velocity | None, bool]:
        """The same arc driven slower, where its footprint is not free; None where it is. And whether that is for what
        no beam sees.

        While the arc is not free, the robot may turn more tightly than on it, if that is free at the speed it has now:
        so it turns away from what it stands before.
        """
        if not (self._near or self._hidden) or not any(wanted):
            return None, False
        if self._base.steers:
            most, unseen = min(self._share(self._steered(wanted.forward, turn)) for turn in (wanted.turn, present.turn))
            return None if most >= 1.0 else wanted._replace(forward=wanted.forward * most), unseen
        arc = Twist(*wanted)
        most, unseen = self._share(arc)
        if most >= 1.0:
            return None, False
        slower = arc.scaled(most)
        if arc.turn == 0.0:
            return Velocity(*slower), unseen
        speed = math.hypot(arc.forward, arc.left)
        rolling = max(most, min(math.hypot(present.forward, present.left) / speed, 1.0)) if speed > 0.0 else 0.0
        tighter, _ = self._share(Twist(arc.forward * rolling, arc.left * rolling, arc.turn))
        return Velocity(slower.forward, slower.left, arc.turn * max(most, tighter)), unseen

    def _steered(self, forward: float, steering_rad: float) -> Twist:
        return Twist(forward, 0.0, forward * math.tan(steering_rad) / self._base.wheelbase_m)

    def _share(self, twist: Twist) -> tuple[float, bool]:
        """The share of a motion that is free, and whether what no beam sees allows less than what was measured."""
        guard = self._config
        measured = share(twist, self._near, self._footprint, guard.margin_m, guard.slow_ttc_s)
        if not self._hidden or self._nearly_straight(twist):
            return measured, False
        # They move along with the robot: less than a fiftieth would creep for ever.
        hidden = share(twist, self._hidden, self._with_margin, 0.0, guard.slow_ttc_s)
        return min((measured, False), (hidden if hidden >= LEAST_SHARE else 0.0, True))

    def _nearly_straight(self, twist: Twist) -> bool:
        """Whether an arc leaves its tangent by no more than the margin up to the stop line: that is seen ahead."""
        guard = self._config
        way_m = guard.stop_distance_m + max(guard.front_m, guard.rear_m, guard.half_width_m)
        return abs(twist.turn) * way_m * way_m <= 2.0 * guard.margin_m * math.hypot(twist.forward, twist.left)

    def _along(self, speed: float, clear: float | None, covered: float | None) -> tuple[float, str]:
        if speed == 0.0:
            return speed, ""
        measured = math.inf if clear is None else self._allowed(clear)
        unseen = self._config.unseen_mps if covered is None else self._allowed(covered)
        if abs(speed) <= min(measured, unseen):
            return speed, ""
        if unseen < measured:
            return math.copysign(unseen, speed), "range_unseen"
        return math.copysign(measured, speed), "range_slow" if measured > 0.0 else "range_stop"

    def _allowed(self, way_m: float) -> float:
        return max(way_m - self._config.stop_distance_m, 0.0) / self._config.slow_ttc_s
