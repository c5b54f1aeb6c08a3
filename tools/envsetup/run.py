"""Running steps: one line each with its time, everything else in a log, the log's end when a step fails."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from envsetup.errors import SetupError

HEARTBEAT_S = 15.0
TTY_REFRESH_S = 0.5
LINES_SHOWN = 15


class Progress:
    """Says `[2/5] torch==2.13.0 ... 31 s`; the elapsed time moves on a terminal and appears now and then elsewhere."""

    def __init__(self, total: int, out: TextIO | None = None) -> None:
        self._total, self._number = total, 0
        self._out = sys.stdout if out is None else out

    def step(self, title: str) -> Running:
        self._number += 1
        return Running(f"[{self._number}/{self._total}] {title}", self._out)


class Running:
    """A step under way; a context manager that prints its time at the end."""

    def __init__(self, title: str, out: TextIO) -> None:
        self._title, self._out = title, out
        self._done = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._start = 0.0

    def __enter__(self) -> Running:
        self._start = time.monotonic()
        self._ticker.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._done.set()
        self._ticker.join()
        self._say(f"{self._title}: {'failed after ' if kind else ''}{self._elapsed():.1f} s", "\n")

    def _elapsed(self) -> float:
        return time.monotonic() - self._start

    def _tick(self) -> None:
        tty = self._out.isatty()
        while not self._done.wait(TTY_REFRESH_S if tty else HEARTBEAT_S):
            self._say(f"{self._title} ... {self._elapsed():.0f} s", "" if tty else "\n")

    def _say(self, text: str, end: str) -> None:
        clear = "\r\x1b[K" if self._out.isatty() else ""
        self._out.write(f"{clear}{text}{end}")
        self._out.flush()


def run(command: Sequence[str], log: Path, environ: Mapping[str, str], what: str) -> None:
    """Run a command with its output in the log; raises `SetupError` with the end of it."""
    with log.open("a") as output:
        output.write(f"$ {' '.join(command)}\n")
        output.flush()
        start = output.tell()
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environ, check=False
        )
    if result.returncode != 0:
        with log.open(errors="replace") as text:
            text.seek(start)
            end = "\n".join(text.read().splitlines()[-LINES_SHOWN:])
        raise SetupError(f"{what} failed (exit code {result.returncode}); the end of {log}:\n{end}")
