"""How much of a damaged bag was lost, as counts and as text."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple


class Damage(NamedTuple):
    """What could not be read. `messages_expected` is None when nothing says how many there were."""

    reasons: tuple[str, ...]
    messages_read: int
    messages_expected: int | None
    bytes_lost: int
    bytes_total: int

    @property
    def message(self) -> str:
        share = 100.0 * self.bytes_lost / self.bytes_total if self.bytes_total else 0.0
        lost = f"{self.bytes_lost} of {self.bytes_total} bytes ({share:.1f} %) could not be read"
        if self.messages_expected is not None:
            missing = max(0, self.messages_expected - self.messages_read)
            lost += f", {missing} of {self.messages_expected} messages are missing"
        else:
            lost += f", {self.messages_read} messages were read"
        return f"{'; '.join(self.reasons)}: {lost}"


class UndecodableCount:
    """Messages that are in the file whole, but are not what their type says: skipped, and counted by topic."""

    def __init__(self) -> None:
        self.read: Counter[str] = Counter()
        """Messages looked at, by topic."""
        self.skipped: Counter[str] = Counter()
        """Those of them that could not be decoded."""
        self._first: dict[str, str] = {}

    def skip(self, topic: str, at_s: float, why: str) -> None:
        """Count one, that many seconds into the bag; the first of a topic is remembered."""
        self.skipped[topic] += 1
        self._first.setdefault(topic, f"the first at {at_s:.1f} s: {why}")

    def all_of(self, topic: str | None) -> bool:
        """Whether there were messages of a topic and not a single one could be decoded."""
        return topic is not None and 0 < self.read[topic] <= self.skipped[topic]

    def about(self, topic: str) -> str:
        """`none of 3 messages on /instruction can be decoded (the first at 0.0 s: why)`."""
        share = "none" if self.all_of(topic) else f"{self.skipped[topic]}"
        can = "can" if self.all_of(topic) else "cannot"
        return f"{share} of {self.read[topic]} messages on {topic} {can} be decoded ({self._first[topic]})"

    @property
    def message(self) -> str:
        """All topics; empty when nothing was skipped."""
        return "; ".join(self.about(topic) for topic in sorted(self.skipped))
