"""Driving from a terminal. Hold a key to move; letting go stops; nothing is handed back to autonomy unasked.

A thread reads the terminal and wakes the executor; everything else happens on the executor's thread.
"""

from __future__ import annotations

import signal
import sys
from collections import deque

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from mobile_vla.control import RELEASED, STILL, Velocity
from mobile_vla.teleop.config import KeyboardConfig
from mobile_vla.teleop.keyboard_text import HELP, farewell, live_line
from mobile_vla.teleop.keys import KeyAction, KeyboardTeleop, KeyDecoder
from mobile_vla.teleop.terminal import Terminal
from mobile_vla_nodes.teleop_link import TeleopLink
from mobile_vla_ros.diagnostics import OK, WARN, Diagnostics, Status
from mobile_vla_ros.parameters import Parameters
from mobile_vla_ros.runtime import run
from mobile_vla_ros.topics import TELEOP_KEYBOARD

SHOW_S = 0.25
PATIENCE_S = 1.0
PIECES = 64


class KeyboardNode(Node):
    """Parameters -> pilot, terminal and link; one live line of mode, source and reason."""

    def __init__(self) -> None:
        super().__init__("keyboard")
        self._settings = Parameters(self, KeyboardConfig, self._on_change)
        config = self._settings.value
        self._pilot = KeyboardTeleop(config)
        self._decoder = KeyDecoder()
        self._pieces: deque[bytes] = deque(maxlen=PIECES)
        self._keys = 0
        self._sent = STILL
        self._shown = ""
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._link = TeleopLink(self, TELEOP_KEYBOARD, self._show)
        self._terminal = Terminal()
        self._terminal.write(HELP)
        self._news = self.create_guard_condition(self._on_bytes)
        self._terminal.start(self._receive)
        self._timer = self.create_timer(config.period_s, self._publish, clock=steady)
        self._screen = self.create_timer(SHOW_S, self._show, clock=steady)
        self._diagnostics = Diagnostics(self, self._report)

    def before_shutdown(self) -> None:
        """Put the terminal back, stop, and do not leave the robot to autonomy behind the person's back."""
        disarms = self._settings.value.disarm_on_exit
        self._terminal.say(farewell(in_control=self._pilot.in_control, disarms=disarms))
        self._terminal.restore()
        for timer in (self._timer, self._screen):
            timer.cancel()
        if self._pilot.in_control:
            self._send(STILL, self._link.now().ros_ns, released=not disarms)
            if disarms:
                self._link.leave(PATIENCE_S)

    def _receive(self, data: bytes) -> None:
        self._pieces.append(data)
        self._news.trigger()

    def _on_bytes(self) -> None:
        self._pilot.running(self._link.now().steady_ns)
        while self._pieces:
            data = self._pieces.popleft()
            if not data:
                self._quit()  # the terminal is gone: a closed window, a dropped connection
                return
            now_ns = self._link.now().steady_ns
            for key in self._decoder.feed(data, now_ns):
                self._keys += 1
                self._act(self._pilot.press(key, now_ns))
        if self._pilot.command(self._link.now().steady_ns) not in (None, self._sent):
            self._publish()
        self._show()

    def _act(self, action: KeyAction | None) -> None:
        if action is KeyAction.ESTOP:
            self._link.estop()
        elif action is KeyAction.RESET_ESTOP:
            self._link.reset_estop()
        elif action is KeyAction.ARM:
            self._link.arm()
        elif action is KeyAction.HAND_BACK:
            self._send(STILL, self._link.now().ros_ns, released=True)  # silence alone would look like a lost keyboard
            self._link.answer = "handed back to autonomy"
        elif action is KeyAction.QUIT:
            self._quit()

    def _quit(self) -> None:
        signal.raise_signal(signal.SIGTERM)

    def _publish(self) -> None:
        now = self._link.now()
        self._pilot.running(now.steady_ns)
        velocity = self._pilot.command(now.steady_ns)
        if velocity is not None:
            self._send(velocity, now.ros_ns)

    def _send(self, velocity: Velocity, stamp_ns: int, released: bool = False) -> None:
        self._sent = velocity
        self._link.publish(velocity, stamp_ns, RELEASED if released else self._settings.value.frame_id)

    def _show(self) -> None:
        """The live line; an answer of the controller stays above it."""
        if self._link.answer:
            self._terminal.say(self._link.answer)
            self._link.answer, self._shown = "", ""
        pilot = self._pilot
        line = live_line(self._link.state(), self._sent, in_control=pilot.in_control, speed=pilot.speed)
        if line != self._shown:
            self._shown = line
            self._terminal.show(line)

    def _report(self) -> Status:
        values = {"in_control": str(self._pilot.in_control).lower(), "keys": str(self._keys)}
        if not self._link.connected:
            return Status(WARN, "no controller answers on controller/state", values)
        return Status(OK, "has control" if self._pilot.in_control else "hands off", values)

    def _on_change(self, config: KeyboardConfig) -> None:
        self._pilot.configure(config)


def main() -> None:
    """Run the node."""
    sys.exit(run(KeyboardNode, shared_memory=False))


if __name__ == "__main__":
    main()
