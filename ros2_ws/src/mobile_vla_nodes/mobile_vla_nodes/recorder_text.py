"""What the recorder says when it begins and when it ends, for whoever started it in a terminal."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from mobile_vla.bags.config import RecorderConfig

_ALWAYS_THERE = {"/diagnostics", "/rosout", "/parameter_events"}
"""Topics on which the recorder itself publishes: no sign of a robot."""


def plan(config: RecorderConfig) -> str:
    """What is going to happen."""
    bag = Path(config.out_dir) / (config.name or "vla_<date>_<time>")
    if config.continuous:
        return f"recording into {bag} until the process ends"
    return f"keeping the last {config.ring_s:g} s in memory; the service recorder/save writes them into {bag}"


def ending(bag: Path | None, messages: int, heard: Collection[str]) -> str:
    """What became of the bag; `heard` are the topics of which something came in."""
    complete = f"bag complete: {bag}, {messages} messages" if bag is not None else ""
    if bag is not None and set(heard) - _ALWAYS_THERE:
        return complete
    nothing = "no message was recorded of a robot; is its graph running, with the same ROS_DOMAIN_ID and namespace?"
    return f"{complete}; {nothing}" if complete else nothing
