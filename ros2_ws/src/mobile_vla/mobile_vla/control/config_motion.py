"""Settings of motion: limits of every axis, the base under the command topic, the meaning of an action."""

from __future__ import annotations

from dataclasses import dataclass

from mobile_vla.config.schema import Config, param, section


@dataclass(frozen=True, kw_only=True)
class LinearLimits(Config):
    """Forward axis, in metres."""

    velocity_mps: float = param(0.5, "Highest forward speed.", gt=0, le=10, live=True)
    reverse_mps: float = param(
        0.2, "Highest speed backwards (or to the right, on the lateral axis).", ge=0, le=10, live=True
    )
    accel_mps2: float = param(0.5, "Highest rate at which speed may grow.", gt=0, le=50, live=True)
    decel_mps2: float = param(1.0, "Highest rate at which speed may shrink.", gt=0, le=50, live=True)
    jerk_mps3: float = param(10.0, "Highest rate at which acceleration may change.", gt=0, le=10000, live=True)


@dataclass(frozen=True, kw_only=True)
class LateralLimits(LinearLimits):
    """Sideways axis of an omnidirectional base, in metres; left is positive."""

    velocity_mps: float = param(0.3, "Highest speed to the left.", gt=0, le=10, live=True)
    reverse_mps: float = param(0.3, "Highest speed to the right.", ge=0, le=10, live=True)


@dataclass(frozen=True, kw_only=True)
class TurnLimits(Config):
    """Turning axis of diff and omni bases."""

    velocity_radps: float = param(1.0, "Highest yaw rate, either way.", gt=0, le=20, live=True)
    accel_radps2: float = param(2.0, "Highest rate at which the yaw rate may grow.", gt=0, le=200, live=True)
    decel_radps2: float = param(3.0, "Highest rate at which the yaw rate may shrink.", gt=0, le=200, live=True)
    jerk_radps3: float = param(40.0, "Highest rate at which yaw acceleration may change.", gt=0, le=50000, live=True)


@dataclass(frozen=True, kw_only=True)
class SteeringLimits(Config):
    """Steering axis of an Ackermann base; it replaces the turning axis there."""

    angle_rad: float = param(0.5, "Largest steering angle, either way.", gt=0, le=1.4, live=True)
    rate_radps: float = param(1.0, "Highest rate at which the steering angle may change.", gt=0, le=50, live=True)
    accel_radps2: float = param(20.0, "Highest rate at which the steering rate may change.", gt=0, le=10000, live=True)


@dataclass(frozen=True, kw_only=True)
class Handover(Config):
    """The tighter set while autonomy takes control, as shares of the limits: never looser by construction."""

    duration_s: float = param(1.0, "How long the tighter set applies after autonomy begins.", ge=0, le=30, live=True)
    velocity_share: float = param(0.6, "Share of every velocity limit during hand-over.", gt=0, le=1, live=True)
    accel_share: float = param(0.5, "Share of every acceleration limit during hand-over.", gt=0, le=1, live=True)
    decel_share: float = param(1.0, "Share of every deceleration limit during hand-over.", gt=0, le=1, live=True)
    jerk_share: float = param(0.5, "Share of every jerk limit during hand-over.", gt=0, le=1, live=True)


@dataclass(frozen=True, kw_only=True)
class Limits(Config):
    """What no output ever exceeds."""

    linear: LinearLimits = section(LinearLimits)
    lateral: LateralLimits = section(LateralLimits)
    turn: TurnLimits = section(TurnLimits)
    steering: SteeringLimits = section(SteeringLimits)
    handover: Handover = section(Handover)


@dataclass(frozen=True, kw_only=True)
class Base(Config):
    """The robot under the command topic."""

    kind: str = param("diff", "How the base moves.", choices=("diff", "omni", "ackermann"))
    wheelbase_m: float = param(0.3, "Distance between the axles (ackermann).", gt=0, le=10)
    ackermann_output: str = param(
        "yaw_rate",
        "What angular.z means to an Ackermann base: a yaw rate or the steering angle.",
        choices=("yaw_rate", "angle"),
    )


@dataclass(frozen=True, kw_only=True)
class Action(Config):
    """What the normalised numbers of the policy mean on this robot."""

    space: str = param(
        "diff",
        "Action space the policy was trained for; another one is refused.",
        choices=("diff", "omni", "ackermann"),
    )
    linear_mps: float = param(0.3, "Forward speed of the action value 1.", gt=0, le=10, live=True)
    lateral_mps: float = param(0.3, "Sideways speed of the action value 1 (omni).", gt=0, le=10, live=True)
    turn_radps: float = param(0.8, "Yaw rate of the action value 1 (diff).", gt=0, le=20, live=True)
    steering_rad: float = param(0.5, "Steering angle of the action value 1 (ackermann).", gt=0, le=1.4, live=True)
    between: str = param(
        "hold",
        "Between two actions: keep the last one, ramp it down towards its expiry, or move from the one before to it.",
        choices=("hold", "ramp", "interpolate"),
        live=True,
    )
