"""What autonomy waits for before it drives, and the softer limits with which it begins."""

from __future__ import annotations

from mobile_vla.control.arbitration import Arbiter
from mobile_vla.control.clock import to_ns
from mobile_vla.control.config import ControllerConfig
from mobile_vla.control.envelope import Envelope
from mobile_vla.control.health_monitor import HealthMonitor
from mobile_vla.control.staleness import Actions


class Autonomy:
    """After a person: neutral sticks, a dwell, the policy's reset. Always: a ready policy and a fresh action."""

    def __init__(
        self, config: ControllerConfig, actions: Actions, people: Arbiter, health: HealthMonitor, envelope: Envelope
    ) -> None:
        self._actions = actions
        self._people = people
        self._health = health
        self._envelope = envelope
        self._after_teleop = False
        self._reset_number = 0
        self._reset_pending = False
        self._handover_left_ns = 0
        self._drove_ns: int | None = None
        self.configure(config)

    def configure(self, config: ControllerConfig) -> None:
        """Use new settings from now on."""
        self._wait_for_reset = config.teleop.wait_for_policy_reset
        self._dwell_ns = to_ns(config.teleop.dwell_s)
        self._handover_ns = to_ns(config.limits.handover.duration_s)

    @property
    def reset_policy(self) -> int:
        """The number of the reset that the policy has not confirmed yet; 0 for none."""
        return self._reset_number if self._reset_pending else 0

    def request_reset(self) -> None:
        """The policy must clear its recurrent state."""
        self._reset_number += 1
        self._reset_pending = True

    def confirm_reset(self, number: int) -> bool:
        """The policy did so; whether this is the reset that was asked for last."""
        confirmed = self._reset_pending and number == self._reset_number
        if confirmed:
            self._reset_pending = False
        return confirmed

    def person_took_over(self) -> None:
        """A person sent a command."""
        self._after_teleop = True

    def disarm(self) -> None:
        """Nothing is waited for any more."""
        self._reset_pending = False
        self._after_teleop = False

    def begin(self) -> None:
        """The policy drives from now on."""
        self._after_teleop = False
        self._drove_ns = None
        if self._envelope.at_rest:  # in motion, a hand-over that was interrupted goes on
            self._handover_left_ns = self._handover_ns

    def in_handover(self, steady_ns: int) -> bool:
        """Whether the tighter limits apply. Call it in each tick in which the policy drives: only those count."""
        if self._drove_ns is not None:
            self._handover_left_ns -= steady_ns - self._drove_ns
        self._drove_ns = steady_ns
        return self._handover_left_ns > 0

    def waiting_for(self, steady_ns: int, lost: str) -> str:
        """The reason why autonomy must not drive now, given the source that was lost; empty when it may."""
        if self._health.policy_ready is False:
            return "policy_not_ready"
        if self._health.image_error:
            return "image_unhealthy"
        if lost:
            return "teleop_lost"
        if self._after_teleop:
            last = self._people.last
            if last is not None and steady_ns - last.steady_ns < self._dwell_ns:
                return "dwell"
            if not self._envelope.at_rest:
                return "not_at_rest"
        if self._reset_pending and self._wait_for_reset:
            return "policy_reset"
        return "" if self._actions.live(steady_ns) else self._without_action(steady_ns)

    def _without_action(self, steady_ns: int) -> str:
        if "action" in self._health.incompatible_inputs:
            return "incompatible_input"
        age_ns = self._actions.image_age_ns(steady_ns)
        return "stale_action" if age_ns is None or age_ns > self._actions.lifetime_ns else "no_action"
