"""A short look at who is on a ROS domain."""

from __future__ import annotations

import time

import rclpy
from rclpy.context import Context
from rclpy.topic_endpoint_info import TopicEndpointInfo

from mobile_vla_ros.environment import prepare
from mobile_vla_ros.topics import CMD_VEL

DISCOVERY_S = 1.0


def publishers_of_cmd_vel(namespace: str, domain_id: int) -> list[str]:
    """Names of the nodes that publish a robot's command topic; takes up to `DISCOVERY_S`."""
    prepare()
    context = Context()
    rclpy.init(context=context, domain_id=domain_id)
    node = rclpy.create_node("looker", namespace=namespace, context=context)
    try:
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
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
