"""Keep a source open: try again with exponential back-off, count, and say why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mobile_vla.camera.config import ReconnectConfig
from mobile_vla.camera.source import CameraFrame, Clock, DamagedFrame, EndOfSource, FrameSource, SourceLost, Stopped

OPENING, RUNNING, WAITING, ENDED, CLOSED = "opening", "running", "waiting", "ended", "closed"


@dataclass(frozen=True)
class SourceState:
    """What a wrapped source is doing; a new object at every change, so any thread may read it."""

    phase: str = CLOSED
    reason: str = ""
    reconnects: int = 0
    failures: int = 0
    damaged: int = 0
    damage: str = ""
    retry_s: float = 0.0


class Reconnecting:
    """A source whose `read` only ever returns true frames, however often the device disappears.

    The back-off starts anew after a frame has been read, not after a mere open: a device that opens and delivers
    nothing is retried ever more slowly. `EndOfSource` and `Stopped` pass through.
    """

    def __init__(self, source: FrameSource, config: ReconnectConfig, clock: Clock) -> None:
        self.live = source.live
        self.description = source.description
        self.state = SourceState()
        self._source = source
        self._config = config
        self._clock = clock
        self._wait_s = config.initial_s
        self._is_open = False
        self._was_running = False

    def check(self) -> None:
        """Raise `UserError` for what trying again can never fix."""
        self._source.check()

    def open(self) -> None:
        """Nothing to wait for: the first `read` opens."""

    def read(self) -> CameraFrame:
        """The next true frame; blocks through any number of reconnections."""
        while True:
            try:
                if not self._is_open:
                    self._say(OPENING, self.state.reason)
                    self._source.open()
                    self._is_open = True
                frame = self._source.read()
            except DamagedFrame as damage:
                self._say(self.state.phase, self.state.reason, damaged=self.state.damaged + 1, damage=str(damage))
                if self._clock.wait(0.0):
                    raise Stopped from None
            except EndOfSource as end:
                self._release()
                self._say(ENDED, str(end))
                raise
            except SourceLost as loss:
                self._back_off(str(loss))
            else:
                self._running()
                return frame

    def close(self) -> None:
        """Release the source; that it had come to its end stays said."""
        self._release()
        if self.state.phase != ENDED:
            self._say(CLOSED, "")

    def _running(self) -> None:
        if self.state.phase != RUNNING:
            again = 1 if self._was_running else 0
            self._say(RUNNING, "", reconnects=self.state.reconnects + again)
            self._was_running = True
            self._wait_s = self._config.initial_s

    def _back_off(self, reason: str) -> None:
        self._release()
        wait_s = self._wait_s
        self._wait_s = min(wait_s * self._config.factor, self._config.max_s)
        self._say(WAITING, reason, failures=self.state.failures + 1, retry_s=wait_s)
        if self._clock.wait(wait_s):
            raise Stopped

    def _release(self) -> None:
        self._is_open = False
        self._source.close()

    def _say(self, phase: str, reason: str, **changes: Any) -> None:
        kept = {name: getattr(self.state, name) for name in ("reconnects", "failures", "damaged", "damage")}
        self.state = SourceState(phase=phase, reason=reason, **{**kept, **changes})
