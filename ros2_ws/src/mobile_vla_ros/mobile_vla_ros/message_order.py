"""Which message of a topic is new, when the topic is read by several subscriptions.

A reliable subscription hands on nothing of a writer behind a message that is missing: a lost packet until it is sent
again, a message without a byte, which the middleware of the reader throws away, until the queue of its writer has no
room for it. What a person says must not wait for that; it is therefore read by a best-effort subscription, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

UNNUMBERED = 2**64 - 1
"""What a middleware that does not count its messages says instead of a number."""
MOST_WRITERS = 64
MOST_TIMES = 64


def writer_of(info: Any) -> str | None:
    """The id of the writer that sent a message; None before Kilted, where rclpy does not tell."""
    sender = info.get("publisher_gid") if isinstance(info, Mapping) else None
    return bytes(sender["data"]).hex() if sender else None


def sequence_number_of(info: Any) -> int | None:
    """The number of a message among those of its writer; None where the middleware does not count."""
    number = info.get("publication_sequence_number") if isinstance(info, Mapping) else None
    return None if number is None or number >= UNNUMBERED else int(number)


def sent_ns_of(info: Any) -> int:
    """When its writer sent a message, the same for every reader; 0 where the middleware does not say."""
    return int(info.get("source_timestamp", 0)) if isinstance(info, Mapping) else 0


class NewerOnly:
    """Knows the newest message of each writer. Numbers that are passed over are no loss: a best-effort reader has gaps.

    Without writer or number a message is new unless one was sent at the same nanosecond. Times are not compared
    further: the clocks of two writers differ, and a person whose clock is behind must be heard.
    """

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        self._times: deque[int] = deque(maxlen=MOST_TIMES)

    def is_new(self, info: Any) -> bool:
        """Whether to hand a message on; asked once for each that is taken."""
        writer, number = writer_of(info), sequence_number_of(info)
        if writer is None or number is None:
            return self._is_new_time(sent_ns_of(info))
        newest = self._newest.pop(writer, None)
        self._newest[writer] = number if newest is None else max(newest, number)
        if len(self._newest) > MOST_WRITERS:
            del self._newest[next(iter(self._newest))]  # the one that has been silent longest
        return newest is None or number > newest

    def _is_new_time(self, sent_ns: int) -> bool:
        if sent_ns and sent_ns in self._times:
            return False
        self._times.append(sent_ns)
        return True

    def only(self, callback: Callable[[Any], None]) -> Callable[[Any, Any], None]:
        """A callback for subscriptions that an executor serves: what is new reaches the one given."""

        def hear(message: Any, info: Any) -> None:
            if self.is_new(info):
                callback(message)

        return hear
