"""The policy on the graph: camera frames and an instruction in, normalised actions out. A lifecycle node.

configure loads the policy and checks it (probe, canary), activate runs it. With `autostart` the node does both by
itself. The image callback only stores; `InferenceWorker` owns the model and its thread.
"""

from __future__ import annotations

import gc
import sys
import time
from typing import Any

from geometry_msgs.msg import TwistStamped
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.time import Time
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

from mobile_vla.camera.health import FrameHealth
from mobile_vla.config.action_space import ACTION_SPACES
from mobile_vla.config.instruction import too_long
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.errors import UserError
from mobile_vla.policy.interface import Policy, weights_error
from mobile_vla.policy.worker import FAILURES_BEFORE_ERROR, InferenceWorker, PendingFrame
from mobile_vla.timing import RateMeter, Timings
from mobile_vla_ros.diagnostics import ERROR, OK, WARN, Diagnostics, Status
from mobile_vla_ros.images import image_to_rgb
from mobile_vla_ros.lifecycle import ContainedLifecycleNode
from mobile_vla_ros.message_order import NewerOnly
from mobile_vla_ros.parameters import Parameters
from mobile_vla_ros.polled import drain
from mobile_vla_ros.runtime import run, run_interruptible
from mobile_vla_ros.stamps import stamp_ns
from mobile_vla_ros.topics import ACTION, CAMERA_IMAGE, INSTRUCTION, POLICY_RESET

AUTOSTART_DELAY_S = 0.05
FIRST_FRAME_NS = 2_000_000_000
"""A camera that has sent nothing this long after the node began to listen is worth a warning."""


