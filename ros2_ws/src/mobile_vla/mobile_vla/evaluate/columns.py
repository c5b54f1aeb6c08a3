"""What an evaluation collects, one entry per counted frame, compact: a long bag stays small in memory."""

from __future__ import annotations

import hashlib
from array import array
from typing import NamedTuple

from mobile_vla.timing import Timings


class Episode(NamedTuple):
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
        self.predicted = [(array("d"), array("d")) for _ in range(policies)]
        self.episodes: list[Episode] = []
        self.frames = 0
        self.not_counted = 0
        self.dropped = 0
        self.repeated = 0
        """Frames with the very stamp of the frame before."""
        self.without_instruction = 0
        self.guarded = [0] * policies
        """Frames at which the range guard held a policy back (`closed` only)."""
        self.model_ms = [Timings(keep=2000) for _ in range(policies)]
        """Per frame, of each policy: towers and head, without decoding and resizing."""

    def note(
        self,
        t: float,
        episode: int,
        recorded: tuple[float, float] | None,
        commands: list[tuple[float, float]],
    ) -> None:
        """One counted frame; `commands` has one pair per policy."""
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
