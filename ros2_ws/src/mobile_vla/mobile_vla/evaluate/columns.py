"""What an evaluation collects, one entry per counted frame, compact: a long bag stays small in memory."""

from __future__ import annotations

import hashlib
from array import array
from typing import NamedTuple

from mobile_vla.bags.align import AlignedFrame
from mobile_vla.timing import Timings


class EpisodeSpan(NamedTuple):
    """A stretch with one instruction, driven without a break."""

    number: int
    bag: str
    start_s: float
    instruction: str


class Columns:
    """Recorded and predicted commands, and how many frames were left out and why."""

    def __init__(self, policies: int) -> None:
        self.t = array("d")
        self.episode = array("q")
        self.has_command = array("b")
        self.recorded = (array("d"), array("d"))
        self.stamp_ns = array("q")
        self.command_log_ns = array("q")
        """When the frame's command was logged; 0 without one."""
        self.by_policy = array("b")
        """No person drove at this frame, as far as the bag says."""
        self.own_at_image = (array("d"), array("d"))
        """What the recorded policy answered to this frame, or to the one before; NaN where it is not known."""
        self.own_in_force = (array("d"), array("d"))
        """What the recorded controller had of it when it gave this frame's command."""
        self.predicted = [(array("d"), array("d")) for _ in range(policies)]
        self.episodes: list[EpisodeSpan] = []
        self.frames = 0
        self.not_counted = 0
        self.dropped = 0
        self.repeated = 0
        """Frames with the very stamp of the frame before."""
        self.without_instruction = 0
        self.guarded = [0] * policies
        """Frames at which the range guard held a policy back (`gate` only)."""
        self.model_ms = [Timings(keep=2000) for _ in range(policies)]
        """Per frame, of each policy: towers and head, without decoding and resizing."""

    def note(
        self,
        t: float,
        episode: int,
        sample: AlignedFrame,
        recorded: tuple[float, float] | None,
        commands: list[tuple[float, float]],
    ) -> None:
        """One counted frame; `commands` has one pair per policy."""
        self.stamp_ns.append(sample.frame.stamp_ns)
        self.command_log_ns.append(sample.command.log_ns if sample.command is not None else 0)
        self.by_policy.append(sample.mode is None or sample.mode.values.get("mode") != "teleop")
        self.t.append(t)
        self.episode.append(episode)
        self.has_command.append(recorded is not None)
        for axis in (0, 1):
            self.recorded[axis].append(recorded[axis] if recorded is not None else 0.0)
            for index, command in enumerate(commands):
                self.predicted[index][axis].append(command[axis])

    def digest(self) -> str:
        """Changes when any predicted number changes in any bit: what determinism is checked by."""
        sha = hashlib.sha256()
        for pair in self.predicted:
            for column in pair:
                sha.update(column.tobytes())
        return sha.hexdigest()[:16]
