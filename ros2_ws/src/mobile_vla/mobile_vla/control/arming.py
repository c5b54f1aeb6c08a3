"""Whether motion may be allowed at all, and the sentence for the person who asked."""

from __future__ import annotations

from mobile_vla.control.arbitration import Arbiter
from mobile_vla.control.clock import NS_PER_S, Now, to_s
from mobile_vla.control.config import ControllerConfig
from mobile_vla.control.health_monitor import HealthMonitor
from mobile_vla.control.latch import EmergencyLatch
from mobile_vla.control.modes import REASONS
from mobile_vla.control.staleness import IMPLAUSIBLE_AGE_NS, Actions, Refused
from mobile_vla.control.time_watch import TimeWatch

REFUSED_LATELY_NS = 10 * NS_PER_S


class ArmingCheck:
    """Looks at the gate's parts; `refusal` is empty when nothing speaks against arming."""

    def __init__(
        self, latch: EmergencyLatch, health: HealthMonitor, actions: Actions, people: Arbiter, time: TimeWatch
    ) -> None:
        self._latch = latch
        self._health = health
        self._actions = actions
        self._people = people
        self._time = time

    def refusal(self, config: ControllerConfig, now: Now) -> str:
        """Why arming is refused; empty when it is not."""
        steady_ns = now.steady_ns
        if self._latch.closed:
            return f"emergency stop is latched ({self._latch.cause}); reset it first"
        interrupted = self._time.refusal(now)
        if interrupted:
            return interrupted
        fault, _ = self._health.faults(steady_ns)
        if fault:
            return f"{REASONS[fault]}{self._health.detail(fault, steady_ns)}"
        unfit = self._health.policy_refusal(steady_ns) if config.require.policy else ""
        if unfit:
            return unfit
        if self._health.image_error:
            return f"the camera picture is not usable: {self._health.image_error}"
        return (self._camera(config, steady_ns) if config.require.camera else "") or self._person(steady_ns)

    def _camera(self, config: ControllerConfig, steady_ns: int) -> str:
        age_ns = self._actions.image_age_ns(steady_ns)
        allowed_ns = self._actions.lifetime_ns
        if age_ns is not None and age_ns <= allowed_ns:
            return ""
        if "action" in self._health.incompatible_inputs:
            return self._health.incompatible_inputs["action"]
        refused = self._actions.refused
        if refused is not None and steady_ns - refused.steady_ns <= REFUSED_LATELY_NS:
            slow = refused.code == "action.too_old" and refused.median_age_ns < IMPLAUSIBLE_AGE_NS
            return _too_slow(config, refused) if slow else f"actions arrive and are refused: {refused.message}"
        if age_ns is None:
            return "no action from a camera image has arrived; check camera and inference"
        ages = f"{to_s(age_ns):.2f} s old, allowed {to_s(allowed_ns):.2f} s"
        return f"the newest action's image is {ages}; check camera and inference"

    def _person(self, steady_ns: int) -> str:
        person = self._people.select(steady_ns)
        held = person is not None and not self._people.neutral(person.velocity)
        return f"{person.source} holds a stick; release it" if held and person is not None else ""


def _too_slow(config: ControllerConfig, refused: Refused) -> str:
    """Half the longest life of an action is for the step it came from, half until the next one comes."""
    longest_s = config.staleness.action_max_s
    return (
        f"the policy is too slow: its actions arrive {to_s(refused.median_age_ns):.2f} s after their image (median of "
        f"{len(refused.ages_ns)}), and none is used after staleness.action_max_s ({longest_s:g} s); to drive without "
        f"stops that must be {longest_s / 2:g} s or less: use a smaller policy, a lower precision or another engine, "
        "or raise staleness.action_max_s (the robot then drives that long on one picture)"
    )
