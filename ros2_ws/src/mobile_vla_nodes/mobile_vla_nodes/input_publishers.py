"""The publishers of a node's inputs, and which of them are incompatible: right topic, other type or QoS.

The middleware says nothing to a reader about another type on Humble, so that the graph is asked, for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, qos_check_compatible
from rclpy.subscription import Subscription


class Publishers(NamedTuple):
    """By input: the nodes whose messages can be read, and one sentence about an incompatible one."""

    compatible: dict[str, list[str]]
    incompatible: dict[str, str]


def publishers(node: Node, inputs: Mapping[str, Sequence[Subscription]]) -> Publishers:
    """Ask the graph about every input: call it about once a second.

    An input is read by one or more subscriptions of one topic; a publisher that any of them matches is compatible.

    An incompatible publisher gets a sentence: who offers what, what is read, what to do. A process that was
    killed stays in the graph until its lease ends: 4 s with the profiles in config/dds.
    """
    found = Publishers({name: [] for name in inputs}, {})
    for name, subscriptions in inputs.items():
        topic = subscriptions[0].topic_name
        for publisher in node.get_publishers_info_by_topic(topic):
            mismatches = [_mismatch(publisher, subscription) for subscription in subscriptions]
            who = name_of_publisher(publisher)
            if all(mismatches):
                found.incompatible[name] = f"{topic} is offered by {who} {mismatches[-1]}; correct that publisher"
            else:
                found.compatible[name].append(who)
    return found


def incompatible_inputs(node: Node, inputs: Mapping[str, Sequence[Subscription]]) -> dict[str, str]:
    """Inputs with an incompatible publisher, each with the sentence."""
    return publishers(node, inputs).incompatible


def names_of_publishers(node: Node, topic_name: str) -> list[str]:
    """The nodes that publish on a topic, whatever their type."""
    return [name_of_publisher(publisher) for publisher in node.get_publishers_info_by_topic(topic_name)]


def name_of_publisher(publisher: Any) -> str:
    """The node behind a publisher, as the graph describes it."""
    return f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"


def _mismatch(publisher: Any, subscription: Subscription) -> str:
    package, kind = subscription.msg_type.__module__.split(".")[0], subscription.msg_type.__name__
    wanted = f"{package}/msg/{kind}"
    if publisher.topic_type != wanted:
        return f"as {publisher.topic_type}, and read here as {wanted}"
    verdict, reason = qos_check_compatible(publisher.qos_profile, subscription.qos_profile)
    if verdict == QoSCompatibility.ERROR:
        return f"with another quality of service ({reason.removeprefix('ERROR: ').rstrip(';. ').lower()})"
    return ""
