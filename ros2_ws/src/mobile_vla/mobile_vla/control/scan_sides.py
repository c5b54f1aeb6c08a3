"""A scan as the guard uses it: the free way to each side, how far each side is covered, and the points near the body.

What no valid beam covers is not free. Between two beams that are an angle g apart a round post of `narrow_m` can stand
unseen if it begins at narrow_m / 2 (1 / sin(g / 2) - 1) from the sensor or beyond; nearer it is met by one of them. So
a side counts as covered up to the nearest place in its corridor, from the stop line on, where such a post can begin
unseen: between neighbouring beams, in a run of NaN beams, or beyond the sensor's range. Nearer than the stop line it
has been seen before, unless the robot turned towards it. Where the geometry of the scan never looks is reported apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mobile_vla.control.blind_spots import Beams, BlindSpots, hidden_from
from mobile_vla.control.clock import Rejected
from mobile_vla.control.config import RangeGuardConfig
from mobile_vla.control.swept import AT_EDGE_M, Footprint, Point

MAX_BEAMS = 20_000


class ScanGeometry(NamedTuple):
    """What is the same in every scan of a sensor."""

    angle_min_rad: float
    angle_increment_rad: float
    range_min_m: float
    range_max_m: float


class Sides(NamedTuple):
    """A way in metres to each side, from the footprint's edge."""

    front: float | None
    rear: float | None
    left: float | None
    right: float | None


OPEN = Sides(math.inf, math.inf, math.inf, math.inf)
UNSEEN = Sides(None, None, None, None)


class Seen(NamedTuple):
    """One scan: ways to the nearest measured obstacles, ways up to which nothing can hide (None: never looked at by
    this geometry), what was measured within reach, and where something can hide near the body, in the robot's frame.
    """

    clear: Sides
    covered: Sides
    points: list[Point]
    hidden: list[Point]


class Corridor(NamedTuple):
    """The way to one side, from the sensor: from `edge` on, between `low` and `high` across (left is +)."""

    direction_rad: float
    along: Point
    edge: float
    low: float
    high: float


def check_geometry(geometry: ScanGeometry, count: int) -> None:
    """Raises `Rejected` for what no scanner is like."""
    nearest, farthest = geometry.range_min_m, geometry.range_max_m
    if (
        not all(map(math.isfinite, geometry))
        or geometry.angle_increment_rad == 0.0
        or not 0.0 <= nearest < farthest
        or not 0 < count <= MAX_BEAMS
    ):
        raise Rejected(
            "scan.invalid", f"scan has {count} beams and geometry {tuple(geometry)}; the driver must fill all fields"
        )