class InferenceNode(ContainedLifecycleNode):
    """Parameters -> policy and worker -> action topic; everything that decides is in the library."""

    def __init__(self) -> None:
        super().__init__("inference")
        self._settings = Parameters(self, InferenceConfig, self._on_change)
        self._policy: Policy | None = None
        self._worker: InferenceWorker | None = None
        self._subscription: Any = None
        self._error = "not configured"
        self._received = 0
        self._listening_since_ns = 0
        self._transport = Timings(keep=1000)
        self._camera_rate = RateMeter()
        self._action = ACTION.publisher(self)
        instruct = NewerOnly().only(self._on_instruction)
        self._instruction = (*INSTRUCTION.subscriptions(self, instruct), INSTRUCTION.at_once(self, instruct))
        self._reset_service = POLICY_RESET.server(self, self._on_reset)
        self._diagnostics = Diagnostics(self, self._report)
        self._wanted_instruction = self._settings.value.instruction
        self._refused_instruction = ""
        self._autostart = self.create_timer(AUTOSTART_DELAY_S, self._start_by_itself)

    # lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        config = self._settings.value
        since_s = time.monotonic()

        def report_loading() -> None:
            self._error = f"loading {config.checkpoint}, {time.monotonic() - since_s:.0f} s"
            self._diagnostics.now()

        try:
            policy = run_interruptible(lambda: _checked_policy(config), report_loading)
        except UserError as error:
            self._error = str(error)
            self.get_logger().error(self._error)
            return TransitionCallbackReturn.FAILURE
        self._policy = policy
        gc.collect()
        gc.freeze()  # a collection that walks all of PyTorch takes longer than the time between two frames
        self._error = "configured, not active"
        self.get_logger().info(f"policy ready: {_one_line(policy.description)}")
        if policy.card.untrained:
            self.get_logger().warning("UNTRAINED policy: random weights, its motion means nothing")
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        if self._policy is None:
            return TransitionCallbackReturn.FAILURE
        config = self._settings.value
        health = FrameHealth(config.health)
        self._worker = InferenceWorker(
            self._policy,
            now_ns=self._now_ns,
            on_action=self._publish,
            max_age_s=config.image_max_age_s,
            period_s=1.0 / (config.rate_hz or self._policy.card.control_rate_hz),
            judge=health.judge,
        )
        self._worker.instruct(self._wanted_instruction)
        self._worker.start()
        self._subscription = CAMERA_IMAGE.subscription(self, self._on_image)
        self._listening_since_ns = self._now_ns()
        self._error = ""
        self._diagnostics.now()  # whoever waits to arm need not wait for the next second
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop_worker()
        self._error = "configured, not active"
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._policy = None
        self._error = "not configured"
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop_worker()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """A transition failed: back to the beginning, from where the node can be configured again."""
        self._stop_worker()
        self._policy = None
        self._error = "a transition failed, see what is contained; configure the node again"
        return TransitionCallbackReturn.SUCCESS

    def before_shutdown(self) -> None:
        self._stop_worker()

    def _start_by_itself(self) -> None:
        self.destroy_timer(self._autostart)
        if self._settings.value.autostart and self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def _stop_worker(self) -> None:
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    # callbacks: they store, the worker decides

    def _on_image(self, message: Image) -> None:
        """All that have come are counted, so that none is lost while this thread waits; the newest is used."""
        jobs = [self._arrived(frame) for frame in (message, *drain(self._subscription))]
        if self._worker is not None:
            self._worker.offer(*jobs)

    def _arrived(self, message: Image) -> PendingFrame:
        taken_ns, now_ns = stamp_ns(message), self._now_ns()
        self._received += 1
        self._transport.add((now_ns - taken_ns) / 1e6)
        self._camera_rate.tick(now_ns)
        return PendingFrame(taken_ns, lambda: image_to_rgb(message), message.encoding)

    def _on_instruction(self, message: String) -> None:
        """A transient-local writer is heard twice: the worker takes the same sentence again for nothing new. One
        that is too long changes nothing, and is said once.
        """
        if problem := too_long(message.data):
            if not self._refused_instruction:
                self.get_logger().warning(problem)
            self._refused_instruction = problem
            return
        self._refused_instruction = ""
        if self._worker is not None:
            self._worker.instruct(message.data)
        if message.data != self._wanted_instruction:
            self._wanted_instruction = message.data
            self.get_logger().info(f"instruction: {message.data!r}")

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._worker is not None
        response.message = "recurrent state cleared" if response.success else f"nothing to reset: {self._error}"
        if self._worker is not None:
            self._worker.reset()
        return response

    def _on_change(self, config: InferenceConfig) -> None:
        if self._worker is not None:
            self._worker.max_age_s = config.image_max_age_s
            if config.instruction != self._settings.value.instruction:
                self._wanted_instruction = config.instruction
                self._worker.instruct(config.instruction)

    # output

    def _publish(self, stamp_ns: int, action: tuple[float, float]) -> None:
        assert self._policy is not None
        message = TwistStamped()
        message.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
        message.header.frame_id = self._policy.card.action_space
        twist = ACTION_SPACES[self._policy.card.action_space].to_twist(action)
        message.twist.linear.x, message.twist.linear.y, message.twist.angular.z = twist
        self._action.publish(message)

    def _report(self) -> Status:
        worker, policy = self._worker, self._policy
        values = {"ready": "false", "checkpoint": self._settings.value.checkpoint}
        if policy is not None:
            values |= {key: str(value) for key, value in policy.description.items()}
            values["untrained"] = str(policy.card.untrained).lower()
        if worker is None:
            loading = self._error.startswith("loading") or not self._error
            return Status(WARN if loading or policy is not None else ERROR, self._error or "starting", values)
        state = worker.state()
        now_ns = self._now_ns()
        values |= {
            "ready": "true",
            "instruction": state.instruction,
            "image_trouble": state.image_error,
            "actions_hz": f"{worker.rate.hz(now_ns):.1f}",
            "camera_hz": f"{self._camera_rate.hz(now_ns):.1f}",
            "frames_received": str(self._received),
            **{f"frames_{name}": str(count) for name, count in vars(state.counters).items()},
            **self._transport.as_values("transport"),
            **worker.image_age.as_values("camera_to_action"),
        }
        for stage, timings in worker.timings.items():
            values |= timings.as_values(stage)
        label = "UNTRAINED policy; " if policy is not None and policy.card.untrained else ""
        if policy is not None and (lost := weights_error(policy)):
            return Status(ERROR, f"{label}{lost}", {**values, "ready": "false"})
        if state.failures_in_row >= FAILURES_BEFORE_ERROR:
            return Status(ERROR, f"{label}{state.error}", values)
        if self._camera_rate.hz(now_ns) == 0:
            if now_ns - self._listening_since_ns < FIRST_FRAME_NS:
                return Status(OK, f"{label}waiting for the first camera frame", values)
            return Status(WARN, f"{label}no camera frames arrive on {CAMERA_IMAGE.name}", values)
        error = state.error or self._refused_instruction
        return Status(WARN if error else OK, f"{label}{error or 'running'}", values)

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)


def _checked_policy(config: InferenceConfig) -> Policy:
    from mobile_vla.engine import open_policy  # torch is loaded here and not before

    policy = open_policy(config)
    policy.self_check()
    return policy


def _one_line(description: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in description.items())


def main() -> None:
    """Run the node."""
    sys.exit(run(InferenceNode))


if __name__ == "__main__":
    main()
