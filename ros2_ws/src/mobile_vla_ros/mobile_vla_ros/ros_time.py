"""ROS time for a node that reads its inputs on its own tick. Simulated time is read there, too, before all others.

rclpy reads /clock whenever its executor comes to it. In a node whose executor looks at most entities seldom, ROS time
would then be hundreds of milliseconds behind the stamps that it is compared with.
"""

from __future__ import annotations

from rclpy.node import Node
from rclpy.subscription import Subscription
from rosgraph_msgs.msg import Clock

from mobile_vla.control.clock import NS_PER_S, SimulatedTime, steady_ns
from mobile_vla_ros.polled import PolledSubscriptions
from mobile_vla_ros.topics import CLOCK


class RosTime:
    """System time, or simulated time while the node's `use_sim_time` is true. One thread uses it."""

    def __init__(self, node: Node) -> None:
        self._clock = node.get_clock()
        self._inputs = PolledSubscriptions(node)
        self._subscription: Subscription | None = None
        self._simulated = SimulatedTime()

    @property
    def simulated(self) -> bool:
        """Whether /clock says what time it is."""
        return bool(self._clock.ros_time_is_active)

    def poll(self) -> None:
        """Take what /clock says. Call it at the start of a tick."""
        if self.simulated and self._subscription is None:
            self._simulated = SimulatedTime()
            self._subscription = self._inputs.add(CLOCK, self._on_clock)
        elif not self.simulated and self._subscription is not None:
            self._inputs.remove(self._subscription)
            self._subscription = None
        self._inputs.poll()

    def now_ns(self) -> int:
        """Nanoseconds; 0 while time is simulated and nobody has said what time it is."""
        return self._simulated.now_ns(steady_ns()) if self.simulated else int(self._clock.now().nanoseconds)

    def _on_clock(self, message: Clock) -> None:
        clock_ns = int(message.clock.sec) * NS_PER_S + int(message.clock.nanosec)
        if clock_ns < 0:
            raise ValueError(f"the time {clock_ns} ns; simulated time must not be negative")
        self._simulated.hear(clock_ns, steady_ns())
