"""Publishes an instruction for as long as a graph runs, so that a recording holds it, too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from rclpy.context import Context
from std_msgs.msg import String

from mobile_vla_ros.environment import prepare
from mobile_vla_ros.topics import INSTRUCTION


@contextmanager
def publish_instruction(text: str, domain_id: int | None = None, namespace: str = "") -> Iterator[None]:
    """Publish once, latched: the publisher has to live for readers that come later. None: the environment's domain."""
    prepare()
    context = Context()
    rclpy.init(context=context, domain_id=domain_id)
    node = rclpy.create_node("instructor", namespace=namespace, context=context)
    try:
        INSTRUCTION.publisher(node).publish(String(data=text))
        yield
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
