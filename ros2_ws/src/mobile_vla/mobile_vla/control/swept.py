"""Whether the footprint stays free of measured points while the robot drives an arc, and how fast it may drive it.

A robot that keeps its velocity turns about one point of the plane, so in the robot's frame every measured point moves
on a circle about that point (on a line when it does not turn) until it meets the footprint or passes it. What is met
after a time t allows the share t / slow_ttc of the wanted motion: contact is never nearer than `slow_ttc_s`. Points
count as met `margin_m` before the footprint, or half of the present gap when that is less, so that a robot close beside
a wall can still drive along it and away.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mobile_vla.control.config import RangeGuardConfig

Point = tuple[float, float]
_STRAIGHT_RADPS = 1e-6
AT_EDGE_M = 0.001
"""Outside the body, so that turning towards it counts as a contact."""


class Twist(NamedTuple):
    """Forward and left speed in m/s, yaw rate in rad/s, of the robot's origin."""

    forward: float
    left: float
    turn: float

    def scaled(self, share: float) -> Twist:
        """The same arc, driven slower."""
        return Twist(self.forward * share, self.left * share, self.turn * share)


class Footprint(NamedTuple):
    """The body around the robot's origin: a rectangle, or a circle between front and rear."""

    front: float
    rear: float
    half: float
    round: bool

    @classmethod
    def of(cls, guard: RangeGuardConfig) -> Footprint:
        """As configured."""
        return cls(guard.front_m, guard.rear_m, guard.half_width_m, guard.round)

    def gap(self, x: float, y: float) -> float:
        """From the edge to a point; 0 inside."""
        if self.round:
            return max(math.hypot(x - (self.front - self.rear) / 2, y) - self.half, 0.0)
        return math.hypot(max(x - self.front, -self.rear - x, 0.0), max(abs(y) - self.half, 0.0))

    def crossed(self, x: float, y: float, dx: float, dy: float) -> tuple[float, float] | None:
        """From where to where a ray (unit direction) is in the body: (0, way out) from within, None when it misses."""
        if self.round:
            x -= (self.front - self.rear) / 2
            middle = -(x * dx + y * dy)
            square = self.half**2 - (x * x + y * y - middle * middle)
            if square <= 0.0:
                return None
            begins, ends = max(middle - math.sqrt(square), 0.0), middle + math.sqrt(square)
            return (begins, ends) if ends >= 0.0 else None
        begins, ends = 0.0, math.inf
        for place, step, low, high in ((x, dx, -self.rear, self.front), (y, dy, -self.half, self.half)):
            if step == 0.0:
                if not low <= place <= high:
                    return None
                continue
            one, other = (low - place) / step, (high - place) / step
            begins, ends = max(begins, min(one, other)), min(ends, max(one, other))
        return (begins, ends) if begins <= ends else None

    def grown(self, by: float) -> Footprint:
        """With a margin all around (with square corners, as a rectangle)."""
        return Footprint(self.front + by, self.rear + by, self.half + by, self.round)

    @property
    def reach(self) -> float:
        """From the origin to the farthest part."""
        if self.round:
            return self.half + abs(self.front - self.rear) / 2
        return math.hypot(max(self.front, self.rear), self.half)

    def ring(self, x: float, y: float) -> tuple[float, float]:
        """Distances from a point to the nearest and to the farthest part of the body."""
        if self.round:
            return self.gap(x, y), math.hypot(x - (self.front - self.rear) / 2, y) + self.half
        return self.gap(x, y), math.hypot(max(self.front - x, x + self.rear), self.half + abs(y))


class Near(NamedTuple):
    """A measured point and its gap to the footprint."""

    gap: float
    x: float
    y: float


def nearest_first(points: Iterable[Point], footprint: Footprint) -> list[Near]:
    """Points as `share` wants them; worked out once for a scan."""
    return sorted(Near(footprint.gap(x, y), x, y) for x, y in points)


