"""Settings of motion: limits of every axis, the base under the command topic, the meaning of an action."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mobile_vla.config.action_space import ACTION_SPACES
from mobile_vla.config.schema import Config, ConfigError, param, section
from mobile_vla.control.limits import AxisLimits, stopping_distance_m

BRAKING_RAD = math.pi
"""Braking from the highest yaw rate turns the robot no further than this: half a turn."""
STEERING_BACK_S = 3.0
"""The wheels are straight again within this time from the largest steering angle."""


@dataclass(frozen=True, kw_only=True)
class LinearLimits(Config):
    """Forward axis, in metres."""

    velocity_mps: float = param(0.5, "Highest forward speed.", ge=0.01, le=10, capped=True)
    reverse_mps: float = param(
        0.2, "Highest speed backwards (or to the right, on the lateral axis).", ge=0, le=10, capped=True
    )
    accel_mps2: float = param(0.5, "Highest rate at which speed may grow.", ge=0.05, le=50, capped=True)
    decel_mps2: float = param(1.0, "Highest rate at which speed may shrink.", ge=0.1, le=50, live=True)
    jerk_mps3: float = param(10.0, "Highest rate at which acceleration may change.", ge=0.5, le=10000, live=True)

    @property
    def axis(self) -> AxisLimits:
        """For a limiter."""
        return AxisLimits(self.velocity_mps, self.reverse_mps, self.accel_mps2, self.decel_mps2, self.jerk_mps3)


@dataclass(frozen=True, kw_only=True)
class LateralLimits(LinearLimits):
    """Sideways axis of an omnidirectional base, in metres; left is positive."""

    velocity_mps: float = param(0.3, "Highest speed to the left.", ge=0.01, le=10, capped=True)
    reverse_mps: float = param(0.3, "Highest speed to the right.", ge=0, le=10, capped=True)


@dataclass(frozen=True, kw_only=True)
class TurnLimits(Config):
    """Yaw rate: the turning axis of diff and omni bases, the output of an Ackermann base that takes a yaw rate."""

    velocity_radps: float = param(1.0, "Highest yaw rate, either way.", ge=0.05, le=20, capped=True)
    accel_radps2: float = param(2.0, "Highest rate at which the yaw rate may grow.", ge=0.1, le=200, capped=True)
    decel_radps2: float = param(3.0, "Highest rate at which the yaw rate may shrink.", ge=0.2, le=200, live=True)
    jerk_radps3: float = param(40.0, "Highest rate at which yaw acceleration may change.", ge=1, le=50000, live=True)

    @property
    def axis(self) -> AxisLimits:
        """For a limiter."""
        fastest = self.velocity_radps
        return AxisLimits(fastest, fastest, self.accel_radps2, self.decel_radps2, self.jerk_radps3)


@dataclass(frozen=True, kw_only=True)
class SteeringLimits(Config):
    """Steering axis of an Ackermann base, in place of the turning axis; `turn` limits the yaw rate that it gives."""

    angle_rad: float = param(0.5, "Largest steering angle, either way.", ge=0.05, le=1.4, capped=True)
    rate_radps: float = param(1.0, "Highest rate at which the steering angle may change.", ge=0.1, le=50, capped=True)
    accel_radps2: float = param(
        20.0, "Highest rate at which the steering rate may change.", ge=0.5, le=10000, live=True
    )

    @property
    def axis(self) -> AxisLimits:
        """For a limiter."""
        return AxisLimits(self.angle_rad, self.angle_rad, self.rate_radps, self.rate_radps, self.accel_radps2)


@dataclass(frozen=True, kw_only=True)
class Handover(Config):
    """The tighter set while autonomy takes control, as shares of the limits: never looser by construction."""

    duration_s: float = param(1.0, "How long the tighter set applies after autonomy begins.", ge=0, le=30, live=True)
    velocity_share: float = param(0.6, "Share of every velocity limit during hand-over.", ge=0.05, le=1, live=True)
    accel_share: float = param(0.5, "Share of every acceleration limit during hand-over.", ge=0.05, le=1, live=True)
    decel_share: float = param(1.0, "Share of every deceleration limit during hand-over.", ge=0.5, le=1, live=True)
    jerk_share: float = param(0.5, "Share of every jerk limit during hand-over.", ge=0.05, le=1, live=True)


@dataclass(frozen=True, kw_only=True)
class Limits(Config):
    """What no output ever exceeds."""

    linear: LinearLimits = section(LinearLimits)
    lateral: LateralLimits = section(LateralLimits)
    turn: TurnLimits = section(TurnLimits)
    steering: SteeringLimits = section(SteeringLimits)
    handover: Handover = section(Handover)
    braking_m: float = param(
        2.5,
        "Longest braking distance from the highest speed; limits that brake more gently are refused.",
        ge=0.02,
        le=50,
    )
    blind_m: float = param(
        1.0,
        "Longest way the policy may drive on one picture before braking begins: its highest speed x "
        "(staleness.action_max_s + one tick). Longer is accepted only as far as the range guard slows for obstacles.",
        ge=0.02,
        le=50,
    )

    def cross_check(self) -> None:
        self._check_braking("linear", self.linear)
        self._check_braking("lateral", self.lateral)
        turning_rad = self._braking(self.turn.axis)
        if turning_rad > BRAKING_RAD:
            raise ConfigError(
                f"turn.decel_radps2 ({self.turn.decel_radps2:g}) and turn.jerk_radps3 ({self.turn.jerk_radps3:g}) must "
                f"stop the turn within {BRAKING_RAD:.3g} rad from {self.turn.velocity_radps:g} rad/s, got "
                f"{turning_rad:.3g} rad; raise them or lower turn.velocity_radps"
            )
        steering = self.steering
        back_s = steering.angle_rad / steering.rate_radps + steering.rate_radps / steering.accel_radps2
        if back_s > STEERING_BACK_S:
            raise ConfigError(
                f"steering.rate_radps ({steering.rate_radps:g}) and steering.accel_radps2 ({steering.accel_radps2:g}) "
                f"must straighten the wheels within {STEERING_BACK_S:g} s from {steering.angle_rad:g} rad, got "
                f"{back_s:.3g} s; raise them or lower steering.angle_rad"
            )

    def _check_braking(self, name: str, limits: LinearLimits) -> None:
        distance_m = self._braking(limits.axis)
        if distance_m > self.braking_m:
            raise ConfigError(
                f"{name}.decel_mps2 ({limits.decel_mps2:g}) and {name}.jerk_mps3 ({limits.jerk_mps3:g}) must stop the "
                f"robot within braking_m ({self.braking_m:g} m) from {max(limits.velocity_mps, limits.reverse_mps):g} "
                f"m/s, got {distance_m:.3g} m; raise them, lower the speed or raise braking_m"
            )

    def _braking(self, axis: AxisLimits) -> float:
        """The longer way of the nominal set and of the hand-over set from the highest speed, one axis."""
        shares = self.handover
        gentler = axis.scaled(shares.velocity_share, shares.accel_share, shares.decel_share, shares.jerk_share)
        return max(stopping_distance_m(max(one.forward, one.reverse), 0.0, one) for one in (axis, gentler))


@dataclass(frozen=True, kw_only=True)
class Base(Config):
    """The robot under the command topic."""

    kind: str = param("diff", "How the base moves.", choices=("diff", "omni", "ackermann"))
    wheelbase_m: float = param(0.3, "Distance between the axles (ackermann).", ge=0.05, le=10)
    ackermann_output: str = param(
        "yaw_rate",
        "What angular.z means to an Ackermann base: a yaw rate or the steering angle.",
        choices=("yaw_rate", "angle"),
    )

    @property
    def moves_sideways(self) -> bool:
        """Whether the base has a lateral axis."""
        return self.kind == "omni"

    @property
    def steers(self) -> bool:
        """Whether the turning axis is a steering angle."""
        return self.kind == "ackermann"

    @property
    def turns_by_steering(self) -> bool:
        """Whether angular.z is a yaw rate worked out from steering angle and speed."""
        return self.steers and self.ackermann_output == "yaw_rate"


@dataclass(frozen=True, kw_only=True)
class Action(Config):
    """What the normalised numbers of the policy mean on this robot."""

    space: str = param(
        "diff",
        "Action space the policy was trained for; another one is refused.",
        choices=tuple(ACTION_SPACES),
    )
    linear_mps: float = param(0.3, "Forward speed of the action value 1.", ge=0.01, le=10, live=True)
    lateral_mps: float = param(0.3, "Sideways speed of the action value 1 (omni).", ge=0.01, le=10, live=True)
    turn_radps: float = param(0.8, "Yaw rate of the action value 1 (diff).", ge=0.05, le=20, live=True)
    steering_rad: float = param(0.5, "Steering angle of the action value 1 (ackermann).", ge=0.02, le=1.4, live=True)
    between: str = param(
        "hold",
        "Between two actions: keep the last one, ramp it down towards its expiry, or move from the one before to it.",
        choices=("hold", "ramp", "interpolate"),
        live=True,
    )

    @property
    def full_scale(self) -> tuple[float, float]:
        """What the value 1 of each of the two numbers means, in m/s, rad/s or rad of steering."""
        first, second = (getattr(self, name) for name in ACTION_SPACES[self.space].scales)
        return first, second
