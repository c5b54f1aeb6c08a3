"""Settings of the controller: one definition for YAML, ROS parameters, flags and the reference page."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mobile_vla.config.action_space import ACTION_SPACES, spaces_of_base
from mobile_vla.config.schema import Config, ConfigError, apart, param, section
from mobile_vla.control.config_motion import Action, Base, Limits
from mobile_vla.control.config_teleop import PERIODS_PER_TIMEOUT, SOURCES, Teleop

_LIMIT_OF_SCALE = {
    "linear_mps": ("linear", "velocity_mps"),
    "lateral_mps": ("lateral", "velocity_mps"),
    "turn_radps": ("turn", "velocity_radps"),
    "steering_rad": ("steering", "angle_rad"),
}


@dataclass(frozen=True, kw_only=True)
class Staleness(Config):
    """When an input is too old. Ages of actions count from the camera stamp."""

    action_min_s: float = param(0.3, "An action lives at least this long after its image.", ge=0.05, le=5, live=True)
    action_inference_factor: float = param(
        3.0, "It lives this many times the policy's image-to-action latency.", ge=1, le=10, live=True
    )
    action_max_s: float = param(1.0, "It never lives longer than this.", ge=0.05, le=5, live=True)
    future_s: float = param(0.05, "A stamp further in the future than this is refused.", ge=0, le=1, live=True)
    policy_status_s: float = param(3.0, "The policy's own status is too old after this.", ge=2, le=30, live=True)
    odometry_s: float = param(0.5, "Odometry is dead after this.", ge=0.1, le=5, live=True)

    def cross_check(self) -> None:
        if self.action_max_s < self.action_min_s:
            raise ConfigError(
                f"action_max_s must be >= action_min_s ({self.action_min_s:g} s), got {self.action_max_s:g}; raise it"
            )
        if self.future_s > self.action_min_s:
            raise ConfigError(
                f"future_s must be <= action_min_s ({self.action_min_s:g} s), got {self.future_s:g}; lower it and "
                "synchronise the clocks instead"
            )


@dataclass(frozen=True, kw_only=True)
class Require(Config):
    """What must be alive before the controller can be armed."""

    camera: bool = param(True, "Arming needs actions from fresh images.", live=True)
    policy: bool = param(True, "Arming needs a policy that passed its self-check.", live=True)
    odometry: bool = param(False, "Arming and autonomy need odometry.", live=True)


@dataclass(frozen=True, kw_only=True)
class RangeGuardConfig(Config):
    """Slow-down and stop ahead of obstacles, in the direction of motion."""

    use_scan: bool = param(False, "Guard with the laser scan; a dead scan then stops the robot.", live=True)
    use_range: bool = param(
        False, "Guard with the single forward range sensor; a dead sensor then stops the robot.", live=True
    )
    guard_teleop: bool = param(True, "The guard also limits people.", live=True)
    timeout_s: float = param(0.5, "A range source is dead after this.", ge=0.1, le=2, live=True)
    stop_distance_m: float = param(
        0.2, "No motion towards anything nearer than this, measured from the footprint.", ge=0, le=5, live=True
    )
    slow_ttc_s: float = param(
        1.2, "Speed is limited so that the stop zone is at least this far away in time.", ge=0.1, le=20, live=True
    )
    unseen_mps: float = param(
        0.1, "Highest speed in a direction to which no scanner or sensor is turned.", ge=0, le=1, capped=True
    )
    narrow_m: float = param(
        0.05,
        "The narrowest thing that gaps between valid beams must not hide: a wider gap counts as an obstacle from where "
        "it could hide one.",
        ge=0.005,
        le=0.5,
        live=True,
    )
    margin_m: float = param(0.03, "Kept free around the footprint on the arc that is driven.", ge=0, le=0.5, live=True)
    round: bool = param(
        False, "The footprint is a circle of half_width_m, not a rectangle; front_m + rear_m is then its diameter."
    )
    half_width_m: float = param(0.2, "Half the width of the footprint.", ge=0.02, le=5)
    front_m: float = param(0.2, "From the base's origin to its front edge.", ge=0, le=5)
    rear_m: float = param(0.2, "From the base's origin to its rear edge.", ge=0, le=5)
    scan_x_m: float = param(0.0, "Position of the scanner ahead of the base's origin.", ge=-5, le=5)
    scan_y_m: float = param(0.0, "Position of the scanner left of the base's origin.", ge=-5, le=5)
    scan_yaw_rad: float = param(0.0, "Direction of the scanner's zero angle.", ge=-math.pi, le=math.pi)
    range_x_m: float = param(0.0, "Position of the range sensor ahead of the base's origin.", ge=-5, le=5)
    max_invalid_share: float = param(
        0.5, "A scan with a larger share of NaN beams does not count as alive.", ge=0, le=1, live=True
    )
    zero_is_clear: bool = param(
        False, "A beam of exactly 0 means no echo; otherwise it is an obstacle, as any below range_min.", live=True
    )

    def cross_check(self) -> None:
        if self.round and abs(self.front_m + self.rear_m - 2 * self.half_width_m) > 1e-6:
            raise ConfigError(
                f"a round footprint needs front_m + rear_m = 2 x half_width_m ({2 * self.half_width_m:g} m), got "
                f"{self.front_m:g} + {self.rear_m:g}; correct them, or set round to false"
            )

    @property
    def enabled(self) -> bool:
        """Whether any range source is in use."""
        return self.use_scan or self.use_range


@dataclass(frozen=True, kw_only=True)
class EmergencyStop(Config):
    """The latched stop."""

    reset_delay_s: float = param(0.5, "A reset is refused for this long after the stop.", ge=0.5, le=60, live=True)
    quiet_s: float = param(
        2.0,
        "Where ROS does not tell which stop device spoke (before Kilted) and several are there, a reset needs this "
        "long without a press: longer than the slowest of them repeats it.",
        ge=0.5,
        le=60,
        live=True,
    )


@dataclass(frozen=True, kw_only=True)
class Output(Config):
    """The command topic."""

    stamped: bool = param(False, "Publish TwistStamped instead of Twist; many bases expect it from Jazzy on.")
    frame_id: str = param("base_link", "Frame of stamped commands.")
    idle: str = param(
        "hold_zero",
        "When nothing drives: keep sending zeros, or fall silent.",
        choices=("hold_zero", "silent"),
        live=True,
    )
    zeros_s: float = param(1.0, "Zeros are sent at least this long before falling silent.", ge=1.0, le=60, live=True)
    silence_s: float = param(
        0.25,
        "After a longer gap between two ticks (process stopped, computer suspended) motion restarts from rest with new "
        "inputs; not longer than the base's own watchdog.",
        ge=0.1,
        le=1,
        live=True,
    )
    disarm_after_gap_s: float = param(
        5.0, "After a longer gap between two ticks the controller is disarmed.", ge=1, le=60, live=True
    )
    fault_on_second_publisher: bool = param(
        True,
        "Stop while several nodes publish on a topic that is meant for one: commands, actions, scan, range, odometry.",
        live=True,
    )


@dataclass(frozen=True, kw_only=True)
class ControllerConfig(Config):
    """Everything the controller can be told."""

    rate_hz: float = param(30.0, "Commands per second.", ge=5, le=200)
    realtime_priority: int = param(
        10,
        "Real-time priority of the command thread where permitted, one less of the threads that bring it messages, so "
        "that a busy machine delays neither commands nor stops; 0 for none.",
        ge=0,
        le=49,
    )
    base: Base = section(Base)
    action: Action = section(Action)
    limits: Limits = section(Limits)
    staleness: Staleness = section(Staleness)
    require: Require = section(Require)
    teleop: Teleop = section(Teleop)
    range_guard: RangeGuardConfig = section(RangeGuardConfig)
    estop: EmergencyStop = section(EmergencyStop)
    output: Output = section(Output)

    @property
    def period_s(self) -> float:
        """Time between two ticks."""
        return 1.0 / self.rate_hz

    @property
    def policy_mps(self) -> float:
        """The highest speed over ground that the policy can ask for and get."""
        forward = min(self.action.linear_mps, self.limits.linear.velocity_mps)
        sideways = (
            min(self.action.lateral_mps, max(self.limits.lateral.velocity_mps, self.limits.lateral.reverse_mps))
            if ACTION_SPACES[self.action.space].sideways
            else 0.0
        )
        return math.hypot(forward, sideways)

    @property
    def blind_m(self) -> float:
        """The longest way the policy drives on one picture, before braking begins."""
        return self.policy_mps * (self.staleness.action_max_s + self.period_s)

    def cross_check(self) -> None:
        self._check_action()
        self._check_blind()
        shortest = PERIODS_PER_TIMEOUT * self.period_s
        timeouts = {
            "staleness.action_min_s": self.staleness.action_min_s,
            "range_guard.timeout_s": self.range_guard.timeout_s,
            "output.silence_s": self.output.silence_s,
        }
        timeouts |= {f"teleop.{name}.timeout_s": getattr(self.teleop, name).timeout_s for name in SOURCES}
        for name, value in timeouts.items():
            if value < shortest - 1e-9:
                raise ConfigError(
                    f"{name} must be >= {PERIODS_PER_TIMEOUT:g} x the tick period ({shortest:g} s), got {value:g}; "
                    "raise it or rate_hz"
                )
        self._check_guard()

    def _check_action(self) -> None:
        spaces = spaces_of_base(self.base.kind)
        if self.action.space not in spaces:
            raise ConfigError(
                f"action.space must be {' or '.join(spaces)} for base.kind {self.base.kind}, got {self.action.space}; "
                "choose a policy trained for this base"
            )
        for scale, full in zip(ACTION_SPACES[self.action.space].scales, self.action.full_scale, strict=True):
            axis, name = _LIMIT_OF_SCALE[scale]
            limit = getattr(getattr(self.limits, axis), name)
            if full > limit:
                bound, got = apart(limit, full)
                raise ConfigError(
                    f"action.{scale} must be <= limits.{axis}.{name} ({bound}), got {got}; lower it or raise the limit"
                )

    def _check_blind(self) -> None:
        guard = self.range_guard
        guarded_m = guard.stop_distance_m + self.policy_mps * guard.slow_ttc_s if guard.enabled else 0.0
        covered_m = max(self.limits.blind_m, guarded_m)
        if self.blind_m > covered_m + 1e-9:
            remedy = "raise range_guard.slow_ttc_s" if guard.enabled else "use the range guard"
            raise ConfigError(
                f"limits.blind_m must be >= {self.blind_m:.3g} m, the way the policy drives on one picture "
                f"({self.policy_mps:g} m/s x {self.staleness.action_max_s + self.period_s:.3g} s), got "
                f"{self.limits.blind_m:g}; lower action.linear_mps or staleness.action_max_s, {remedy}, or raise "
                "limits.blind_m where nobody can step into the way"
            )

    def _check_guard(self) -> None:
        if not self.range_guard.enabled:
            return
        axes = {"linear": self.limits.linear, **({"lateral": self.limits.lateral} if self.base.moves_sideways else {})}
        for name, axis in axes.items():
            fastest = max(axis.velocity_mps, axis.reverse_mps)
            shortest = (
                fastest / (2 * axis.decel_mps2)
                + (axis.accel_mps2 + axis.decel_mps2) / axis.jerk_mps3
                + 2 * self.period_s
            )
            if self.range_guard.slow_ttc_s < shortest:
                raise ConfigError(
                    f"range_guard.slow_ttc_s must be >= {shortest:.3g} s, the time limits.{name} needs to brake, "
                    f"got {self.range_guard.slow_ttc_s:g}; raise it or the braking limits"
                )
