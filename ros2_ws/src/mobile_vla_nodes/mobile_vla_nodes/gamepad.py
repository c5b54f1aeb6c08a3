"""Driving with a gamepad, read from a joystick driver or from the kernel; commands go out while the deadman is held."""

from __future__ import annotations

import sys

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import Joy

from mobile_vla.control import RELEASED, STILL
from mobile_vla.teleop.config import GamepadConfig
from mobile_vla.teleop.joydev import JoystickReader
from mobile_vla.teleop.mapping import load_mapping
from mobile_vla.teleop.pad import Pad, PadAction
from mobile_vla.timing import RateMeter
from mobile_vla_nodes.teleop_link import TeleopLink
from mobile_vla_ros.diagnostics import OK, WARN, Diagnostics, Status
from mobile_vla_ros.parameters import Parameters
from mobile_vla_ros.runtime import run
from mobile_vla_ros.stamps import stamp_ns
from mobile_vla_ros.topics import JOY, TELEOP_JOY

PATIENCE_S = 1.0


class GamepadNode(Node):
    """Parameters -> mapping, pad and link. Callbacks offer states to the pad, the timer publishes what it says."""

    def __init__(self) -> None:
        self._reader: JoystickReader | None = None  # destroyed even when construction fails
        super().__init__("gamepad")
        self._settings = Parameters(self, GamepadConfig, self._on_change)
        config = self._settings.value
        self._pad = Pad(config, load_mapping(config.mapping))
        self._answered = 0
        self._link = TeleopLink(self, TELEOP_JOY, self._on_news)
        self._rate = RateMeter()
        self._device_stamp_ns = 0
        self._reported = ""
        if config.source == "device":
            news = self.create_guard_condition(self._on_device)
            self._reader = JoystickReader(config.device, news.trigger)
            self._reader.start()
        else:
            JOY.subscription(self, self._on_joy)
        self._timer = self.create_timer(config.period_s, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._diagnostics = Diagnostics(self, self._report)

    def destroy_node(self) -> None:
        """Stop reading before anything the reader would wake is gone."""
        if self._reader is not None:
            self._reader.stop()
        super().destroy_node()

    def before_shutdown(self) -> None:
        """Stop, and do not leave the robot to autonomy while the person holds the deadman."""
        self._timer.cancel()
        if self._pad.in_control:
            self._link.publish(STILL, self._link.now().ros_ns, self._settings.value.frame_id)
            self._link.leave(PATIENCE_S)

    # the pad's states

    def _on_joy(self, message: Joy) -> None:
        now = self._link.now()
        self._rate.tick(now.steady_ns)
        self._act(self._pad.offer(message.axes, message.buttons, stamp_ns(message), now))

    def _on_device(self) -> None:
        assert self._reader is not None
        for state in self._reader.take():
            now = self._link.now()
            self._rate.tick(now.steady_ns)
            self._device_stamp_ns = max(now.ros_ns, self._device_stamp_ns + 1)
            self._act(self._pad.offer(state.axes, state.buttons, self._device_stamp_ns, now))
        if not self._reader.connected:
            self._pad.disconnect()
            self._tick()

    def _act(self, actions: list[PadAction]) -> None:
        asked = {
            PadAction.ESTOP: self._link.estop,
            PadAction.RESET_ESTOP: self._link.reset_estop,
            PadAction.ARM: self._link.arm,
            PadAction.SAVE: self._link.save,
        }
        for action in actions:
            asked[action]()

    def _on_news(self) -> None:
        """A pad has no screen: what was asked for by a button is answered in the log."""
        if self._link.answers > self._answered:
            self._answered = self._link.answers
            self.get_logger().info(self._link.answer)

    # output

    def _tick(self) -> None:
        now = self._link.now()
        if self._reader is not None and self._reader.connected:
            self._pad.keep_alive(now)
        command = self._pad.command(now)
        if command is not None:
            frame_id = RELEASED if command.released else self._settings.value.frame_id
            self._link.publish(command.velocity, command.stamp_ns, frame_id)

    def _report(self) -> Status:
        now = self._link.now()
        values = {
            "in_control": str(self._pad.in_control).lower(),
            "mapping": self._settings.value.mapping,
            "states_hz": f"{self._rate.hz(now.steady_ns):.1f}",
            "answer": self._link.answer,
            **{f"ignored.{code}": str(count) for code, count in sorted(self._pad.rejections.counts.items())},
        }
        error = self._pad.error(now)
        if self._reader is not None and not self._reader.connected:
            error = self._reader.error
        if error != self._reported:
            self._reported = error
            self.get_logger().warning(error) if error else self.get_logger().info("the gamepad is ready")
        message = error or ("has control" if self._pad.in_control else "ready")
        return Status(WARN if error else OK, message, values)

    def _on_change(self, config: GamepadConfig) -> None:
        self._pad.configure(config)


def main() -> None:
    """Run the node; exit code 2 when settings or mapping cannot work."""
    sys.exit(run(GamepadNode, shared_memory=False))


if __name__ == "__main__":
    main()
