"""Stamps of messages as integers. `rclpy.time.Time` raises for what a broken sender writes; these are only judged."""

from __future__ import annotations

from typing import Any

NS_PER_S = 1_000_000_000


def stamp_ns(message: Any) -> int:
    """The header's stamp in nanoseconds, whatever it says: negative seconds and too many nanoseconds included."""
    stamp = message.header.stamp
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)
