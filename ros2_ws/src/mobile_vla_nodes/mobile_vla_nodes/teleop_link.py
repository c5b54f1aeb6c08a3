"""What both teleop nodes share: commands out, calls to the controller, and what the controller says about itself.

Calls never block. A call that must not be lost (emergency stop, disarming) is repeated until it is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.time import Time
from std_srvs.srv import SetBool, Trigger

from mobile_vla.control import Now, Velocity, steady_ns
from mobile_vla.teleop.keyboard_text import STOPPED
from mobile_vla_ros.topics import ARM, CONTROLLER_STATE, RECORDER_SAVE, RESET_ESTOP, TRIGGER_ESTOP, Service, Topic

FOLLOW_S = 0.05
ANSWER_NS = 1_000_000_000
SAVED_NS = 35_000_000_000
"""The recorder writes before it answers, and itself gives up after 30 s."""
STATE_NS = 2_500_000_000
_SET_BACK_NS = 100_000_000


@dataclass
class _Call:
    service: Service
    request: Any
    insist: bool
    patience_ns: int = ANSWER_NS
    words: str = ""
    """What to say of success in place of the controller's answer."""
    future: Any = None
    asked_ns: int = 0
    sent_ns: int = 0


class TeleopLink:
    """One person's connection to the controller. `on_news` is called when an answer or another state has come in."""

    def __init__(self, node: Node, topic: Topic, on_news: Callable[[], None] = lambda: None) -> None:
        self._node = node
        self._on_news = on_news
        self._publisher = topic.publisher(node)
        self._clients = {
            service.name: service.client(node) for service in (ARM, TRIGGER_ESTOP, RESET_ESTOP, RECORDER_SAVE)
        }
        self._calls: dict[str, _Call] = {}
        self._state: dict[str, str] = {}
        self._state_ns: int | None = None
        self._stamp_ns = 0
        self.answer = ""
        self.answers = 0
        CONTROLLER_STATE.subscription(node, self._on_state)
        node.create_timer(FOLLOW_S, self._follow, clock=Clock(clock_type=ClockType.STEADY_TIME))

    # commands

    def publish(self, velocity: Velocity, stamp_ns: int, frame_id: str) -> None:
        """Send a command. Stamps always advance, as the controller demands, even where they repeat here."""
        if stamp_ns < self._stamp_ns - _SET_BACK_NS:
            self._stamp_ns = 0  # the clock was set back
        self._stamp_ns = max(stamp_ns, self._stamp_ns + 1)
        message = TwistStamped()
        message.header.stamp = Time(nanoseconds=self._stamp_ns).to_msg()
        message.header.frame_id = frame_id
        message.twist.linear.x, message.twist.linear.y, message.twist.angular.z = velocity
        self._publisher.publish(message)

    def now(self) -> Now:
        """The current time on both clocks."""
        return Now(steady_ns(), int(self._node.get_clock().now().nanoseconds))

    # calls

    def arm(self) -> None:
        """Arm, or disarm when armed."""
        if self.armed:
            self.disarm()
        else:
            self._call(ARM, SetBool.Request(data=True))

    def disarm(self) -> None:
        """Forbid motion; repeated until the controller answers."""
        self._call(ARM, SetBool.Request(data=False), insist=True)

    def estop(self) -> None:
        """Emergency stop; repeated until the controller answers."""
        self._call(TRIGGER_ESTOP, Trigger.Request(), insist=True, words=STOPPED)

    def reset_estop(self) -> None:
        """Release the latch."""
        self._calls.pop(TRIGGER_ESTOP.name, None)
        self._call(RESET_ESTOP, Trigger.Request())

    def save(self) -> None:
        """Write what the recorder's ring buffer holds."""
        self._call(RECORDER_SAVE, Trigger.Request(), patience_ns=SAVED_NS)

    def leave(self, patience_s: float) -> None:
        """Disarm before the process ends, waiting for the answer when there is anyone to give it."""
        client = self._clients[ARM.name]
        if not client.service_is_ready():
            return
        future = client.call_async(SetBool.Request(data=False))
        executor = self._node.executor
        if executor is not None:
            executor.spin_until_future_complete(future, timeout_sec=patience_s)

    def _call(
        self,
        service: Service,
        request: Any,
        insist: bool = False,
        patience_ns: int = ANSWER_NS,
        words: str = "",
    ) -> None:
        self._calls[service.name] = _Call(service, request, insist, patience_ns, words, asked_ns=steady_ns())
        self._follow()

    def _follow(self) -> None:
        now_ns = steady_ns()
        for name, call in list(self._calls.items()):
            if call.future is not None and call.future.done():
                del self._calls[name]
                answer = call.future.result()
                self._say((call.words if answer.success else "") or answer.message or f"{name}: done")
            elif call.future is None and self._clients[name].service_is_ready():
                call.future, call.sent_ns = self._clients[name].call_async(call.request), now_ns
            elif now_ns - max(call.sent_ns, call.asked_ns) > (ANSWER_NS if call.future is None else call.patience_ns):
                self._give_up(name, call, now_ns)

    def _give_up(self, name: str, call: _Call, now_ns: int) -> None:
        if call.future is not None:
            self._clients[name].remove_pending_request(call.future)
        call.future, call.asked_ns = None, now_ns
        if not call.insist:
            del self._calls[name]
        self._say(f"{name} does not answer{'; still asking' if call.insist else ''}; is its node running?")

    def _say(self, answer: str) -> None:
        self.answer = answer
        self.answers += 1
        self._on_news()

    # what the controller says

    @property
    def armed(self) -> bool:
        """Whether the controller last said that it is."""
        return self._state.get("mode", "disarmed") not in ("disarmed", "estop") and self.connected

    @property
    def connected(self) -> bool:
        """Whether the controller says anything: its state comes at least once a second."""
        return self._state_ns is not None and steady_ns() - self._state_ns < STATE_NS

    def state(self) -> tuple[str, str, str]:
        """Mode, source, reason; the last two empty while there is no controller."""
        if not self.connected:
            return "no controller", "", ""
        mode, source, reason = (self._state.get(key, "?") for key in ("mode", "source", "reason"))
        return mode, source, reason

    def _on_state(self, message: DiagnosticStatus) -> None:
        before = self.state()
        self._state = {pair.key: pair.value for pair in message.values}
        self._state_ns = steady_ns()
        if self.state() != before:
            self._on_news()
