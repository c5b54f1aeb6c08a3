"""How old inputs are: watchdogs for sensors, and the policy's actions aged from their camera stamps."""

from __future__ import annotations

from typing import NamedTuple

from mobile_vla.config.action_space import STILL, Velocity
from mobile_vla.control.clock import NS_PER_S, Now, Rejected, check_stamp, to_ns
from mobile_vla.control.config import ControllerConfig
from mobile_vla.control.decode import ON_PLANE, OffPlane, check_planar, decode_action
from mobile_vla.control.latency import Latency

REFUSED_KEPT = 9
IMPLAUSIBLE_AGE_NS = 30 * NS_PER_S
"""No policy takes this long: the sender's clock differs from this computer's."""


class Watchdog:
    """One stamped source. Its age counts from the stamp, converted to the steady clock on arrival."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._taken_ns: int | None = None
        self._stamp_ns = 0

    def offer(self, stamp_ns: int, now: Now, timeout_ns: int, future_ns: int) -> None:
        """A sign of life; raises `Rejected` for a stamp that proves none."""
        age_ns = check_stamp(self.kind, stamp_ns, self._stamp_ns, now, future_ns)
        if age_ns > timeout_ns:
            raise Rejected(
                f"{self.kind}.too_old",
                f"{self.kind} is {age_ns / NS_PER_S:.3f} s old on arrival, allowed {timeout_ns / NS_PER_S:g} s",
            )
        self._stamp_ns = stamp_ns
        self._taken_ns = now.steady_ns - age_ns

    def age_ns(self, steady_ns: int) -> int | None:
        """Age of the newest sign of life; None when there never was one."""
        return None if self._taken_ns is None else steady_ns - self._taken_ns

    def alive(self, steady_ns: int, timeout_ns: int) -> bool:
        """Whether there was a sign of life within the timeout."""
        return self._taken_ns is not None and steady_ns - self._taken_ns <= timeout_ns

    def forget_stamp(self) -> None:
        """Accept any stamp next: the ROS clock was set back."""
        self._stamp_ns = 0


class Timed(NamedTuple):
    """An action in use: when its image was taken, when it arrived and when it expires, on the steady clock."""

    velocity: Velocity
    stamp_ns: int
    image_ns: int
    arrival_ns: int
    deadline_ns: int


class Refused(NamedTuple):
    """The newest action, which was refused: when it came, why, and the ages of it and those refused like it before."""

    steady_ns: int
    code: str
    message: str
    ages_ns: tuple[int, ...]

    @property
    def median_age_ns(self) -> int:
        """Of the image on arrival."""
        return sorted(self.ages_ns)[len(self.ages_ns) // 2]


class Actions:
    """The newest usable action.

    An action is usable when its image was taken after `valid_after_ns` (the last arming, release, instruction change,
    mode change or reset) and until image stamp + max(minimum, factor x image-to-action latency), at most the maximum.
    """

    def __init__(self, config: ControllerConfig) -> None:
        self.configure(config)
        self.newest: Timed | None = None
        self.valid_after_ns = 0
        self._previous: Timed | None = None
        self._stamp_ns = 0
        self._seen_image_ns: int | None = None
        self._latency = Latency()
        self.refused: Refused | None = None

    def configure(self, config: ControllerConfig) -> None:
        """Use new settings from now on; an action already accepted keeps its deadline."""
        self._config = config
        self._min_ns = to_ns(config.staleness.action_min_s)
        self._max_ns = to_ns(config.staleness.action_max_s)
        self._future_ns = to_ns(config.staleness.future_s)

    def offer(
        self,
        stamp_ns: int,
        frame_id: str,
        action: Velocity,
        now: Now,
        armed: bool = True,
        *,
        off_plane: OffPlane = ON_PLANE,
    ) -> None:
        """Take an action; raises `Rejected` when it must not be used. While nothing is armed, late ones tell how slow
        the policy is; afterwards only those that are used do.
        """
        try:
            check_planar("action", off_plane)
            self._offer(stamp_ns, frame_id, action, now, armed)
        except Rejected as error:
            same = self.refused.ages_ns if self.refused is not None and self.refused.code == error.code else ()
            ages_ns = (*same, now.ros_ns - stamp_ns)[-REFUSED_KEPT:]
            self.refused = Refused(now.steady_ns, error.code, str(error), ages_ns)
            raise
        self.refused = None

    def _offer(self, stamp_ns: int, frame_id: str, action: Velocity, now: Now, armed: bool) -> None:
        age_ns = check_stamp("action", stamp_ns, self._stamp_ns, now, self._future_ns)
        velocity = decode_action(frame_id, action, self._config.action)
        self._stamp_ns = stamp_ns
        if not armed:
            self._latency.note_disarmed(min(age_ns, self._max_ns))
        lifetime_ns = self.lifetime_ns
        if age_ns > lifetime_ns:
            remedy = (
                "compare the clocks of the camera's and of this computer"
                if age_ns > IMPLAUSIBLE_AGE_NS
                else "check camera and inference, or disarm and arm again if this policy is slower for good"
            )
            raise Rejected(
                "action.too_old",
                f"action's image is {age_ns / NS_PER_S:.3f} s old, allowed {lifetime_ns / NS_PER_S:.3f} s; {remedy}",
            )
        image_ns = now.steady_ns - age_ns
        self._seen_image_ns = image_ns
        if stamp_ns <= self.valid_after_ns:
            raise Rejected(
                "action.invalidated",
                "action was computed from an image taken before the last change of mode, person or instruction",
            )
        if armed:
            self._latency.note_accepted(age_ns)
        self._previous = self.newest
        self.newest = Timed(velocity, stamp_ns, image_ns, now.steady_ns, image_ns + lifetime_ns)

    @property
    def lifetime_ns(self) -> int:
        """How long after its image an action arriving now may be used."""
        slow_ns = round(self._config.staleness.action_inference_factor * self._latency.estimate_ns)
        return min(max(self._min_ns, slow_ns), self._max_ns)

    def invalidate_before(self, ros_ns: int) -> None:
        """Discard what was computed from images up to now."""
        self.valid_after_ns = max(self.valid_after_ns, ros_ns)
        self.newest = None
        self._previous = None

    def clock_set_back(self, ros_ns: int) -> None:
        """Discard everything and follow the ROS clock to its new time."""
        self.valid_after_ns = ros_ns
        self._stamp_ns = 0
        self.newest = None
        self._previous = None

    def live(self, steady_ns: int) -> bool:
        """Whether there is an action that may be used now."""
        return self.newest is not None and steady_ns <= self.newest.deadline_ns

    def image_age_ns(self, steady_ns: int) -> int | None:
        """Age of the newest image any valid action was computed from, invalidated or not; None before any."""
        return None if self._seen_image_ns is None else steady_ns - self._seen_image_ns

    def velocity(self, steady_ns: int) -> Velocity:
        """What the policy wants now, shaped between actions as configured; still when nothing is live."""
        newest = self.newest
        if newest is None or steady_ns > newest.deadline_ns:
            return STILL
        between = self._config.action.between
        if between == "hold":
            return newest.velocity
        previous = self._previous
        spacing_ns = newest.arrival_ns - previous.arrival_ns if previous is not None else 0
        since_ns = steady_ns - newest.arrival_ns
        if between == "ramp":
            full_until_ns = min(newest.arrival_ns + spacing_ns, newest.deadline_ns)
            if steady_ns <= full_until_ns:
                return newest.velocity
            return _blend(
                STILL, newest.velocity, (newest.deadline_ns - steady_ns) / (newest.deadline_ns - full_until_ns)
            )
        if previous is None or since_ns >= spacing_ns:
            return newest.velocity
        return _blend(previous.velocity, newest.velocity, max(since_ns, 0) / spacing_ns)


def _blend(start: Velocity, end: Velocity, share: float) -> Velocity:
    return Velocity(*(a + (b - a) * share for a, b in zip(start, end, strict=True)))
