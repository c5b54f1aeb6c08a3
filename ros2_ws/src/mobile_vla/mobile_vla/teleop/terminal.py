"""Raw keyboard input from a terminal: keys without delay or echo, one status line, settings restored at the end.

The keys Ctrl-Z, Ctrl-S and Ctrl-Backslash are disabled: a suspended program would stop sending commands.
Everything written is dropped rather than waited for, so that a stuck terminal cannot stop the caller.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import termios
import threading
from collections.abc import Callable, Iterator

from mobile_vla.errors import UserError

_LFLAG, _IFLAG, _CC = 3, 0, 6


class Terminal:
    """Owns the terminal behind a file descriptor until `restore`, which may be called any number of times."""

    def __init__(self, descriptor: int = 0) -> None:
        if not os.isatty(descriptor):
            raise UserError(
                "the keyboard needs a terminal and standard input is none; start it in one (over SSH: ssh -t)"
            )
        # A file description of our own: non-blocking here, and not for the shell.
        self._fd = os.open(os.ttyname(descriptor), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        if _in_background(self._fd):
            os.close(self._fd)
            raise UserError("the keyboard was started in the background; start it without &")
        self._before = termios.tcgetattr(self._fd)
        self._restored = False
        self._wake_in, self._wake_out = os.pipe()
        self._thread: threading.Thread | None = None
        atexit.register(self.restore)
        self._change()

    def start(self, on_bytes: Callable[[bytes], None]) -> None:
        """Read in a thread; `on_bytes` gets every piece on that thread, and b"" when the terminal is gone."""
        self._thread = threading.Thread(target=self._read, args=(on_bytes,), name="terminal", daemon=True)
        self._thread.start()

    def restore(self) -> None:
        """Put everything back as it was and stop reading."""
        if self._restored:
            return
        os.write(self._wake_out, b".")
        if self._thread is not None:
            self._thread.join(1.0)
        self.write("\r\n")
        self._restored = True
        with _background_allowed(), contextlib.suppress(termios.error):  # a terminal that is gone needs no restoring
            termios.tcsetattr(self._fd, termios.TCSANOW, self._before)
        for descriptor in (self._fd, self._wake_in, self._wake_out):
            os.close(descriptor)
        atexit.unregister(self.restore)

    def show(self, line: str) -> None:
        """Replace the live line."""
        self.write(f"\r\033[K{line[: self._columns() - 1]}")

    def say(self, message: str) -> None:
        """Write a line that stays, where the live line was."""
        self.write(f"\r\033[K{message}\n")

    def write(self, text: str) -> None:
        """Write what the terminal takes at once; the rest is dropped."""
        if self._restored:
            return
        with contextlib.suppress(OSError):
            os.write(self._fd, text.encode())

    def _change(self) -> None:
        mode = termios.tcgetattr(self._fd)
        mode[_LFLAG] &= ~(termios.ICANON | termios.ECHO)
        mode[_IFLAG] &= ~termios.IXON
        disabled = os.fpathconf(self._fd, "PC_VDISABLE").to_bytes(1, "big")
        mode[_CC][termios.VMIN], mode[_CC][termios.VTIME] = 1, 0
        for key in (termios.VSUSP, termios.VQUIT):
            mode[_CC][key] = disabled
        termios.tcsetattr(self._fd, termios.TCSANOW, mode)

    def _read(self, on_bytes: Callable[[bytes], None]) -> None:
        while True:
            readable, _, _ = select.select([self._fd, self._wake_in], [], [])
            if self._wake_in in readable:
                return
            try:
                data = os.read(self._fd, 1024)
            except BlockingIOError:
                continue
            except OSError:  # hung up
                data = b""
            on_bytes(data)
            if not data:
                return

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._fd).columns or 80
        except OSError:
            return 80


def _in_background(descriptor: int) -> bool:
    try:
        return os.tcgetpgrp(descriptor) != os.getpgrp()
    except OSError:  # not our controlling terminal: no job control, no background
        return False


@contextlib.contextmanager
def _background_allowed() -> Iterator[None]:
    """The kernel stops a background process that changes its terminal, unless the signal is blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