class ScanReducer:
    """Reduces scans; what depends on the sensor's geometry alone is worked out once."""

    def __init__(
        self, guard: RangeGuardConfig, reach_m: float, used: tuple[bool, bool, bool, bool] = (True, True, True, True)
    ) -> None:
        """`used`: whether the robot drives forward, backward, left, right at all."""
        self._guard = guard
        self._reach_m = reach_m
        self._used = used
        self._footprint = Footprint.of(guard)
        self._geometry: ScanGeometry | None = None
        self._table: list[Point] = []
        self._too_near: list[list[Point]] = []
        x, y, half, front, rear = guard.scan_x_m, guard.scan_y_m, guard.half_width_m, guard.front_m, guard.rear_m
        self._corridors = (
            Corridor(0.0, (1.0, 0.0), front - x, -half - y, half - y),
            Corridor(math.pi, (-1.0, 0.0), rear + x, y - half, y + half),
            Corridor(math.pi / 2, (0.0, 1.0), half - y, x - front, x + rear),
            Corridor(-math.pi / 2, (0.0, -1.0), half + y, -rear - x, front - x),
        )

    def reduce(self, ranges: Sequence[float], geometry: ScanGeometry) -> Seen:
        """What a scan says; raises `Rejected` when it says too little."""
        if geometry != self._geometry or len(ranges) != len(self._table):
            self._prepare(geometry, len(ranges))
        points, invalid = self._measured(ranges, geometry)
        if len(invalid) > self._guard.max_invalid_share * len(ranges):
            raise Rejected(
                "scan.invalid", f"scan has {len(invalid)} NaN beams of {len(ranges)}; clean or repair the scanner"
            )
        if not invalid:
            return Seen(self._clear(points), self._covered, points, self._blind.always)
        margins = list(self._margins(invalid))
        return Seen(self._clear(points), self._without(margins), points, self._blind.without(margins))

    def _measured(self, ranges: Sequence[float], geometry: ScanGeometry) -> tuple[list[Point], list[int]]:
        """Measured points within reach, and which beams measured nothing. What is nearer than the scanner can measure
        is taken to be at the body's edge and at `range_min`.
        """
        guard, nearest = self._guard, geometry.range_min_m
        reach = min(self._reach_m, geometry.range_max_m)
        x, y = guard.scan_x_m, guard.scan_y_m
        points: list[Point] = []
        invalid: list[int] = []
        for index, distance in enumerate(ranges):
            if distance > reach:
                continue
            if distance < nearest:
                if distance == 0.0 and guard.zero_is_clear:
                    continue
                points += self._too_near[index]
                continue
            if distance != distance:  # noqa: PLR0124  (NaN, without a call)
                invalid.append(index)
                continue
            cosine, sine = self._table[index]
            points.append((x + distance * cosine, y + distance * sine))
        return points, invalid

    def _clear(self, points: Sequence[Point]) -> Sides:
        guard = self._guard
        half, ahead, behind = guard.half_width_m, guard.front_m, guard.rear_m
        front = rear = left = right = math.inf
        for x, y in points:
            if -half <= y <= half:
                if x >= 0.0:
                    front = min(front, x - ahead)
                else:
                    rear = min(rear, -x - behind)
            if -behind <= x <= ahead:
                if y >= 0.0:
                    left = min(left, y - half)
                else:
                    right = min(right, -y - half)
        return Sides(front, rear, left, right)

    def _prepare(self, geometry: ScanGeometry, count: int) -> None:
        check_geometry(geometry, count)
        start, step, nearest, farthest = geometry
        angles = [start + step * index + self._guard.scan_yaw_rad for index in range(count)]
        self._table = [(math.cos(angle), math.sin(angle)) for angle in angles]
        self._too_near = [self._nearer_than(nearest, *direction) for direction in self._table]
        self._step = abs(step)
        self._whole = math.tau - self._step * (count - 1) <= 1.5 * self._step
        sight = min(farthest, hidden_from(self._guard.narrow_m, self._step / 2))
        low, high = min(angles[0], angles[-1]), max(angles[0], angles[-1])
        self._covered = Sides(*(self._geometric(corridor, low, high, sight) for corridor in self._corridors))
        self._blind = BlindSpots(self._guard, Beams(self._table, self._step, self._whole, farthest), self._reach_m)
        self._check_stop_line(nearest)
        self._geometry = geometry

    def _check_stop_line(self, nearest: float) -> None:
        """A scanner must still see what stands at the stop line of every way that it guards."""
        for name, used, corridor, way in zip(Sides._fields, self._used, self._corridors, self._covered, strict=True):
            line = corridor.edge + self._guard.stop_distance_m
            if used and way is not None and nearest > abs(line):
                self._geometry = None
                raise Rejected(
                    "scan.range_min",
                    f"scan has range_min {nearest:.3g} m, but the stop line ({name}) is {line:.3g} m from the scanner: "
                    "what stands there is not seen; use a scanner that measures nearer, correct its range_min or "
                    "mounting, or raise range_guard.stop_distance_m",
                )

    def _nearer_than(self, nearest: float, cosine: float, sine: float) -> list[Point]:
        """Where an obstacle counts that a beam sees nearer than `range_min`: at the body's edge, and there."""
        x, y = self._guard.scan_x_m, self._guard.scan_y_m
        crossed = self._footprint.crossed(x, y, cosine, sine)
        edge = 0.0 if crossed is None or crossed[0] > 0.0 else crossed[1] + AT_EDGE_M
        return [(x + distance * cosine, y + distance * sine) for distance in sorted({min(edge, nearest), nearest})]

    def _geometric(self, corridor: Corridor, low: float, high: float, sight: float) -> float | None:
        """How far a corridor is covered when every beam is valid; None when the scan does not look there."""
        if not (self._whole or self._looks_into(corridor, low, high)):
            return None
        aside = max(abs(corridor.low), abs(corridor.high))
        way = math.sqrt(sight * sight - aside * aside) - corridor.edge if sight > aside else -math.inf
        return math.inf if way >= self._reach_m else way

    def _looks_into(self, corridor: Corridor, low: float, high: float) -> bool:
        """Whether a narrow post within the corridor's edges is met at the stop distance."""
        ahead, narrow = corridor.edge + self._guard.stop_distance_m, self._guard.narrow_m
        right = corridor.direction_rad + math.atan2(min(corridor.low + narrow, 0.0), ahead)
        left = corridor.direction_rad + math.atan2(max(corridor.high - narrow, 0.0), ahead)
        slack = self._step / 2
        return any(low - slack <= right + turn and left + turn <= high + slack for turn in (-math.tau, 0.0, math.tau))

    def _without(self, margins: list[tuple[int, float]]) -> Sides:
        """Coverage without some beams: up to the nearest place in each corridor where a narrow post can stand."""
        ways = list(self._covered)
        for index, aside_rad in margins:
            hidden = hidden_from(self._guard.narrow_m, aside_rad)
            for side, corridor in enumerate(self._corridors):
                covered = ways[side]
                if covered is not None:
                    ways[side] = min(covered, self._enters(index, corridor, hidden))
        return Sides(*ways)

    def _enters(self, index: int, corridor: Corridor, hidden_from: float) -> float:
        """The way to where a ray, hidden from a distance on, is in a corridor beyond its stop line; else infinite."""
        cosine, sine = self._table[index]
        dx, dy = corridor.along
        along, across = cosine * dx + sine * dy, sine * dx - cosine * dy
        if along <= 0.0:
            return math.inf
        begins, ends = max(hidden_from, (corridor.edge + self._guard.stop_distance_m) / along), math.inf
        if across != 0.0:
            one, other = corridor.low / across, corridor.high / across
            begins, ends = max(begins, min(one, other)), max(one, other)
        elif corridor.low > 0.0 or corridor.high < 0.0:
            return math.inf
        return begins * along - corridor.edge if begins <= ends else math.inf

    def _margins(self, invalid: list[int]) -> Iterator[tuple[int, float]]:
        """For every invalid beam the largest angle of its surroundings up to the next valid beam."""
        count = len(self._table)
        bad = bytearray(count)
        for index in invalid:
            bad[index] = 1
        before = self._distances(bad, range(count))
        after = self._distances(bad, range(count - 1, -1, -1))
        for index in invalid:
            first, last = before[index], after[index]
            nearest = min(first, last)
            yield index, math.pi if nearest == math.inf else (nearest + min(1.0, abs(first - last)) / 2) * self._step

    def _distances(self, bad: bytearray, order: range) -> list[float]:
        """How many beams ago the last valid one was, walking in one direction; around, where the scan is a circle."""
        found = [0.0] * len(bad)
        since = math.inf
        for _ in range(2 if self._whole else 1):
            for index in order:
                since = since + 1.0 if bad[index] else 0.0
                found[index] = since
        return found
