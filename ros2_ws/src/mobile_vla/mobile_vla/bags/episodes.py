"""Episodes: from the moment the robot may drive until it may not, or is told something else.

The recorder writes the marks as diagnostic_msgs/DiagnosticStatus on `recorder/episode`: message `begin` or `end`,
values number, instruction, and at the end outcome and seconds. Any viewer shows them.
"""

from __future__ import annotations

from typing import NamedTuple

DRIVING = frozenset({"autonomy", "teleop", "hold"})
TOPIC = "recorder/episode"


class Mark(NamedTuple):
    """One end of an episode."""

    begins: bool
    number: int
    instruction: str
    outcome: str
    seconds: float

    def values(self) -> dict[str, str]:
        """The key-value pairs of the mark's message."""
        pairs = {"number": str(self.number), "instruction": self.instruction}
        return pairs if self.begins else {**pairs, "outcome": self.outcome, "seconds": f"{self.seconds:.3f}"}


class EpisodeMarker:
    """Watches instruction and mode; pure, the time is an argument."""

    def __init__(self) -> None:
        self._instruction = ""
        self._mode = ""
        self._number = 0
        self._since_ns: int | None = None

    def on_instruction(self, text: str, now_ns: int) -> list[Mark]:
        """A different instruction ends one episode and begins the next."""
        if text == self._instruction:
            return []
        marks = self._end("new instruction", now_ns)
        self._instruction = text
        return marks + self._begin_if_driving(now_ns)

    def on_mode(self, mode: str, now_ns: int) -> list[Mark]:
        """Armed begins an episode; disarmed, a fault or an emergency stop ends it with that outcome."""
        if mode == self._mode:
            return []
        self._mode = mode
        if mode in DRIVING:
            return self._begin_if_driving(now_ns) if self._since_ns is None else []
        return self._end(mode, now_ns)

    def finish(self, now_ns: int) -> list[Mark]:
        """The recording ends."""
        return self._end("recording ended", now_ns)

    def _begin_if_driving(self, now_ns: int) -> list[Mark]:
        if self._mode not in DRIVING:
            return []
        self._number += 1
        self._since_ns = now_ns
        return [Mark(True, self._number, self._instruction, "", 0.0)]

    def _end(self, outcome: str, now_ns: int) -> list[Mark]:
        if self._since_ns is None:
            return []
        seconds = (now_ns - self._since_ns) / 1e9
        self._since_ns = None
        return [Mark(False, self._number, self._instruction, outcome, seconds)]
