"""Health of what the gate depends on besides its sources: odometry, policy, camera picture, publishers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mobile_vla.control.clock import Now, Rejected, to_ns
from mobile_vla.control.config import ControllerConfig
from mobile_vla.control.range_guard import RangeGuard
from mobile_vla.control.staleness import Watchdog


class HealthMonitor:
    """Stores reports and turns them into reasons (keys of `modes.REASONS`)."""

    def __init__(self, config: ControllerConfig, guard: RangeGuard) -> None:
        self.odometry = Watchdog("odometry")
        self.image_error = ""
        self._publishers: dict[str, tuple[str, ...]] = {}
        self.incompatible_inputs: dict[str, str] = {}
        self.policy_ready: bool | None = None
        self.policy_message = ""
        self._policy_ns = 0
        self._guard = guard
        self.configure(config)

    def configure(self, config: ControllerConfig) -> None:
        """Use new settings from now on."""
        self._config = config
        self._odometry_timeout_ns = to_ns(config.staleness.odometry_s)
        self._policy_timeout_ns = to_ns(config.staleness.policy_status_s)
        self._future_ns = to_ns(config.staleness.future_s)

    def offer_odometry(self, stamp_ns: int, linear_mps: float, angular_radps: float, now: Now) -> None:
        """A sign of life of the base; raises `Rejected` for speeds that are not finite and useless stamps."""
        if not (math.isfinite(linear_mps) and math.isfinite(angular_radps)):
            message = f"odometry reads {linear_mps} m/s, {angular_radps} rad/s; the base must send numbers"
            raise Rejected("odometry.not_finite", message)
        self.odometry.offer(stamp_ns, now, self._odometry_timeout_ns, self._future_ns)

    def offer_policy_status(self, ready: bool, message: str, now: Now) -> None:
        """What the policy says about itself."""
        self.policy_ready = ready
        self.policy_message = message
        self._policy_ns = now.steady_ns

    def policy_age_ns(self, steady_ns: int) -> int | None:
        """Age of the policy's last word; None before any."""
        return None if self.policy_ready is None else steady_ns - self._policy_ns

    def policy_refusal(self, steady_ns: int) -> str:
        """Why the policy is not fit to be armed, in words; empty when it is."""
        age_ns = self.policy_age_ns(steady_ns)
        if age_ns is None or age_ns > self._policy_timeout_ns:
            return "the policy has not reported itself; start the inference node"
        return "" if self.policy_ready else f"the policy is not ready: {self.policy_message}"

    def offer_publishers(self, names: Mapping[str, Sequence[str]]) -> None:
        """Who publishes on the given topics; what is known about others stays."""
        self._publishers |= {topic: tuple(nodes) for topic, nodes in names.items()}

    @property
    def second_publishers(self) -> dict[str, str]:
        """Topics that are meant for one publisher and have several, each with a sentence that names them.

        A range source counts only where it is used; odometry always, because others than the controller read it.
        """
        guard = self._config.range_guard
        used = {
            "cmd_vel": True,
            "scan": guard.use_scan,
            "range": guard.use_range,
            "action": True,
            "odom": True,
        }
        return {
            topic: f"{topic} has {len(nodes)} publishers: {', '.join(nodes)}; stop all but one"
            for topic, nodes in self._publishers.items()
            if len(nodes) > 1 and used[topic]
        }

    @property
    def _relied_second_publishers(self) -> dict[str, str]:
        """Those that stop somebody: odometry only where it is required."""
        ignored = () if self._config.require.odometry else ("odom",)
        return {topic: message for topic, message in self.second_publishers.items() if topic not in ignored}

    def faults(self, steady_ns: int) -> tuple[str, str]:
        """The reasons that block autonomy, and teleop too; empty where nothing does."""
        config = self._config
        blocks_teleop = ""
        several = self._relied_second_publishers if config.output.fault_on_second_publisher else {}
        if "cmd_vel" in several:
            blocks_teleop = "second_publisher"
        elif "estop" in self.incompatible_inputs:
            blocks_teleop = "incompatible_input"
        unguarded = "second_publisher" if several.keys() & {"scan", "range"} else ""
        if not unguarded and self._guard.timed_out(steady_ns):
            unguarded = "range_timeout"
        if not blocks_teleop and config.range_guard.guard_teleop:
            blocks_teleop = unguarded
        odometry_timeout = ""
        if config.require.odometry and not self.odometry.alive(steady_ns, self._odometry_timeout_ns):
            odometry_timeout = "odometry_timeout"
        second = "second_publisher" if several else ""
        return blocks_teleop or unguarded or second or odometry_timeout, blocks_teleop

    def detail(self, reason: str, steady_ns: int) -> str:
        """Which source, or who, to add to the sentence of a reason."""
        details = {
            "range_timeout": self._guard.timeout_detail(steady_ns),
            "second_publisher": "; ".join(self._relied_second_publishers.values()),
            "incompatible_input": self.incompatible_inputs.get("estop", ""),
        }
        return f": {details[reason]}" if reason in details else ""
