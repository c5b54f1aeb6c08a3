"""Places beside the body where a narrow post can stand unseen: on arcs and in turns they count as obstacles.

Between valid beams a post can begin at `hidden_from` and beyond. Nothing else hides it, so a body that comes from where
it is seen to be free first meets the outline of those places: the nearest one on each beam, and the ways between the
nearest of two neighbouring beams. Only the outline is sampled, outside the footprint and its margin.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mobile_vla.control.config import RangeGuardConfig
from mobile_vla.control.swept import AT_EDGE_M, Footprint, Point

SPACING_M = 0.05
"""Between samples of the outline: a post of 0.05 m between two of them reaches either within the margin (0.03 m)."""
WIDER = 1.4
"""Each sample along a beam is so much farther from the one before: what is far is looked at again when it is near."""


def hidden_from(narrow_m: float, aside_rad: float) -> float:
    """Where a post can begin unseen in a direction whose nearest valid beams are that angle away."""
    return 0.0 if aside_rad >= math.pi / 2 else narrow_m / 2 * (1.0 / math.sin(aside_rad) - 1.0)


class Beams(NamedTuple):
    """Directions of a scanner's beams, `step_rad` apart; `whole`: they close a circle."""

    table: Sequence[Point]
    step_rad: float
    whole: bool
    farthest_m: float


class BlindSpots:
    """Of one scanner, up to `reach_m` from it."""

    def __init__(self, guard: RangeGuardConfig, beams: Beams, reach_m: float) -> None:
        self._guard, self._reach_m = guard, reach_m
        self._table, step_rad, self._whole, self._farthest_m = beams
        body = Footprint.of(guard).grown(guard.margin_m)
        self._crossed = [body.crossed(guard.scan_x_m, guard.scan_y_m, *beam) for beam in self._table]
        self._sight_m = min(self._farthest_m, hidden_from(guard.narrow_m, step_rad / 2))
        coarse = self._sight_m < reach_m
        self._valid = [self._nearest(index, self._sight_m) if coarse else math.inf for index in range(len(self._table))]
        self._coarse = range(len(self._table)) if coarse else ()
        self.always = self._outline(self._valid, self._coarse)
        """With every beam valid: none, unless the beams are far apart or see less far than the guard looks."""

    def without(self, margins: Iterable[tuple[int, float]]) -> list[Point]:
        """With invalid beams: each with its angle to the valid ones beside it."""
        nearest, invalid = list(self._valid), []
        for index, aside_rad in margins:
            hidden = min(self._farthest_m, hidden_from(self._guard.narrow_m, aside_rad))
            if hidden < self._reach_m:
                nearest[index] = self._nearest(index, hidden)
                invalid.append(index)
        return self._outline(nearest, self._coarse or invalid)

    def _nearest(self, index: int, hidden_m: float) -> float:
        """The nearest place on a beam, from there on, that is outside the body and its margin."""
        crossed = self._crossed[index]
        if crossed is None or hidden_m < crossed[0]:
            return hidden_m
        return max(hidden_m, crossed[1] + AT_EDGE_M)

    def _outline(self, nearest: Sequence[float], beams: Iterable[int]) -> list[Point]:
        x, y = self._guard.scan_x_m, self._guard.scan_y_m
        last, reach = len(nearest) - 1, self._reach_m
        points: list[Point] = []
        kept_x = kept_y = math.inf
        for index in beams:
            distance = nearest[index]
            if distance >= reach:
                continue
            cosine, sine = self._table[index]
            before = nearest[index - 1] if index > 0 or self._whole else distance
            after = nearest[index + 1] if index < last else nearest[0] if self._whole else distance
            until = min(max(before, after), reach)
            place_x, place_y = x + distance * cosine, y + distance * sine
            if until - distance <= SPACING_M and abs(place_x - kept_x) + abs(place_y - kept_y) < SPACING_M:
                continue
            kept_x, kept_y = place_x, place_y
            points.append((place_x, place_y))
            spacing, far = SPACING_M, distance + SPACING_M
            while far < until:
                points.append((x + far * cosine, y + far * sine))
                spacing *= WIDER
                far += spacing
        return points
