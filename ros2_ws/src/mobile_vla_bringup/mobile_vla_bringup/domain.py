"""What a runner does itself on the ROS domain of its graph: look for publishers, publish the instruction."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.topic_endpoint_info import TopicEndpointInfo
from std_msgs.msg import String

from mobile_vla_ros.environment import prepare
from mobile_vla_ros.topics import CMD_VEL, INSTRUCTION

DISCOVERY_S = 1.0


def publishers_of_cmd_vel(namespace: str, domain_id: int) -> list[str]:
    """Names of the nodes that publish a robot's command topic; takes up to `DISCOVERY_S`."""
    with _node("looker", namespace, domain_id) as node:
        infos: list[TopicEndpointInfo] = []
        end = time.monotonic() + DISCOVERY_S
        while time.monotonic() < end:
            infos = node.get_publishers_info_by_topic(CMD_VEL.name)
            # A participant is discovered before its node names are: until then a publisher has none.
            names = sorted(
                f"{i.node_namespace.rstrip('/')}/{i.node_name}" for i in infos if "UNKNOWN" not in i.node_name
            )
            if names:
                return names
            time.sleep(0.05)
        return ["a node without a name"] if infos else []


@contextmanager
def publish_instruction(text: str, domain_id: int | None = None, namespace: str = "") -> Iterator[None]:
    """Publish once, latched: the publisher has to live for readers that come later, so that a recording holds it, too.
    `domain_id` None: the environment's.
    """
    with _node("instructor", namespace, domain_id) as node:
        INSTRUCTION.publisher(node).publish(String(data=text))
        yield


@contextmanager
def _node(name: str, namespace: str, domain_id: int | None) -> Iterator[Node]:
    prepare()
    context = Context()
    rclpy.init(context=context, domain_id=domain_id)
    node = rclpy.create_node(name, namespace=namespace, context=context)
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
