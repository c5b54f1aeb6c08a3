"""Saves the ring buffer into a bag while the recorder continues.

Thread contract: a save's own thread owns the bag and what is not written yet. Everybody else may read `bytes_left`,
`running`, and `path` once `opened` is set; the rest once the thread has ended.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path

from mobile_vla.bags.ring import Ring
from mobile_vla.bags.storage import StorageError
from mobile_vla.bags.types import RawMessage
from mobile_vla.bags.writer import BagWriter
from mobile_vla.errors import UserError

_CHECK_BYTES = 32_000_000
"""The free space is looked at before this much is written."""


class RingSave:
    """One save. `open_bag` raises `UserError`; `low_space` is a sentence when the disk has too little left, else empty.

    Memory shrinks with every message that is written. Every message is in the bag, counted in `lost`, or, when no bag
    could be opened, still in `untouched`.
    """

    def __init__(
        self, messages: Sequence[RawMessage], open_bag: Callable[[], BagWriter], low_space: Callable[[], str]
    ) -> None:
        self.untouched = deque(messages)
        self.total = len(messages)
        self.span_s = (messages[-1].log_ns - messages[0].log_ns) / 1e9
        self.bytes_left = self.total_bytes = sum(len(message.data) for message in messages)
        self.path: Path | None = None
        self.saved = 0
        self.error = ""
        self.lost: Counter[str] = Counter()
        self._topics = Counter(message.topic for message in messages)
        self.opened = threading.Event()
        """Set once the bag is open, or refused."""
        self._open_bag = open_bag
        self._low_space = low_space
        self._thread = threading.Thread(target=self._run, name="ring saver", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> None:
        self._thread.join()

    @property
    def message(self) -> str:
        """What is being done, for whoever asked for it."""
        where = f" into {self.path}" if self.path is not None else ""
        megabytes = self.total_bytes / 1e6
        return f"saving {self.span_s:.1f} s ({self.total} messages, {megabytes:.1f} MB){where}"

    def _run(self) -> None:
        try:
            bag = self._open_bag()
            self.path = bag.folder
        except UserError as error:
            self.error = str(error)
            return
        finally:
            self.opened.set()
        try:
            self._write(bag)
        except StorageError as error:
            self.error = str(error)
        try:
            bag.finish()
        except StorageError as error:
            self.error = str(error)
        self.saved = bag.message_count
        self.lost = self._topics - Counter(bag.counts)
        self.untouched.clear()
        self.bytes_left = 0

    def _write(self, bag: BagWriter) -> None:
        check_at = self.total_bytes
        while self.untouched:
            if self.bytes_left <= check_at:
                check_at = self.bytes_left - _CHECK_BYTES
                if reason := self._low_space():
                    self.error = reason
                    return
            message = self.untouched[0]
            bag.write(message.topic, message.log_ns, message.data)
            self.untouched.popleft()
            self.bytes_left -= len(message.data)


class SavingRing:
    """A ring and at most one save of it. One thread at a time.

    Both share the memory limit; the ring alone always has `least_bytes`, so that it loses nothing while a save begins.
    """

    def __init__(self, ring: Ring, least_bytes: int) -> None:
        self._ring = ring
        self._limit = ring.limit_bytes
        self._least = min(least_bytes, ring.limit_bytes)
        self._save: RingSave | None = None
        self.span_s = 0.0
        """Length of what the ring holds. Like `saving`, any thread may read it."""

    @property
    def saving(self) -> bool:
        return self._save is not None

    def add(self, message: RawMessage) -> None:
        left = self._save.bytes_left if self._save is not None else 0
        self._ring.limit_bytes = max(self._limit - left, self._least)
        self._ring.add(message)
        self.span_s = self._ring.span_s

    def begin(self, open_bag: Callable[[], BagWriter], low_space: Callable[[], str]) -> RingSave | str:
        """Start to save what the ring holds, or say why not."""
        if self._save is not None:
            left_mb = self._save.bytes_left / 1e6
            return f"{self._save.path} is still being saved, {left_mb:.1f} MB to go; ask again when it is complete"
        messages = self._ring.take()
        if not messages:
            return "the ring buffer is empty, so there is nothing to save"
        self.span_s = 0.0
        self._save = RingSave(messages, open_bag, low_space)
        self._save.start()
        return self._save

    def ended(self, wait: bool = False) -> RingSave | None:
        """The save that has ended, once; what no bag could be opened for is in the ring again."""
        save = self._save
        if save is None:
            return None
        if wait:
            save.join()
        if save.running:
            return None
        if save.path is None:
            self._ring.limit_bytes = self._limit
            self._ring.put_back(save.untouched)
        self._save = None
        return save
