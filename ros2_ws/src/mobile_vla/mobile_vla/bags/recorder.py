"""Raw messages to disk without blocking the caller.

Thread contract: `announce`, `offer`, `save` and `state` may be called from any thread and only store or copy. The
worker thread alone owns the bag and the ring; what is saved of the ring is handed to a thread of its own, so that the
ring goes on. What the disk cannot take in time is dropped and counted by topic.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from mobile_vla.bags.bag_folder import Announced, BagFolder
from mobile_vla.bags.config import RecorderConfig
from mobile_vla.bags.ring import Ring
from mobile_vla.bags.ring_save import RingSave, SavingRing
from mobile_vla.bags.storage import StorageError
from mobile_vla.bags.types import Qos, RawMessage
from mobile_vla.bags.writer import BagWriter
from mobile_vla.errors import UserError

RETRY_S = 5.0
_SPACE_CHECK_S = 1.0
_DRAIN_S = 0.03  # waking for every single message costs more than writing it
ANSWER_S = 0.25
"""How long `save` waits for the disk: callbacks that wait longer lose messages."""


class _SaveRequest:
    """A call of `save`, on its way through the queue so that everything offered before it is covered."""

    def __init__(self) -> None:
        self.seen = threading.Event()
        self.answer: RingSave | tuple[bool, str] = (False, "")


class RecorderState(NamedTuple):
    """A copy of what the recorder is doing. `error` is one sentence, empty while all is well."""

    recording: bool
    error: str
    bag: Path | None
    messages: int
    megabytes: float
    dropped: dict[str, int]
    queued_mb: float
    ring_s: float
    saved: Path | None
    """The newest complete save of the ring."""
    undefined: tuple[str, ...]
    """Topics whose message definition was not found."""


class Recorder:
    """Records what is offered, or keeps it in the ring until `save`. Steady time and free space are arguments."""

    def __init__(
        self,
        config: RecorderConfig,
        *,
        share_dirs: Iterable[Path] = (),
        steady_s: Callable[[], float] = time.monotonic,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
        wall: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._config = config
        self._steady_s = steady_s
        self._folder = BagFolder(config, share_dirs, free_bytes, wall)
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._queue: deque[RawMessage | _SaveRequest] = deque()
        self._queued = 0
        self._dropped: Counter[str] = Counter()
        self._running = False
        self._bag: BagWriter | None = None
        self._path: Path | None = None
        self._ring: SavingRing | None = None
        self._saved: Path | None = None
        self._finished = 0
        self._error = ""
        self._ended = False
        self._retry_at_s = 0.0
        self._flush_at_s = 0.0
        self._check_at_s = 0.0
        self._thread = threading.Thread(target=self._run, name="bag writer", daemon=True)

    # any thread

    def start(self) -> None:
        self._running = True
        self._thread.start()

    def announce(self, topic: str, message_type: str, qos: Qos) -> None:
        """Messages of this topic may be offered from now on."""
        self._folder.announce(Announced(topic, message_type, qos))

    def offer(self, topic: str, log_ns: int, data: bytes) -> None:
        """Take one message, or drop and count it when the disk is too slow."""
        with self._lock:
            if self._queued + len(data) > self._config.queue_mb * 1_000_000:
                self._dropped[topic] += 1
                return
            self._queue.append(RawMessage(topic, self._folder.type_of(topic), log_ns, data))
            self._queued += len(data)

    def save(self) -> tuple[bool, str]:
        """Begin to write the ring to a new bag (when continuous: flush the bag); whether it goes well, and where to.

        Returns within `ANSWER_S`, whatever the disk does. The bag has its name when it is complete; `state` says what
        went wrong after that.
        """
        asked = _SaveRequest()
        with self._lock:
            if not self._running:
                return False, "the recorder has stopped"
            self._queue.append(asked)
        self._wake.set()
        until_s = time.monotonic() + ANSWER_S
        if not asked.seen.wait(ANSWER_S):
            return True, f"the disk is busy: what has arrived is written after {self._queued / 1e6:.1f} MB that wait"
        save = asked.answer
        if isinstance(save, tuple):
            return save
        save.opened.wait(max(0.0, until_s - time.monotonic()))
        return not save.error, save.error or save.message

    def finish(self) -> Path | None:
        """Write what waits, complete the bag, end the thread; the last bag's path."""
        with self._lock:
            self._running = False
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        return self._path

    def state(self) -> RecorderState:
        with self._lock:
            bag, ring = self._bag, self._ring
            return RecorderState(
                bag is not None or (ring is not None and ring.saving),
                self._error,
                self._path,
                bag.message_count if bag is not None else self._finished,
                bag.size_bytes / 1e6 if bag is not None else 0.0,
                dict(self._dropped),
                self._queued / 1e6,
                ring.span_s if ring is not None else 0.0,
                self._saved,
                self._folder.undefined,
            )

    # the worker thread

    def _run(self) -> None:
        while True:
            self._wake.wait(_DRAIN_S)
            self._wake.clear()
            with self._lock:
                items = list(self._queue)
                self._queue.clear()
                running = self._running
            for item in items:
                self._handle(item)
            self._flush_and_check_space()
            if not running and not items:
                break
        self._close()
        self._finish_save(wait=True)

    def _handle(self, item: RawMessage | _SaveRequest) -> None:
        if isinstance(item, _SaveRequest):
            self._finish_save()
            item.answer = self._flushed() if self._config.continuous else self._begin_save()
            item.seen.set()
            return
        try:
            if self._config.continuous:
                self._record(item)
            else:
                self._current_ring().add(item)
        finally:
            with self._lock:
                self._queued -= len(item.data)

    def _record(self, message: RawMessage) -> None:
        bag = self._bag or self._open()
        if bag is None:
            with self._lock:
                self._dropped[message.topic] += 1
            return
        self._write(bag, message)

    def _write(self, bag: BagWriter, message: RawMessage) -> None:
        self._folder.add_topic(bag, message.topic)
        try:
            bag.write(message.topic, message.log_ns, message.data)
        except StorageError as error:
            self._end(str(error))

    def _open(self) -> BagWriter | None:
        """A new bag, unless there was a reason to stop; a folder that cannot be written is tried again later."""
        if self._ended or self._steady_s() < self._retry_at_s:
            return None
        try:
            bag = self._folder.open()
        except UserError as error:
            self._error = str(error)
            self._retry_at_s = self._steady_s() + RETRY_S
            return None
        self._error = ""
        self._path = bag.folder
        self._bag = bag
        return bag

    def _flush_and_check_space(self) -> None:
        """Flush in time; stop while there is still room to end properly."""
        self._finish_save()
        if self._bag is None:
            return
        now_s = self._steady_s()
        if now_s >= self._flush_at_s:
            self._flush_at_s = now_s + self._config.flush_s
            try:
                self._bag.flush()
            except StorageError as error:
                self._end(str(error))
                return
        if now_s >= self._check_at_s:
            self._check_at_s = now_s + _SPACE_CHECK_S
            if reason := self._folder.low_space():
                self._end(reason)

    def _end(self, reason: str) -> None:
        """Complete the bag and record no more; what comes is dropped and counted."""
        self._close()
        self._error = reason
        self._ended = True

    def _close(self) -> None:
        bag, self._bag = self._bag, None
        if bag is None:
            return
        self._finished = bag.message_count
        try:
            bag.finish()
        except StorageError as error:
            self._error = str(error)
            self._ended = True

    def _current_ring(self) -> SavingRing:
        if self._ring is None:
            config = self._config
            ring = Ring(int(config.ring_s * 1e9), config.ring_mb * 1_000_000, self._folder.latched)
            self._ring = SavingRing(ring, config.queue_mb * 1_000_000)
        return self._ring

    def _begin_save(self) -> RingSave | tuple[bool, str]:
        begun = self._current_ring().begin(self._folder.open, self._folder.low_space)
        return (False, begun) if isinstance(begun, str) else begun

    def _flushed(self) -> tuple[bool, str]:
        if self._bag is not None:
            try:
                self._bag.flush()
            except StorageError as error:
                self._end(str(error))
        elif not self._error:
            return False, "nothing has arrived yet, so there is nothing to save"
        return not self._error, self._error or f"saved {self._path}"

    def _finish_save(self, wait: bool = False) -> None:
        """Take note of a save that has ended."""
        save = self._ring.ended(wait) if self._ring is not None else None
        if save is None:
            return
        with self._lock:
            self._dropped.update(save.lost)
        self._error = save.error
        if save.path is not None:
            self._path, self._finished = save.path, save.saved
            self._saved = None if save.error else save.path
