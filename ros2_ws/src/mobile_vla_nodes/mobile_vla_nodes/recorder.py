"""Everything on the graph into a bag: raw CDR from the wire to the disk, nothing is decoded but two small topics.

Callbacks only hand over bytes; `mobile_vla.bags.recorder` owns the disk on a thread of its own. Images are taken
best effort, so that a slow disk can never slow the camera down.
"""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from ament_index_python import get_search_paths
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.serialization import deserialize_message, serialize_message
from std_srvs.srv import Trigger

from mobile_vla.allocation import keep_large_blocks
from mobile_vla.bags.config import RecorderConfig
from mobile_vla.bags.episodes import TOPIC as EPISODE_TOPIC
from mobile_vla.bags.episodes import EpisodeMarker, Mark
from mobile_vla.bags.recorder import Recorder
from mobile_vla.bags.types import Qos
from mobile_vla.config.instruction import too_long
from mobile_vla_nodes.batch import BatchExecutor
from mobile_vla_nodes.recorder_text import ending, plan
from mobile_vla_nodes.recorder_topics import HeardOnce, described, requests, wanted_topics
from mobile_vla_ros.diagnostics import ERROR, OK, WARN, Diagnostics, Status
from mobile_vla_ros.message_order import sent_ns_of
from mobile_vla_ros.parameters import Parameters
from mobile_vla_ros.polled import PolledSubscriptions
from mobile_vla_ros.runtime import run
from mobile_vla_ros.topics import CONTROLLER_STATE, INSTRUCTION, RECORDER_SAVE, TOPICS

DISCOVERY_PERIOD_S = 0.25


class RecorderNode(Node):
    """Parameters -> recorder thread, one or two raw subscriptions per topic, save service, diagnostics."""

    def __init__(self) -> None:
        super().__init__("recorder")
        config = Parameters(self, RecorderConfig).value
        self._recorder = Recorder(config, share_dirs=[Path(prefix) / "share" for prefix in get_search_paths()])
        self._wanted = {self.resolve_topic_name(name): kind for name, kind in wanted_topics(config).items()}
        self._contract = {self.resolve_topic_name(topic.name): topic.offered for topic in TOPICS}
        self._subscribed: set[str] = set()
        self.inputs = PolledSubscriptions(self)
        self._episodes = EpisodeMarker()
        self._episode_topic = self.resolve_topic_name(EPISODE_TOPIC)
        self._decoded = {
            self.resolve_topic_name(INSTRUCTION.name): self._on_instruction,
            self.resolve_topic_name(CONTROLLER_STATE.name): self._on_state,
        }
        self._recorder.announce(self._episode_topic, "diagnostic_msgs/msg/DiagnosticStatus", Qos(depth=10))
        self._continuous = config.continuous
        self._heard: set[str] = set()
        self._reported = ""
        self._told: Path | None = None
        self._recorder.start()
        self.get_logger().info(plan(config))
        self._save = RECORDER_SAVE.server(self, self._on_save)
        self._diagnostics = Diagnostics(self, self._report)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._discovery = self.create_timer(DISCOVERY_PERIOD_S, self._subscribe, clock=steady)
        self._subscribe()

    def before_shutdown(self) -> None:
        """Complete the bag: the process ends."""
        self._mark(self._episodes.finish(self._now_ns()))
        path = self._recorder.finish()
        if path is not None or self._continuous:
            self.get_logger().info(ending(path, self._recorder.state().messages, self._heard))

    def _subscribe(self) -> None:
        """Subscribe to every wanted topic whose type is known by now."""
        missing = [name for name in self._wanted if name not in self._subscribed]
        if not missing:
            self._discovery.cancel()
            return
        on_graph = dict(self.get_topic_names_and_types()) if any(not self._wanted[name] for name in missing) else {}
        for name in missing:
            kind = self._wanted[name] or next(iter(on_graph.get(name, ())), "")
            if kind:
                self._listen(name, kind)

    def _listen(self, name: str, kind: str) -> None:
        package, _, message = kind.partition("/msg/")
        publishers = [info.qos_profile for info in self.get_publishers_info_by_topic(name)]
        qos = described(self._contract.get(name), publishers)
        self._recorder.announce(name, kind, qos)
        decode = self._decoded.get(name)
        asked = requests(qos, kind)
        once = HeardOnce() if len(asked) > 1 else None

        def take(reader: int, data: bytes, info: Any) -> None:
            if once is not None and not once.is_new(reader, sent_ns_of(info), data):
                return
            now_ns = self._now_ns()
            self._recorder.offer(name, now_ns, data)
            self._heard.add(name)
            if decode is not None:
                decode(data, now_ns)

        message_class = getattr(import_module(f"{package}.msg"), message)
        for reader, request in enumerate(asked):
            self.inputs.add_raw(message_class, name, partial(take, reader), request)
        self._subscribed.add(name)

    def _on_instruction(self, data: bytes, now_ns: int) -> None:
        """One that is too long is followed by nobody, so it ends no episode."""
        text = deserialize_message(data, INSTRUCTION.type).data
        if not too_long(text):
            self._mark(self._episodes.on_instruction(text, now_ns))

    def _on_state(self, data: bytes, now_ns: int) -> None:
        values = {pair.key: pair.value for pair in deserialize_message(data, CONTROLLER_STATE.type).values}
        self._mark(self._episodes.on_mode(values.get("mode", ""), now_ns))

    def _mark(self, marks: list[Mark]) -> None:
        for mark in marks:
            message = DiagnosticStatus(
                level=OK,
                name="episode",
                message="begin" if mark.begins else "end",
                hardware_id="mobile_vla",
                values=[KeyValue(key=key, value=value) for key, value in mark.values().items()],
            )
            self._recorder.offer(self._episode_topic, self._now_ns(), serialize_message(message))

    def _on_save(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = self._recorder.save()
        if response.success:
            self.get_logger().info(response.message)
        else:  # a call of its own: rclpy allows one severity per place
            self.get_logger().warning(response.message)
        return response

    def _report(self) -> Status:
        state = self._recorder.state()
        if state.saved not in (None, self._told):
            self.get_logger().info(f"saved {state.saved}: {state.messages} messages")
        self._told = state.saved
        dropped = sum(state.dropped.values())
        values = {
            "bag": str(state.bag or ""),
            "recording": str(state.recording).lower(),
            "messages": str(state.messages),
            "megabytes": f"{state.megabytes:.1f}",
            "dropped": str(dropped),
            "queued_mb": f"{state.queued_mb:.1f}",
            "ring_s": f"{state.ring_s:.1f}",
            "topics": str(len(self._subscribed)),
            **{f"dropped {topic}": str(count) for topic, count in state.dropped.items()},
        }
        if state.error:
            if state.error != self._reported:
                self.get_logger().error(state.error)
            self._reported = state.error
            return Status(ERROR, state.error, values)
        if dropped:
            return Status(WARN, f"{dropped} messages dropped: the disk is too slow", values)
        if state.undefined:
            return Status(WARN, f"no message definition found for {', '.join(state.undefined)}", values)
        return Status(OK, f"recording {state.bag}" if state.recording else "waiting", values)

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)


def main() -> None:
    """The process."""
    keep_large_blocks()
    sys.exit(run(RecorderNode, BatchExecutor))


if __name__ == "__main__":
    main()
