"""The command topic: the only publisher of it, as Twist or TwistStamped."""

from __future__ import annotations

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from mobile_vla.control import Now
from mobile_vla_nodes.input_publishers import names_of_publishers
from mobile_vla_ros import topics

SHUTDOWN_ACK_S = 0.5


class CommandOutput:
    """Publishes commands; which of the two types is decided once, at the start."""

    def __init__(self, node: Node, stamped: bool, frame_id: str) -> None:
        self._node = node
        self._stamped = stamped
        self._frame_id = frame_id
        self._publisher = (topics.CMD_VEL_STAMPED if stamped else topics.CMD_VEL).publisher(node)
        self._twist = Twist()

    def send(self, linear_x: float, linear_y: float, angular_z: float, now: Now) -> None:
        """The stamp is the moment for which the limiters decided: stamps and values together keep the limits."""
        twist = self._twist
        twist.linear.x, twist.linear.y, twist.angular.z = linear_x, linear_y, angular_z
        if not self._stamped:
            self._publisher.publish(twist)
            return
        message = TwistStamped(twist=twist)
        message.header.stamp = Time(nanoseconds=now.ros_ns).to_msg()
        message.header.frame_id = self._frame_id
        self._publisher.publish(message)

    def stop(self, now: Now) -> None:
        """A zero."""
        self.send(0.0, 0.0, 0.0, now)

    def wait_until_received(self) -> None:
        """Until every reader has acknowledged the last command, for a bounded time."""
        self._publisher.wait_for_all_acked(Duration(seconds=SHUTDOWN_ACK_S))

    def publishers(self) -> list[str]:
        """The nodes that publish on the command topic, this one included."""
        return names_of_publishers(self._node, self._publisher.topic_name)
