"""Ring buffer of the last seconds of all topics."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable

from mobile_vla.bags.types import RawMessage


class Ring:
    """Messages of the last `span_ns`, bounded in bytes. One thread at a time.

    Of topics in `latched` the newest message that fell out is kept too: it still holds at the start of the ring.
    """

    def __init__(self, span_ns: int, limit_bytes: int, latched: Collection[str] = ()) -> None:
        self._span_ns = span_ns
        self.limit_bytes = limit_bytes
        """May be changed at any time; holds from the next message on."""
        self._latched = frozenset(latched)
        self._messages: deque[RawMessage] = deque()
        self._before: dict[str, RawMessage] = {}
        self.bytes = 0

    def add(self, message: RawMessage) -> None:
        if self._messages and message.log_ns < self._messages[-1].log_ns - self._span_ns:
            self.clear()  # the clock was set back
        self._messages.append(message)
        self.bytes += len(message.data)
        self._trim()

    def take(self) -> list[RawMessage]:
        """Everything held, oldest first, and forget it; what latched topics said before comes first."""
        if not self._messages:
            return []
        start_ns = self._messages[0].log_ns
        before = [message._replace(log_ns=start_ns) for message in self._before.values()]
        messages = [*before, *self._messages]
        self.clear()
        return messages

    def put_back(self, messages: Iterable[RawMessage]) -> None:
        """What was taken and not needed; it is older than everything held."""
        newer = [*self._messages]
        self._messages = deque(messages)
        self._messages.extend(newer)
        self.bytes = sum(len(message.data) for message in self._messages)
        self._trim()

    def clear(self) -> None:
        for message in self._messages:
            self._remember(message)
        self._messages.clear()
        self.bytes = 0

    @property
    def span_s(self) -> float:
        return (self._messages[-1].log_ns - self._messages[0].log_ns) / 1e9 if self._messages else 0.0

    def _trim(self) -> None:
        oldest_ns = self._messages[-1].log_ns - self._span_ns if self._messages else 0
        while len(self._messages) > 1 and (self._messages[0].log_ns < oldest_ns or self.bytes > self.limit_bytes):
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        oldest = self._messages.popleft()
        self.bytes -= len(oldest.data)
        self._remember(oldest)

    def _remember(self, message: RawMessage) -> None:
        if message.topic in self._latched:
            self._before[message.topic] = message
