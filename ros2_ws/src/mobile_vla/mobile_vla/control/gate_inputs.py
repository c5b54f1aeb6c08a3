"""The inputs of the gate: each is checked and stored, or ignored and counted. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mobile_vla.config.action_space import Velocity
from mobile_vla.control.arbitration import Arbiter
from mobile_vla.control.autonomy import Autonomy
from mobile_vla.control.clock import Now, Rejected, Rejections
from mobile_vla.control.config import ControllerConfig
from mobile_vla.control.decode import ON_PLANE, OffPlane, check_planar
from mobile_vla.control.envelope import Envelope
from mobile_vla.control.health_monitor import HealthMonitor
from mobile_vla.control.range_guard import RangeGuard
from mobile_vla.control.scan_sides import ScanGeometry
from mobile_vla.control.staleness import Actions


class GateInputs:
    """Actions, people, sensors and reports on their way into the gate."""

    def __init__(self, config: ControllerConfig) -> None:
        self.rejections = Rejections()
        self._armed = False
        self._actions = Actions(config)
        self._people = Arbiter(config)
        self._guard = RangeGuard(config)
        self._envelope = Envelope(config)
        self._health = HealthMonitor(config, self._guard)
        self._autonomy = Autonomy(config, self._actions, self._people, self._health, self._envelope)

    def offer_action(
        self, stamp_ns: int, frame_id: str, normalised: Velocity, now: Now, *, off_plane: OffPlane = ON_PLANE
    ) -> None:
        """The policy's action: the stamp of its image, its action space, values in [-1, 1]."""
        self._take(lambda: self._actions.offer(stamp_ns, frame_id, normalised, now, self._armed, off_plane=off_plane))

    def offer_teleop(
        self,
        source: str,
        stamp_ns: int,
        velocity: Velocity,
        now: Now,
        released: bool = False,
        *,
        off_plane: OffPlane = ON_PLANE,
    ) -> None:
        """A person's command in m/s and rad/s (steering angle on an Ackermann base), or a zero that gives back."""

        def offer() -> None:
            check_planar(source, off_plane)
            self._people.offer(source, stamp_ns, velocity, now, released)
            if self._armed:
                self._autonomy.person_took_over()

        self._take(offer)

    def offer_scan(
        self, stamp_ns: int, ranges: Sequence[float], geometry: ScanGeometry, now: Now, frame_id: str = ""
    ) -> None:
        """A laser scan."""
        self._take(lambda: self._guard.offer_scan(stamp_ns, ranges, geometry, now, frame_id))

    def offer_range(self, stamp_ns: int, distance_m: float, min_m: float, max_m: float, now: Now) -> None:
        """One distance straight ahead."""
        self._take(lambda: self._guard.offer_range(stamp_ns, distance_m, min_m, max_m, now))

    def offer_odometry(self, stamp_ns: int, linear_mps: float, angular_radps: float, now: Now) -> None:
        """A sign of life of the base; speeds that are not finite are none."""
        self._take(lambda: self._health.offer_odometry(stamp_ns, linear_mps, angular_radps, now))

    def offer_policy_status(self, ready: bool, message: str, now: Now) -> None:
        """What the policy says about itself: loaded, probe and canary passed, running."""
        self._health.offer_policy_status(ready, message, now)

    def offer_image_health(self, error: str) -> None:
        """Frozen, black or changed camera picture, in words; empty when it is fine again. An error counts as stale."""
        self._health.image_error = error

    def offer_publishers(self, names: Mapping[str, Sequence[str]]) -> None:
        """Nodes that publish on topics meant for one: `cmd_vel` (this one included), `action`, `scan`, `range`, `odom`.

        A topic that is left out stays as it was offered last.
        """
        self._health.offer_publishers(names)

    def offer_incompatible_inputs(self, inputs: Mapping[str, str]) -> None:
        """Inputs (`action`, `estop`, `joy`, ...) with a publisher that cannot be read, each with a sentence."""
        self._health.incompatible_inputs = dict(inputs)

    def instruction_changed(self, now: Now) -> None:
        """A new instruction: actions from images before it are discarded."""
        self._actions.invalidate_before(now.ros_ns)

    def policy_was_reset(self, number: int, now: Now) -> None:
        """The policy cleared its recurrent state, as `Command.reset_policy` asked with this number."""
        if self._autonomy.confirm_reset(number):
            self._actions.invalidate_before(now.ros_ns)

    @property
    def action_lifetime_ns(self) -> int:
        """How old the image of an action may be that arrives now: longer for a policy that is slow."""
        return self._actions.lifetime_ns

    @property
    def incompatible_inputs(self) -> Mapping[str, str]:
        """Inputs with a publisher that cannot be read, each with a sentence about it."""
        return self._health.incompatible_inputs

    @property
    def second_publishers(self) -> Mapping[str, str]:
        """Topics meant for one publisher that have several, each with a sentence that names them."""
        return self._health.second_publishers

    def _take(self, offer: Callable[[], None]) -> None:
        try:
            offer()
        except Rejected as error:
            self.rejections.add(error)
