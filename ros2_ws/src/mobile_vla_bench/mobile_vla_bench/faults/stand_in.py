"""One source of messages in a process of its own, so that killing, stopping and starving it are real.

`python -m mobile_vla_bench.faults.stand_in ROLE` publishes at the role's rate until its standard input ends. It obeys
lines there (`BEHAVIOUR [number …]`) and answers each with the steady-clock nanoseconds at which it took effect; the
first line it prints says that it has begun.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

from mobile_vla_ros.environment import prepare

prepare()

import rclpy  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from rclpy.signals import SignalHandlerOptions  # noqa: E402

from mobile_vla_bench.faults.role import Role  # noqa: E402
from mobile_vla_bench.faults.roles import ROLES  # noqa: E402
from mobile_vla_bench.faults.scheduling import die_with_parent  # noqa: E402
from mobile_vla_ros.qos import volatile  # noqa: E402

SLOWER = 10
FLOOD_PERIOD_S = 0.001
OFF_AND_ON_S = 1.0
DEEP = 10
DEEP_ONES = ("empty_first", "deep_silent")
OFFERED_OTHERWISE = ("wrong_type", "best_effort", "volatile", *DEEP_ONES, "withdrawn")


class StandIn:
    """Publishes for one role. The lock makes a change of behaviour take effect between two messages."""

    def __init__(self, role: Role) -> None:
        self._role = role
        self._node = _plain_node(f"{role.name}_stand_in")  # on no executor, so that publishers may come and go
        self._condition = threading.Condition()
        self._behaviour = role.first_behaviour
        self._since = 0.0
        self._publisher: Any = None
        self._other: Node | None = None
        self._offer(self._behaviour)
        role.begin(self._node)

    def obey(self, line: str) -> int:
        """Take a behaviour, with values when there are any; the steady time at which it holds."""
        word, *numbers = line.split()
        with self._condition:
            if numbers:
                self._role.value = tuple(float(number) for number in numbers)
            begun_ns = time.monotonic_ns()
            if _offered(word) != _offered(self._behaviour):
                self._offer(word)
            self._behaviour, self._since = word, time.monotonic()
            self._condition.notify()
            return begun_ns

    def run(self) -> None:
        """Publish for ever."""
        due = time.monotonic()
        with self._condition:
            while True:
                if not self._pausing():
                    message = self._role.message(self._behaviour, time.time_ns())
                    for one in message if isinstance(message, list) else [message]:
                        if one is not None:
                            self._publisher.publish(one)
                due = max(due + self._period_s(), time.monotonic() - FLOOD_PERIOD_S)
                if self._condition.wait(max(0.0, due - time.monotonic())):
                    due = time.monotonic()

    def _period_s(self) -> float:
        if self._behaviour == "flood":
            return FLOOD_PERIOD_S
        return self._role.period_s * (SLOWER if self._behaviour == "slow" else 1)

    def _pausing(self) -> bool:
        since_s = time.monotonic() - self._since
        if self._behaviour == "slow":
            return since_s < self._role.period_s * SLOWER / 2
        off = int(since_s / OFF_AND_ON_S) % 2 == 0
        return self._behaviour in ("silent", "deep_silent", "withdrawn") or (self._behaviour == "intermittent" and off)

    def _offer(self, behaviour: str) -> None:
        """Offer the topic as it should be, or otherwise."""
        topic = self._role.topic
        if self._publisher is not None:
            self._publisher.destroy()
            self._publisher = None
        if behaviour == "wrong_type":
            self._publisher = self._another_participant().create_publisher(
                self._role.wrong_type, topic.name, topic.offered
            )
        elif behaviour == "best_effort":
            profile = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
            self._publisher = self._node.create_publisher(topic.type, topic.name, profile)
        elif behaviour == "volatile":
            self._publisher = self._node.create_publisher(topic.type, topic.name, volatile(topic.offered))
        elif behaviour in DEEP_ONES:
            self._publisher = self._node.create_publisher(topic.type, topic.name, QoSProfile(depth=DEEP))
        elif behaviour != "withdrawn":
            self._publisher = topic.publisher(self._node)

    def _another_participant(self) -> Node:
        """One participant cannot know a topic under two types, not even one after the other."""
        if self._other is None:
            context = Context()
            rclpy.init(context=context)
            self._other = rclpy.create_node(f"{self._role.name}_with_another_type", context=context)
        return self._other


def main() -> None:
    """Publish until standard input ends or the parent dies, even while this process is stopped."""
    die_with_parent(signal.SIGKILL)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    role = ROLES[sys.argv[1]]()
    stand_in = StandIn(role)
    if role.serves:
        executor = SingleThreadedExecutor()
        server = _plain_node(f"{role.name}_server")
        role.serve(server)
        executor.add_node(server)
        threading.Thread(target=executor.spin, daemon=True).start()
    threading.Thread(target=stand_in.run, daemon=True).start()
    answer(time.monotonic_ns())
    for line in sys.stdin:
        answer(stand_in.obey(line))
    os._exit(0)  # every thread here is a publisher or an executor; there is nothing to save


def _offered(behaviour: str) -> str:
    """Behaviours of the same publisher have the same word here."""
    if behaviour in DEEP_ONES:
        return DEEP_ONES[0]
    return behaviour if behaviour in OFFERED_OTHERWISE else ""


def _plain_node(name: str) -> Node:
    return rclpy.create_node(name, start_parameter_services=False, enable_rosout=False)


def answer(steady_ns: int) -> None:
    """One line to whoever started this process."""
    sys.stdout.write(f"{steady_ns}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
