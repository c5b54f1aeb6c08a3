"""A bag into the graph again, with its own timing: raw CDR, published when it is due, on a thread of its own."""

from __future__ import annotations

import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time

from mobile_vla.bags.config import ReplayConfig
from mobile_vla.bags.playback import Playback, PlayedTopic
from mobile_vla.bags.reader import BagReader
from mobile_vla.errors import UserError
from mobile_vla_ros.parameters import Parameters
from mobile_vla_ros.runtime import NodeFailed, run
from mobile_vla_ros.topics import CLOCK

CLOCK_PERIOD_NS = 10_000_000
WATCH_PERIOD_S = 0.05
ACKNOWLEDGED_S = 2.0


class ReplayNode(Node):
    """Parameters -> playback and one publisher per topic; the process ends with the bag."""

    def __init__(self) -> None:
        super().__init__("replay")
        self._config = Parameters(self, ReplayConfig).value
        if not self._config.bag:
            raise UserError("bag is empty; name the bag to replay")
        self._reader = BagReader(Path(self._config.bag).expanduser())
        self._playback = Playback(self._reader, self._config, installed=lambda kind: _message_class(kind) is not None)
        self._clock_publisher = CLOCK.publisher(self) if self._config.clock else None
        self._outputs = {topic.published: self._publisher(topic) for topic in self._playback.topics}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._play, name="replay")
        self._error = ""
        self.sent = 0
        self._say_what()
        self._thread.start()
        self._watch = self.create_timer(WATCH_PERIOD_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def before_shutdown(self) -> None:
        self._stop.set()
        self._thread.join()
        self._reader.close()

    def _say_what(self) -> None:
        say = self.get_logger().info
        if self._reader.damage is not None:
            self.get_logger().warning(f"the bag is damaged: {self._reader.damage.message}")
        names = ", ".join(topic.published for topic in self._playback.topics)
        whole_s, part_s = self._reader.duration_s, self._playback.duration_s
        part = f"{part_s:.1f} of {whole_s:.1f} s" if part_s < whole_s else f"{whole_s:.1f} s"
        say(f"{part} at {self._config.rate:g} x: {names}")
        if self._config.topics:
            return
        for name, why in self._playback.unpublished.items():
            self.get_logger().warning(f"left out: {name} {why}")
        if more := [name for name in self._playback.left_out if name not in self._playback.unpublished]:
            say(f"left out: {', '.join(more)} (name them as topics to replay them)")

    def _publisher(self, topic: PlayedTopic) -> Any:
        latched = topic.qos.durability == "transient_local"
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=max(1, topic.qos.depth),
            reliability=ReliabilityPolicy.BEST_EFFORT
            if topic.qos.reliability == "best_effort"
            else ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        return self.create_publisher(_message_class(topic.type), topic.published, profile)

    def _play(self) -> None:
        """The thread: wait, publish, and again; it never touches anything but the publishers."""
        try:
            if self._stop.wait(self._config.wait_s):
                return
            self._play_once()
            while self._config.loop and not self._stop.is_set():
                self._play_once()
            for publisher in self._outputs.values():
                publisher.wait_for_all_acked(Duration(seconds=ACKNOWLEDGED_S))
        except Exception as error:  # noqa: BLE001 - said by `_look`, which then ends the process
            self._error = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        finally:
            self._stop.set()

    def _play_once(self) -> None:
        begin_ns = time.monotonic_ns()
        for due in self._playback.messages(int(self.get_clock().now().nanoseconds)):
            if not self._wait_until(begin_ns, due.after_ns):
                return
            self._tick(due.after_ns)
            self._outputs[due.published].publish(bytes(due.message.data))
            self.sent += 1
        if self._playback.undecodable.skipped:
            self.get_logger().warning(f"left out: {self._playback.undecodable.message}")

    def _wait_until(self, begin_ns: int, after_ns: int) -> bool:
        """Sleep until a moment of the playback, keeping /clock going; False when told to stop."""
        while (left_ns := begin_ns + after_ns - time.monotonic_ns()) > 0:
            if self._stop.wait(min(left_ns, CLOCK_PERIOD_NS) / 1e9):
                return False
            self._tick(min(after_ns, time.monotonic_ns() - begin_ns))
        return not self._stop.is_set()

    def _tick(self, after_ns: int) -> None:
        if self._clock_publisher is not None:
            message = CLOCK.type(clock=Time(nanoseconds=self._playback.bag_time_ns(after_ns)).to_msg())
            self._clock_publisher.publish(message)

    def _look(self) -> None:
        """The end of the bag is the end of the process."""
        if not self._stop.is_set():
            return
        self._thread.join()
        if self._error:
            raise NodeFailed(self._error)
        self.get_logger().info(f"{self.sent} messages published")
        rclpy.try_shutdown()


def _message_class(kind: str) -> Any:
    """The Python class of `pkg/msg/Name`; None when it is not installed."""
    package, _, message = kind.partition("/msg/")
    try:
        return getattr(import_module(f"{package}.msg"), message, None)
    except ImportError:
        return None


def main() -> None:
    """The process."""
    sys.exit(run(ReplayNode))


if __name__ == "__main__":
    main()
