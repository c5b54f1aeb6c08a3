"""Publishers that nobody would ever hear: right topic, but another type or a quality of service that does not match.

The middleware says nothing to a reader about another type on Humble, so that the graph is asked, for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, qos_check_compatible
from rclpy.subscription import Subscription


def unheard(node: Node, inputs: Mapping[str, Subscription]) -> dict[str, str]:
    """Inputs with such a publisher, each with one sentence: who offers what, what is read, what to do.

    Asks the graph about every input: call it about once a second.
    """
    found = {}
    for name, subscription in inputs.items():
        for publisher in node.get_publishers_info_by_topic(subscription.topic_name):
            trouble = _trouble(publisher, subscription)
            if trouble:
                who = f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"
                found[name] = f"{subscription.topic_name} is offered by {who} {trouble}; correct that publisher"
    return found


def _trouble(publisher: Any, subscription: Subscription) -> str:
    package, kind = subscription.msg_type.__module__.split(".")[0], subscription.msg_type.__name__
    wanted = f"{package}/msg/{kind}"
    if publisher.topic_type != wanted:
        return f"as {publisher.topic_type}, and read here as {wanted}"
    verdict, reason = qos_check_compatible(publisher.qos_profile, subscription.qos_profile)
    if verdict == QoSCompatibility.ERROR:
        return f"with another quality of service ({reason.removeprefix('ERROR: ').rstrip(';. ').lower()})"
    return ""
