"""Starting stand-ins, telling them what to do, killing and stopping them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from mobile_vla_bench.faults.setup import PromiseBroken
from mobile_vla_bringup.shared_memory import segments_of, sweep

END_TIMEOUT_S = 2.0


class Actor:
    """One stand-in process. Nothing here waits: `replies` fills from a thread of its own."""

    def __init__(self, role: str, environ: Mapping[str, str], folder: Path) -> None:
        self.role = role
        self.replies: list[int] = []
        self._told = 0
        self._left_behind: list[Path] = []
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{role}_stand_in.log"
        with self.log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mobile_vla_bench.faults.stand_in", role],
                env=dict(environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def tell(self, line: str) -> int:
        """Send one line; the index its reply will have (the first reply says that the process has begun)."""
        assert self._process.stdin is not None
        self._told += 1
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise PromiseBroken(f"the {self.role} stand-in has ended: {self.log.read_text()[-300:]}") from None
        return self._told

    def kill(self) -> int:
        """SIGKILL; the steady time just before. Waits for nothing: the end of a process can take a while, and who
        waits for it does not see in time what the controller does. `end` removes what it leaves behind.
        """
        self._left_behind = segments_of(self.pid)
        injected_ns = time.monotonic_ns()
        self._process.kill()
        return injected_ns

    def pause(self) -> int:
        """SIGSTOP; the steady time just before."""
        injected_ns = time.monotonic_ns()
        self._process.send_signal(signal.SIGSTOP)
        return injected_ns

    def resume(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Ask it to end by closing its input; kill it when it does not."""
        if self.ended:
            sweep(self._left_behind)
            return
        self.resume()
        segments = self._left_behind or segments_of(self.pid)
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        sweep(segments)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.replies.append(int(line))
