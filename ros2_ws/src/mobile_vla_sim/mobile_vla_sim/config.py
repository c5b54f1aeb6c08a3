"""Settings of the simulated robot and of the rooms it drives in. Imports neither MuJoCo nor OpenCV."""

from __future__ import annotations

import dataclasses
import math

from mobile_vla.config import Config, ConfigError, param, section

KINDS = ("ball", "cube", "cylinder", "cone")
COLOURS = ("red", "yellow", "green", "cyan", "blue", "purple")
# With these as well, training cannot remember each pair of colour and kind and has to put the two together.
EVERY_KIND = (*KINDS, "pyramid", "egg", "brick")
EVERY_COLOUR = (*COLOURS, "orange", "pink", "white", "black")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BaseConfig(Config):
    """The wheeled base: limits of its motors, delays, and how badly its wheels hold the floor."""

    kind: str = param(
        "diff", "Drive of the base: two wheels, or wheels that also move sideways.", choices=("diff", "omni")
    )
    radius_m: float = param(0.18, "Radius of the round chassis.", gt=0.05, le=0.6)
    height_m: float = param(0.22, "Height of the chassis.", gt=0.05, le=1.5)
    mass_kg: float = param(8.0, "Mass of the whole robot.", gt=0.5, le=100.0)
    wheel_separation_m: float = param(0.30, "Distance between the two wheels.", gt=0.05, le=1.0)
    max_linear_mps: float = param(0.7, "Fastest forward or backward speed the motors reach.", gt=0.0, le=3.0)
    max_lateral_mps: float = param(0.5, "Fastest sideways speed of an omni base.", gt=0.0, le=3.0)
    max_angular_radps: float = param(2.5, "Fastest turn the motors reach.", gt=0.0, le=10.0)
    max_linear_accel_mps2: float = param(2.0, "Strongest linear acceleration of the motors.", gt=0.0, le=20.0)
    max_angular_accel_radps2: float = param(8.0, "Strongest angular acceleration of the motors.", gt=0.0, le=50.0)
    motor_time_constant_s: float = param(0.06, "Time constant with which wheels follow a command.", ge=0.0, le=1.0)
    latency_s: float = param(0.12, "Delay between a command and its effect on the motors.", ge=0.0, le=2.0, live=True)
    slip_std: float = param(
        0.03, "Standard deviation of the share of wheel motion lost or gained by slip.", ge=0.0, le=0.5, live=True
    )
    friction: float = param(0.8, "Grip of the wheels, which bounds how hard the robot can push.", gt=0.05, le=2.0)
    watchdog_s: float = param(
        0.5, "The base stops by itself when no command came for this long.", gt=0.0, le=10.0, live=True
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimCameraConfig(Config):
    """The simulated colour camera. Noise, blur and brightness exist to measure how a policy bears them."""

    width_px: int = param(640, "Image width.", ge=32, le=1920)
    height_px: int = param(480, "Image height.", ge=32, le=1080)
    rate_hz: float = param(30.0, "Images per second.", gt=0.0, le=120.0)
    horizontal_fov_deg: float = param(86.0, "Horizontal field of view.", ge=20.0, le=140.0)
    mount_height_m: float = param(0.32, "Height of the lens above the floor.", gt=0.02, le=2.0)
    mount_forward_m: float = param(0.14, "Lens in front of the middle of the base.", ge=-0.5, le=0.5)
    pitch_down_deg: float = param(20.0, "Tilt of the camera towards the floor.", ge=-45.0, le=60.0)
    latency_s: float = param(0.0, "Age of an image when it is published.", ge=0.0, le=1.0, live=True)
    noise_std: float = param(0.0, "Standard deviation of pixel noise in grey levels.", ge=0.0, le=100.0, live=True)
    blur_px: float = param(0.0, "Standard deviation of a Gaussian blur in pixels.", ge=0.0, le=20.0, live=True)
    brightness: float = param(1.0, "Factor on every pixel.", gt=0.0, le=4.0, live=True)
    drop_share: float = param(0.0, "Share of images that are lost.", ge=0.0, le=1.0, live=True)
    depth: bool = param(False, "Also render a depth image.")

    @property
    def vertical_fov_deg(self) -> float:
        """What follows from the horizontal field of view for square pixels."""
        half = math.tan(math.radians(self.horizontal_fov_deg) / 2.0) * self.height_px / self.width_px
        return math.degrees(2.0 * math.atan(half))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LidarConfig(Config):
    """A 2-D lidar that turns around the middle of the base."""

    rays: int = param(360, "Beams in one scan.", ge=4, le=4096)
    rate_hz: float = param(10.0, "Scans per second; 0 switches the lidar off.", ge=0.0, le=50.0)
    fov_deg: float = param(360.0, "Angle that a scan covers, centred on straight ahead.", gt=1.0, le=360.0)
    min_m: float = param(0.12, "Shortest distance that is measured.", ge=0.0, le=1.0)
    max_m: float = param(8.0, "Longest distance that is measured; beyond it a beam reads inf.", gt=0.1, le=100.0)
    mount_height_m: float = param(0.10, "Height of the beams above the floor.", gt=0.0, le=2.0)
    noise_std_m: float = param(0.01, "Standard deviation of a measured distance.", ge=0.0, le=0.5, live=True)

    def cross_check(self) -> None:
        _check_span(self.min_m, self.max_m)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RangeConfig(Config):
    """A forward distance sensor with a cone, as ultrasonic and infrared sensors have."""

    rate_hz: float = param(15.0, "Measurements per second; 0 switches the sensor off.", ge=0.0, le=100.0)
    fov_deg: float = param(24.0, "Full angle of the cone.", gt=0.5, le=90.0)
    min_m: float = param(0.02, "Shortest distance that is measured.", ge=0.0, le=1.0)
    max_m: float = param(4.0, "Longest distance that is measured; beyond it the sensor reads inf.", gt=0.1, le=20.0)
    mount_height_m: float = param(0.08, "Height of the sensor above the floor.", gt=0.0, le=2.0)
    noise_std_m: float = param(0.01, "Standard deviation of a measured distance.", ge=0.0, le=0.5, live=True)

    def cross_check(self) -> None:
        _check_span(self.min_m, self.max_m)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OdometryConfig(Config):
    """Wheel odometry: it sees what the wheels did, so slip is what it gets wrong, besides its noise."""

    rate_hz: float = param(30.0, "Messages per second.", gt=0.0, le=200.0)
    linear_noise_std: float = param(0.01, "Relative noise of the measured speed.", ge=0.0, le=0.5, live=True)
    angular_noise_std: float = param(0.01, "Relative noise of the measured turn rate.", ge=0.0, le=0.5, live=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RoomConfig(Config):
    """What a random room may look like. A scenario file replaces parts of it with fixed things."""

    size_min_m: float = param(4.6, "Shortest side of a room.", ge=2.5, le=20.0)
    size_max_m: float = param(5.8, "Longest side of a room.", ge=2.5, le=20.0)
    objects: int = param(4, "Coloured objects in the room, the goal among them.", ge=1, le=12)
    crates: int = param(3, "Low crates in the way.", ge=0, le=20)
    crate_on_path: bool = param(True, "Put the first crate near the straight line to the goal.")
    look_alikes: bool = param(True, "Let other objects share the colour or the kind of the goal.")
    pairs: str = param(
        "all",
        "Colour and kind pairs that a goal may have; training never sees the unseen ones, "
        "varied adds colours and kinds that only training has.",
        choices=("all", "trained", "unseen", "varied"),
    )
    styles: str = param(
        "all",
        "Floor and wall patterns to draw from; training never sees the unseen ones.",
        choices=("all", "trained", "unseen"),
    )
    instructions: str = param(
        "trained", "Wordings to draw from; training never sees the unseen ones.", choices=("plain", "trained", "unseen")
    )
    goal_min_m: float = param(1.5, "Shortest distance from the start to the goal.", ge=0.7, le=20.0)
    goal_max_m: float = param(4.2, "Longest distance from the start to the goal.", ge=0.7, le=30.0)
    light_variation: float = param(
        1.0, "How much light differs from room to room; 0 is always the same light.", ge=0.0, le=1.0
    )
    walkers: int = param(0, "People who walk through the room.", ge=0, le=5)

    def cross_check(self) -> None:
        for low, high in (("size_min_m", "size_max_m"), ("goal_min_m", "goal_max_m")):
            if getattr(self, low) > getattr(self, high):
                raise ConfigError(f"{low} must be <= {high} ({getattr(self, high):g}), got {getattr(self, low):g}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimulatorConfig(Config):
    """Everything about one simulated robot and its room."""

    seed: int = param(
        0, "Decides the room and every noise; the same seed gives the same run.", ge=0, le=2**31 - 1, live=True
    )
    scenario: str = param(
        "", "Scenario name from config/scenarios or path of a scenario file; empty means a random room.", live=True
    )
    physics_step_s: float = param(0.01, "Length of one physics step.", ge=0.001, le=0.02)
    gl: str = param(
        "auto",
        "OpenGL that draws the camera image; auto takes EGL and falls back to OSMesa.",
        choices=("auto", "egl", "osmesa"),
    )
    shadows: bool = param(False, "Draw shadows, which costs several times as much.")
    time_scale: float = param(1.0, "Simulated seconds in one real second.", gt=0.0, le=20.0)
    publish_clock: bool = param(False, "Publish /clock and stamp with simulated time (use_sim_time elsewhere).")
    stamped: bool = param(False, "cmd_vel is a TwistStamped instead of a Twist.")
    jpeg_quality: int = param(85, "Quality of compressed images.", ge=1, le=100)
    odom_frame: str = param("odom", "Frame that odometry is given in.")
    base_frame: str = param("base_link", "Frame of the robot.")
    camera_frame: str = param("camera_optical_frame", "Frame of the images.")
    lidar_frame: str = param("lidar", "Frame of the scans.")
    range_frame: str = param("range", "Frame of the forward distance sensor.")
    base: BaseConfig = section(BaseConfig)
    camera: SimCameraConfig = section(SimCameraConfig)
    lidar: LidarConfig = section(LidarConfig)
    range: RangeConfig = section(RangeConfig)
    odometry: OdometryConfig = section(OdometryConfig)
    room: RoomConfig = section(RoomConfig)

    def cross_check(self) -> None:
        if self.time_scale != 1.0 and not self.publish_clock:
            raise ConfigError(
                f"time_scale must be 1 unless publish_clock is true, got {self.time_scale:g}: without /clock the other "
                "nodes would see a robot that is too fast or too slow"
            )
        if self.base.watchdog_s <= self.physics_step_s:
            raise ConfigError(
                f"base.watchdog_s must be longer than physics_step_s ({self.physics_step_s:g}), "
                f"got {self.base.watchdog_s:g}"
            )
        if self.base.wheel_separation_m > 2.0 * self.base.radius_m:
            raise ConfigError(
                f"base.wheel_separation_m must fit into the chassis ({2 * self.base.radius_m:g} m wide), "
                f"got {self.base.wheel_separation_m:g}; make it smaller or base.radius_m larger"
            )


def _check_span(min_m: float, max_m: float) -> None:
    """What a distance sensor can measure."""
    if min_m >= max_m:
        raise ConfigError(f"min_m must be below max_m ({max_m:g}), got {min_m:g}")
