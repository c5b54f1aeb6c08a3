"""The nodes must run on Humble, which cannot be installed here: its missing API is looked for in the source."""

from __future__ import annotations

from pathlib import Path

import pytest
from humble_api import check, check_file

SUBSCRIBES = "def go(self): self.create_subscription(String, 'a', self.heard, 1)"


@pytest.mark.parametrize(
    "source",
    [
        "import rclpy.event_handler",
        "from rclpy.event_handler import PublisherEventCallbacks",
        "from rclpy import event_handler",
        "from rclpy.parameter_client import AsyncParameterClient",
        "from rclpy.experimental import EventsExecutor",
        "from rclpy.experimental.events_executor import EventsExecutor",
        "rclpy.experimental.EventsExecutor()",
        "from rclpy.subscription import MessageInfo",
        "from rclpy.clock_type import ClockType",
        "with SingleThreadedExecutor() as executor: pass",
        "with rclpy.init() as context: pass",
        "with self.create_publisher(String, 'a', 1) as publisher: pass",
        "SubscriptionEventCallbacks(matched=callback)",
        "node.create_timer(0.1, callback, autostart=False)",
        "node.add_post_set_parameters_callback(callback)",
        "Node('name', enable_logger_service=True)",
        "rclpy.try_shutdown(context=context)",
        "QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_AVAILABLE)",
        "node.create_subscription(String, 'a', lambda message, info: None, 1)",
        "def heard(message, info): pass\nnode.create_subscription(String, 'a', heard, 1)",
        f"class N:\n def heard(self, message, info): pass\n {SUBSCRIBES}",
    ],
)
def test_what_humble_lacks_is_found(source: str) -> None:
    assert len(check(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from rclpy.clock import Clock, ClockType",
        "from rclpy.executors import SingleThreadedExecutor",
        "from rclpy.signals import SignalHandlerOptions",
        "from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn",
        "with lock: pass",
        "with open('x') as file: pass",
        "node.create_timer(0.1, callback, clock=clock)",
        "node.create_subscription(String, 'a', lambda message: None, 1)",
        "node.create_subscription(String, 'a', lambda message, topic=topic: None, 1)",
        f"class N:\n def heard(self, message): pass\n {SUBSCRIBES}",
        "rclpy.try_shutdown()",
    ],
)
def test_what_humble_has_is_left_alone(source: str) -> None:
    assert check(source) == []


def test_our_code_stays_within_humble(root: Path) -> None:
    files = [
        path for folder in ("ros2_ws/src", "tests/graph", "tests/faults") for path in (root / folder).rglob("*.py")
    ]
    assert len(files) > 20
    assert [line for path in files for line in check_file(path)] == []
