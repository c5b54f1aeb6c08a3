"""A process that is asked to end while it does long work: it ends at once, cleanly, whatever the work is inside of."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from mobile_vla_ros.runtime import run_interruptible

LONG_WORK = """
import ctypes, sys, time
from rclpy.node import Node
from mobile_vla_ros.runtime import run, run_interruptible

def long_work():
    # C that calls back into Python cannot pass on an exception, just as the import of torch cannot
    ctypes.CFUNCTYPE(None)(lambda: (print("working", flush=True), time.sleep(60)))()

class Busy(Node):
    def __init__(self):
        super().__init__("busy")
        self.create_timer(0.01, self.begin)

    def begin(self):
        run_interruptible(long_work)
        print("done", flush=True)

    def before_shutdown(self):
        print("before shutdown", flush=True)

sys.exit(run(Busy))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_work_inside_c_code_is_left(number: signal.Signals) -> None:
    command = [sys.executable, "-c", LONG_WORK]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        asked = time.monotonic()
        process.send_signal(number)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - asked < 15
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, "before shutdown\n", "")


def test_the_work_s_result_and_its_error_arrive() -> None:
    assert run_interruptible(lambda: 7) == 7
    with pytest.raises(ValueError, match="no such file"):
        run_interruptible(lambda: (_ for _ in ()).throw(ValueError("no such file")))


def test_the_waiting_thread_may_say_that_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobile_vla_ros.runtime.MEANWHILE_S", 0.0)
    said = threading.Event()
    calls = []

    def meanwhile() -> None:
        calls.append(threading.current_thread())
        if len(calls) == 3:
            said.set()

    assert run_interruptible(said.wait, meanwhile) is True
    assert set(calls) == {threading.main_thread()}