def share(twist: Twist, near: Sequence[Near], footprint: Footprint, margin_m: float, slow_ttc_s: float) -> float:
    """The largest share, up to 1, of a motion that keeps every contact at least `slow_ttc_s` away in time."""
    if not any(twist):
        return 1.0
    forward, left, turn = twist
    whole = footprint.grown(margin_m)
    straight = abs(turn) < _STRAIGHT_RADPS
    fastest = math.hypot(forward, left) + abs(turn) * whole.reach
    centre_x, centre_y = (0.0, 0.0) if straight else (-left / turn, forward / turn)
    innermost, outermost = (-1.0, math.inf) if straight else whole.ring(centre_x, centre_y)
    best = 1.0
    for gap, x, y in near:
        # No part of the body is faster than that: what is farther away is met later.
        if gap - margin_m >= fastest * slow_ttc_s * best:
            break
        if not innermost <= math.hypot(x - centre_x, y - centre_y) <= outermost:
            continue
        if gap == 0.0:
            time_s = _inside(twist, x, y)
        else:
            body = whole if gap >= 2 * margin_m else footprint.grown(gap / 2)
            time_s = _time_straight(forward, left, x, y, body) if straight else _time_turning(twist, x, y, body)
        best = min(best, time_s / slow_ttc_s)
        if best == 0.0:
            break
    return best


def _inside(twist: Twist, x: float, y: float) -> float:
    """For a point that is measured within the footprint: nothing may move towards it, away from it is free."""
    towards = (twist.forward - twist.turn * y) * x + (twist.left + twist.turn * x) * y
    return 0.0 if towards > 0.0 else math.inf


def _time_turning(twist: Twist, x: float, y: float, body: Footprint) -> float:
    """Until a point outside a body is met by it; infinite when it never is."""
    forward, left, turn = twist
    centre_x, centre_y = -left / turn, forward / turn
    x, y = x - centre_x, y - centre_y
    radius, angle = math.hypot(x, y), math.atan2(y, x)
    # Seen from the robot a point turns against the robot's own turn: the first of the angles in that direction is met.
    met = _angles_round(radius, centre_x, centre_y, body) if body.round else _angles(radius, centre_x, centre_y, body)
    sense = 1.0 if turn > 0.0 else -1.0
    return min(((angle - other) * sense % math.tau for other in met), default=math.inf) / abs(turn)


def _time_straight(forward: float, left: float, x: float, y: float, body: Footprint) -> float:
    """The same without a turn."""
    speed = math.hypot(forward, left)
    dx, dy = -forward / speed, -left / speed
    if body.round:
        x -= (body.front - body.rear) / 2
        along = -(x * dx + y * dy)
        square = body.half**2 - (x * x + y * y - along * along)
        return (along - math.sqrt(square)) / speed if square > 0.0 and along > 0.0 else math.inf
    begins, ends = 0.0, math.inf
    for place, step, low, high in ((x, dx, -body.rear, body.front), (y, dy, -body.half, body.half)):
        if step == 0.0:
            if not low < place < high:
                return math.inf
            continue
        one, other = (low - place) / step, (high - place) / step
        begins, ends = max(begins, min(one, other)), min(ends, max(one, other))
    return begins / speed if begins < ends else math.inf


def _angles_round(radius: float, centre_x: float, centre_y: float, body: Footprint) -> list[float]:
    """Where a circle about the centre of turning crosses a round body, as angles from that centre."""
    x, y = (body.front - body.rear) / 2 - centre_x, -centre_y
    distance = math.hypot(x, y)
    if distance == 0.0:
        return []
    cosine = (radius * radius + distance * distance - body.half**2) / (2 * radius * distance)
    if abs(cosine) >= 1.0:
        return []
    middle, aside = math.atan2(y, x), math.acos(cosine)
    return [middle - aside, middle + aside]


def _angles(radius: float, centre_x: float, centre_y: float, body: Footprint) -> list[float]:
    """The same for a rectangle: crossings of its four edges."""
    found = []
    low, high = -body.half - centre_y, body.half - centre_y
    for edge in (body.front - centre_x, -body.rear - centre_x):
        if abs(edge) < radius:
            angle = math.acos(edge / radius)
            found += [other for other in (angle, -angle) if low <= radius * math.sin(other) <= high]
    low, high = -body.rear - centre_x, body.front - centre_x
    for edge in (body.half - centre_y, -body.half - centre_y):
        if abs(edge) < radius:
            angle = math.asin(edge / radius)
            found += [other for other in (angle, math.pi - angle) if low <= radius * math.cos(other) <= high]
    return found
