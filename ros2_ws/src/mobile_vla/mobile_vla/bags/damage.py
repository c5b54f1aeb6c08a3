"""How much of a damaged bag was lost, in figures and in one sentence."""

from __future__ import annotations

from typing import NamedTuple


class Damage(NamedTuple):
    """What could not be read. `messages_expected` is None when nothing says how many there were."""

    reasons: tuple[str, ...]
    messages_read: int
    messages_expected: int | None
    bytes_lost: int
    bytes_total: int

    @property
    def sentence(self) -> str:
        share = 100.0 * self.bytes_lost / self.bytes_total if self.bytes_total else 0.0
        lost = f"{self.bytes_lost} of {self.bytes_total} bytes ({share:.1f} %) could not be read"
        if self.messages_expected is not None:
            missing = max(0, self.messages_expected - self.messages_read)
            lost += f", {missing} of {self.messages_expected} messages are missing"
        else:
            lost += f", {self.messages_read} messages were read"
        return f"{'; '.join(self.reasons)}: {lost}"
