"""One thread that reads a source, and a slot with room for one frame.

The thread owns the source from `start` to `stop`. `take` may be called from any one other thread and hands out each
frame exactly once: never an old one again, never one that was not read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from mobile_vla.camera.source import CameraFrame, EndOfSource, FrameSource, Stopped


@dataclass(frozen=True)
class FrameCounts:
    """Frames read from the source, handed out, and replaced by a newer one before anyone took them."""

    read: int
    taken: int
    dropped: int


class Grabber:
    """Reads on; a live source's frame replaces an untaken one, a file's frame waits until the last was taken.

    `on_event` is called from the reading thread after each frame and at the end: it should only wake somebody.
    `stopping` is shared with the source's clock (`Clock.wait`), so that a wait inside the source ends at once.
    """

    def __init__(
        self, source: FrameSource, stopping: threading.Event, on_event: Callable[[], None] = lambda: None
    ) -> None:
        self._source = source
        self._stopping = stopping
        self._on_event = on_event
        self._slot = threading.Condition()
        self._frame: CameraFrame | None = None
        self._read = self._taken = self._dropped = 0
        self._failure: BaseException | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="camera-grabber", daemon=True)

    @property
    def ended(self) -> bool:
        """A finite source has delivered its last frame and that frame was taken."""
        with self._slot:
            return self._ended and self._frame is None

    @property
    def counts(self) -> FrameCounts:
        """How many frames went where."""
        with self._slot:
            return FrameCounts(self._read, self._taken, self._dropped)

    def start(self) -> None:
        """Begin reading."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Ask the thread to end and wait for it; False when a read inside the device driver does not return."""
        self._stopping.set()
        with self._slot:
            self._slot.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def take(self) -> CameraFrame | None:
        """The newest frame nobody has seen, or None; re-raises what ended the thread unexpectedly."""
        with self._slot:
            if self._failure is not None:
                raise self._failure
            frame, self._frame = self._frame, None
            if frame is not None:
                self._taken += 1
                self._slot.notify_all()
            return frame

    def _run(self) -> None:
        try:
            self._source.open()
            while not self._stopping.is_set():
                self._offer(self._source.read())
                self._wake()
        except EndOfSource:
            with self._slot:
                self._ended = True
        except Stopped:
            pass
        except BaseException as failure:  # noqa: BLE001  handed to the thread that takes frames, which must not wait for ever
            with self._slot:
                self._failure = failure
        finally:
            self._source.close()
            self._wake()

    def _wake(self) -> None:
        if not self._stopping.is_set():
            self._on_event()

    def _offer(self, frame: CameraFrame) -> None:
        with self._slot:
            self._read += 1
            if not self._source.live:
                self._slot.wait_for(lambda: self._frame is None or self._stopping.is_set())
            if self._frame is not None:
                self._dropped += 1
            self._frame = frame
