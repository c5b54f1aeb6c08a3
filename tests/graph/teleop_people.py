"""People at a pseudo-terminal and at an imitated gamepad, and the real controller they drive."""

from __future__ import annotations

import fcntl
import os
import pty
import statistics
import subprocess
import sys
import termios
import time
from itertools import pairwise
from typing import Any

from sensor_msgs.msg import Joy

from mobile_vla.teleop.mapping import load_mapping
from mobile_vla_ros.topics import (
    CMD_VEL,
    CONTROLLER_STATE,
    DIAGNOSTICS,
    JOY,
)

KEYBOARD = "mobile_vla_nodes.keyboard"
GAMEPAD = "mobile_vla_nodes.gamepad"
CONTROLLER = "mobile_vla_nodes.controller"
ALONE = {"require.camera": False, "require.policy": False}
XBOX = load_mapping("xbox")
BUTTONS = XBOX.buttons.used()
TIMEOUT_S = 0.25
TICK_S = 1 / 30
SLACK_S = 0.06  # this process shares two cores with everything else that runs
SHARED = "person, node, controller and this observer share the machine's cores with everything else that runs"
"""Why a latency is measured anew."""


class Person:
    """Sits at a pseudo-terminal that belongs to one process."""

    def __init__(self, graph: Any, *arguments: str) -> None:
        self.graph = graph
        self.screen = ""
        self._ours, self.theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self.before = termios.tcgetattr(self.theirs)
        self.errors = graph.tmp_path / "keyboard.stderr"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, *(arguments or ("-m", KEYBOARD))],
                env=graph.environ,
                stdin=self.theirs,
                stdout=self.theirs,
                stderr=errors,
                start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  (one system call, no lock)
            )
        graph.wait(lambda: "hold to move" in self.look(), what=f"the keyboard's help\n{self.errors.read_text()}")
        graph.wait(lambda: "hands off" in self.look(), what="the live line")

    def look(self) -> str:
        """Everything shown so far."""
        try:
            while data := os.read(self._ours, 65536):
                self.screen += data.decode()
        except BlockingIOError:
            pass
        return self.screen

    def line(self) -> str:
        """The live line."""
        return self.look().rsplit("\r\033[K", maxsplit=1)[-1]

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def hold(self, key: str, seconds: float) -> None:
        """A terminal's repeats of a held key, after their delay."""
        end = time.monotonic() + seconds
        self.type(key)
        self.graph.spin(min(0.5, seconds))
        while time.monotonic() < end:
            self.type(key)
            self.graph.spin(0.04)

    def wait_end(self) -> int:
        self.graph.wait(lambda: (self.look() or True) and self.process.poll() is not None, 10.0, "the keyboard's end")
        return int(self.process.returncode)

    def hang_up(self) -> None:
        """Close the window, or drop the connection."""
        os.close(self._ours)
        self._ours = -1

    def leave(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for descriptor in (self._ours, self.theirs):
            if descriptor >= 0:
                os.close(descriptor)


class Robot:
    """The real controller and what it says and does."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.commands: list[tuple[float, float, float]] = []
        graph.node.create_subscription(
            CMD_VEL.type,
            CMD_VEL.name,
            lambda m: self.commands.append((time.monotonic(), m.linear.x, m.angular.z)),
            CMD_VEL.requested,
        )
        self._states = graph.listen(CONTROLLER_STATE)
        graph.start(CONTROLLER, "controller", ALONE)
        graph.wait(lambda: self._states, what="the controller")

    def value(self, key: str) -> str:
        return next((pair.value for pair in self._states[-1].values if pair.key == key), "")

    def wait(self, mode: str, reason: str = "", source: str = "") -> None:
        wanted = {"mode": mode, "reason": reason, "source": source}
        self.graph.wait(
            lambda: all(self.value(key) == value for key, value in wanted.items() if value), 10.0, f"{wanted}"
        )

    def wait_moving(self) -> None:
        self.graph.wait(lambda: self.commands and self.commands[-1][1] > 0.05, what="motion")

    def braking_after(self, moment: float) -> float:
        """Seconds until the first command that is slower than the one before."""
        later = [command for command in self.commands if command[0] > moment]
        return next(b[0] for a, b in pairwise(later) if b[1] < a[1] - 1e-6) - moment


def stamp_ns(message: Any) -> int:
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def usual_period_s(messages: list[Any]) -> float:
    """By their stamps, and the median: a machine that is busy for a moment changes no rate."""
    return statistics.median(stamp_ns(after) - stamp_ns(before) for before, after in pairwise(messages)) / 1e9


def twist(message: Any) -> tuple[float, float]:
    return message.twist.linear.x, message.twist.angular.z


class Driver:
    """A joystick driver that repeats the pad's state 20 times a second, as real ones do."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.plug_in()
        self._joy = graph.publisher(JOY)
        graph.node.create_timer(0.05, self.say)

    def plug_in(self) -> None:
        """A sound pad that nobody touches."""
        self.axes = [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
        self.buttons = [0] * 11
        self.stamp: Any = None
        self.running = True

    def hold(self, *names: str) -> None:
        self.buttons = [int(number in {BUTTONS[name] for name in names}) for number in range(11)]

    def say(self) -> None:
        if self.running:
            message = Joy(axes=self.axes, buttons=self.buttons)
            message.header.stamp = self.stamp or self.graph.node.get_clock().now().to_msg()
            self._joy.publish(message)


class Status:
    """The gamepad's words on /diagnostics."""

    def __init__(self, graph: Any) -> None:
        self._arrays = graph.listen(DIAGNOSTICS)

    def text(self) -> str:
        found = [part for array in self._arrays for part in array.status if part.name.endswith("gamepad")]
        return found[-1].message if found else ""
