"""When simulated time moves and when a sensor is due. Pure; int nanoseconds, the clock is an argument."""

from __future__ import annotations

import collections

import numpy as np

from mobile_vla_sim.config import SimCameraConfig
from mobile_vla_sim.rendering import Image

NS = 1_000_000_000


class SimTimePacer:
    """How far simulated time should be, for real time times `scale`.

    A simulation that cannot keep up loses time instead of hurrying after it: the lost time is counted.
    """

    _PATIENCE_NS = 200_000_000

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._last_wall_ns: int | None = None
        self._target_ns = 0.0
        self.lost_ns = 0

    def behind(self, wall_ns: int, simulated_ns: int) -> int:
        """Simulated nanoseconds to advance now."""
        if self._last_wall_ns is not None:
            self._target_ns += (wall_ns - self._last_wall_ns) * self._scale
        self._last_wall_ns = wall_ns
        lag = self._target_ns - simulated_ns
        most = self._PATIENCE_NS * max(1.0, self._scale)
        if lag > most:
            self.lost_ns += int(lag - most)
            self._target_ns -= lag - most
            lag = most
        return max(0, int(lag))


class SensorSchedule:
    """Fires at multiples of a period of simulated time; occasions that passed unseen are not made up for."""

    def __init__(self, rate_hz: float) -> None:
        self._period_ns = round(NS / rate_hz) if rate_hz > 0.0 else 0
        self._next_ns = 0

    def due(self, now_ns: int) -> bool:
        if not self._period_ns or now_ns < self._next_ns:
            return False
        self._next_ns = (now_ns // self._period_ns + 1) * self._period_ns
        return True


class Shutter:
    """Loses some images and delays the others, as the camera's configuration says."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng((seed, 9))
        self._waiting: collections.deque[tuple[int, int, Image]] = collections.deque()
        self.lost = 0

    def loses(self, config: SimCameraConfig) -> bool:
        """Whether the image that is due now never comes. Ask once per image."""
        lost = config.drop_share > 0.0 and self._rng.random() < config.drop_share
        self.lost += lost
        return bool(lost)

    def take(self, now_ns: int, stamp_ns: int, image: Image, config: SimCameraConfig) -> None:
        """Hold an image taken at simulated `now_ns` until its latency is over; `stamp_ns` is what it will say."""
        self._waiting.append((now_ns + round(config.latency_s * NS), stamp_ns, image))

    def ready(self, now_ns: int) -> tuple[int, Image] | None:
        """The next image whose latency is over, with its stamp."""
        if self._waiting and self._waiting[0][0] <= now_ns:
            _, stamp_ns, image = self._waiting.popleft()
            return stamp_ns, image
        return None
