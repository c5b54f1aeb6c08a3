"""How long a process that was asked to end is waited for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from mobile_vla_bringup.ending import (
    LEAST_WRITTEN_BYTES,
    SIGINT_PATIENCE_S,
    SIGTERM_PATIENCE_S,
    WRITING_PATIENCE_S,
    Ending,
    written_bytes,
)

ASKED_S = 1000.0
STEP_S = 0.5


class FakeProcess:
    """Ends when it is told to, and remembers what it was sent."""

    name = "recorder"
    pid = 1

    def __init__(self) -> None:
        self.returncode: int | None = None
        self.sent: list[signal.Signals] = []

    def send(self, number: signal.Signals) -> None:
        self.sent.append(number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)


class Bench:
    """Looks at one ending process every `STEP_S`; it writes `bytes_per_step` until `stops_writing_s`."""

    def __init__(self, bytes_per_step: int = 0, stops_writing_s: float = 1e9, ends_s: float = 1e9) -> None:
        self.process = FakeProcess()
        self.said: list[str] = []
        self.signals_at_s: list[float] = []
        ending = Ending(self.process, ASKED_S, 7, lambda name, line: self.said.append(f"{name}: {line}"))
        written, self.after_s = 7, 0.0
        while True:
            before = len(self.process.sent)
            over = ending.over(ASKED_S + self.after_s, written)
            self.signals_at_s += [self.after_s] * (len(self.process.sent) - before)
            if over:
                return
            self.after_s += STEP_S
            written += bytes_per_step if self.after_s <= stops_writing_s else 0
            if self.after_s >= ends_s:
                self.process.returncode = 0


def test_one_that_ends_is_sent_nothing() -> None:
    bench = Bench(ends_s=1.0)
    assert (bench.after_s, bench.process.sent, bench.said) == (1.0, [], [])


def test_one_that_writes_nothing_is_ended_after_seven_seconds() -> None:
    bench = Bench()
    assert bench.process.sent == [signal.SIGTERM, signal.SIGKILL]
    assert bench.signals_at_s == [SIGINT_PATIENCE_S, SIGINT_PATIENCE_S + SIGTERM_PATIENCE_S]
    assert bench.said == []


def test_one_that_writes_is_waited_for_until_it_ends() -> None:
    bench = Bench(LEAST_WRITTEN_BYTES, ends_s=60.0)
    assert (bench.after_s, bench.process.sent) == (60.0, [])
    assert bench.said == ["recorder: still writing; it is waited for, at most 120 s in all"]


def test_a_slow_disk_counts_as_writing() -> None:
    assert Bench(LEAST_WRITTEN_BYTES // 8, ends_s=60.0).process.sent == []


def test_lines_of_a_log_do_not_count_as_writing() -> None:
    assert Bench(1000).signals_at_s == [SIGINT_PATIENCE_S, SIGINT_PATIENCE_S + SIGTERM_PATIENCE_S]


def test_one_that_stops_writing_is_ended_from_then_on() -> None:
    bench = Bench(LEAST_WRITTEN_BYTES, stops_writing_s=30.0)
    assert bench.signals_at_s == [30.0 + SIGINT_PATIENCE_S, 30.0 + SIGINT_PATIENCE_S + SIGTERM_PATIENCE_S]


def test_one_that_writes_for_ever_is_ended_at_the_bound() -> None:
    bench = Bench(LEAST_WRITTEN_BYTES)
    assert bench.process.sent == [signal.SIGTERM, signal.SIGKILL]
    assert bench.signals_at_s == [WRITING_PATIENCE_S, WRITING_PATIENCE_S + SIGTERM_PATIENCE_S]
    assert bench.said[-1].startswith("recorder: still writing after 120 s, killed; `vla record --recover`")


def test_written_bytes_of_a_process(tmp_path: Path) -> None:
    before = written_bytes(os.getpid())
    (tmp_path / "file").write_bytes(bytes(100_000))
    assert written_bytes(os.getpid()) - before >= 100_000
    assert written_bytes(2**22 + 1) == 0  # no such process
