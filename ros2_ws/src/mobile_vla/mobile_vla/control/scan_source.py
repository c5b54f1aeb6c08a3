"""Whether scans come from one scanner: of two that are relayed on one topic, each shows a part as the whole."""

from __future__ import annotations

import math
from typing import NamedTuple

from mobile_vla.control.clock import NS_PER_S, Rejected, to_s
from mobile_vla.control.scan_sides import ScanGeometry

STEADY_NS = NS_PER_S
"""A driver that was restarted with other settings is used after it sent the same for this long."""
_ANGLE_RAD = 0.1
_INCREMENT_SHARE = 0.1
"""Scanners without a fixed clock of beams send a few more or fewer in each turn."""


class _Kind(NamedTuple):
    frame_id: str
    first_rad: float
    last_rad: float
    increment_rad: float
    range_min_m: float
    range_max_m: float

    def differs(self, other: _Kind) -> bool:
        return (
            self.frame_id != other.frame_id
            or abs(self.first_rad - other.first_rad) > _ANGLE_RAD
            or abs(self.last_rad - other.last_rad) > _ANGLE_RAD
            or not math.isclose(self.increment_rad, other.increment_rad, rel_tol=_INCREMENT_SHARE)
            or not math.isclose(self.range_min_m, other.range_min_m, rel_tol=1e-6)
            or not math.isclose(self.range_max_m, other.range_max_m, rel_tol=1e-6)
        )

    def __str__(self) -> str:
        return (
            f"{self.first_rad:.2f} to {self.last_rad:.2f} rad by {self.increment_rad:.4f}, {self.range_min_m:g} to "
            f"{self.range_max_m:g} m, frame {self.frame_id!r}"
        )


class ScanSource:
    """Compares each scan with the one before it."""

    def __init__(self) -> None:
        self._kind: _Kind | None = None
        self._changed_ns: int | None = None
        self._change = ""

    def check(self, frame_id: str, geometry: ScanGeometry, count: int, steady_ns: int) -> None:
        """Raises `Rejected` for a scan unlike the one before, and until `STEADY_NS` after the last such change."""
        first, step, nearest, farthest = geometry
        kind = _Kind(frame_id, first, first + step * (count - 1), step, nearest, farthest)
        before, self._kind = self._kind, kind
        if before is not None and kind.differs(before):
            self._changed_ns = steady_ns
            self._change = f"from {before} to {kind}"
        elif self._changed_ns is not None and steady_ns - self._changed_ns >= STEADY_NS:
            self._changed_ns = None
        if self._changed_ns is not None:
            raise Rejected(
                "scan.changing",
                f"the scan's angles, ranges or frame changed {self._change}; one scanner per topic: merge several into "
                f"one scan, or wait {to_s(STEADY_NS):g} s after a change of settings",
            )
