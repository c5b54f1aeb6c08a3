"""How long a process that was asked to end is waited for: longer while it writes, as a recorder that completes a bag.

Time and bytes are arguments.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

SIGINT_PATIENCE_S = 5.0
SIGTERM_PATIENCE_S = 2.0
WRITING_PATIENCE_S = 120.0
"""The longest that a process is waited for because it writes, from when it was asked to end."""
LEAST_WRITTEN_BYTES = 65_536
"""What counts as writing on: some lines of a log do not."""


class Endable(Protocol):
    """A process, for whoever ends it."""

    name: str

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    def send(self, number: signal.Signals) -> None: ...

    def kill(self) -> None: ...


def written_bytes(pid: int) -> int:
    """What a process has written so far, by system calls; 0 where nothing says, and when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/io").read_text().partition("wchar: ")[2].split()[0])
    except (OSError, IndexError):
        return 0


class Ending:
    """One process after SIGINT: SIGTERM when it has written nothing for `SIGINT_PATIENCE_S`, SIGKILL when for
    `SIGTERM_PATIENCE_S` after that; both also when `WRITING_PATIENCE_S` are over, whatever it writes.
    """

    def __init__(self, process: Endable, asked_s: float, written: int, say: Callable[[str, str], None]) -> None:
        self.process = process
        self._asked_s = asked_s
        self._since_s = asked_s
        self._written = written
        self._say = say
        self._said = False
        self._terminated = False

    def over(self, now_s: float, written: int) -> bool:
        """Whether the process has ended; sends it the next signal when that is due."""
        if self.process.returncode is not None:
            return True
        late = now_s - self._asked_s >= WRITING_PATIENCE_S
        if not late and written - self._written >= LEAST_WRITTEN_BYTES:
            self._written, self._since_s = written, now_s
        quiet_s = now_s - self._since_s
        if self._terminated:
            return self._kill(late) if quiet_s >= SIGTERM_PATIENCE_S else False
        if late or quiet_s >= SIGINT_PATIENCE_S:
            self.process.send(signal.SIGTERM)
            self._terminated, self._since_s = True, now_s
        elif now_s - self._asked_s >= SIGINT_PATIENCE_S and not self._said:
            self._said = True
            self._say(self.process.name, f"still writing; it is waited for, at most {WRITING_PATIENCE_S:g} s in all")
        return False

    def _kill(self, late: bool) -> bool:
        if late:
            self._say(
                self.process.name,
                f"still writing after {WRITING_PATIENCE_S:g} s, killed; `vla record --recover` completes a bag",
            )
        self.process.kill()
        return True
