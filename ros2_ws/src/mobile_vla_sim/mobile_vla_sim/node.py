"""The simulated robot on the graph: takes cmd_vel, gives camera, odometry, scan and range like a real one.

Everything happens on the executor's thread: callbacks store, one steady timer lets simulated time follow real time,
draws and publishes. The base stops by itself when commands cease, whatever else is going on.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.time import Time
from rosgraph_msgs.msg import Clock as ClockMessage
from std_msgs.msg import Header

from mobile_vla.camera.calibration import pinhole_guess
from mobile_vla.config import ConfigError
from mobile_vla.errors import UserError
from mobile_vla.timing import RateMeter, Timings
from mobile_vla_ros.diagnostics import ERROR, OK, WARN, Diagnostics, Status
from mobile_vla_ros.images import camera_info, image_message, jpeg_message
from mobile_vla_ros.parameters import Parameters
from mobile_vla_ros.runtime import run
from mobile_vla_ros.topics import (
    CAMERA_IMAGE,
    CAMERA_INFO,
    CAMERA_JPEG,
    CLOCK,
    CMD_VEL,
    CMD_VEL_STAMPED,
    DEPTH_IMAGE,
    DEPTH_INFO,
    ODOM,
    RANGE,
    SCAN,
)
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.messages import odometry_message, range_message, scan_message, velocity_of
from mobile_vla_sim.pacing import NS, SensorSchedule, Shutter, SimTimePacer
from mobile_vla_sim.standing import StandstillTimer
from mobile_vla_sim.truth import truth_values
from mobile_vla_sim.world import World

TICK_S = 0.01
# Simulated time starts here: a stamp of 0 means "no time yet" to every reader.
CLOCK_START_NS = NS


class SimulatorNode(Node):
    """Parameters -> world -> the topics of a robot."""

    def __init__(self) -> None:
        super().__init__("simulator")
        self._settings = Parameters(self, SimulatorConfig, self._reconfigure)
        config = self._settings.value
        self._world = World(config)
        self._world.render()  # no OpenGL is a reason not to start, not one to stop later
        self._clock_out = CLOCK.publisher(self) if config.publish_clock else None
        self._image = CAMERA_IMAGE.publisher(self)
        self._jpeg = CAMERA_JPEG.publisher(self)
        self._info = CAMERA_INFO.publisher(self)
        self._depth = (DEPTH_IMAGE.publisher(self), DEPTH_INFO.publisher(self)) if config.camera.depth else None
        self._odom = ODOM.publisher(self)
        # Without a lidar another scanner may guard the robot, and would be told of a second publisher.
        self._scan = SCAN.publisher(self) if config.lidar.rate_hz > 0.0 else None
        self._range = RANGE.publisher(self)
        self._command_topic = CMD_VEL_STAMPED if config.stamped else CMD_VEL
        self._command = self._command_topic.subscription(self, self._on_stamped if config.stamped else self._on_twist)
        self._calibration = pinhole_guess(
            config.camera.width_px, config.camera.height_px, config.camera.horizontal_fov_deg, "simulated"
        )
        self._pacer = SimTimePacer(config.time_scale)
        self._lost_before_ns = 0
        self._episode_start_ns = 0
        self._start_episode(config)
        self._frames, self._commands = RateMeter(), RateMeter()
        self._render_ms, self._tick_ms = Timings(), Timings()
        self._diagnostics = Diagnostics(self, self._report)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(TICK_S, self._tick, clock=steady)
        self.get_logger().info(
            f"room {self._world.scene.size_x_m:.1f} x {self._world.scene.size_y_m:.1f} m, {self._world.gl_backend}; "
            f"to reach: {self._world.scene.target.name}"
        )

    def destroy_node(self) -> None:
        """Give the OpenGL context back while OpenGL still exists."""
        if hasattr(self, "_world"):
            self._world.close()
        super().destroy_node()

    # -- callbacks store -----------------------------------------------------------------------------------------

    def _on_twist(self, message: Twist) -> None:
        velocity = velocity_of(message)
        self._sideways_wanted = velocity.lateral_mps != 0.0
        self._commands.tick(time.monotonic_ns())
        self._world.command(*velocity)

    def _on_stamped(self, message: TwistStamped) -> None:
        self._on_twist(message.twist)

    def _reconfigure(self, config: SimulatorConfig) -> None:
        """A new seed or scenario is a new room; everything else that is live applies to the running one."""
        before = self._world.config
        try:
            if (config.seed, config.scenario) == (before.seed, before.scenario):
                self._world.reconfigure(config)
                return
            self._world.config = config
            self._episode_start_ns += self._world.time_ns
            self._world.reset(config.seed)
        except UserError as error:
            self._world.config = before
            raise ConfigError(str(error)) from error
        self._start_episode(config)

    def _start_episode(self, config: SimulatorConfig) -> None:
        self._shutter = Shutter(config.seed)
        self._depths: dict[int, Any] = {}
        self._camera_due = SensorSchedule(config.camera.rate_hz)
        self._odom_due = SensorSchedule(config.odometry.rate_hz)
        self._scan_due = SensorSchedule(config.lidar.rate_hz)
        self._range_due = SensorSchedule(config.range.rate_hz)
        self._sideways_wanted = False
        self._standing, self._still_s = StandstillTimer(), 0.0

    # -- the timer decides ---------------------------------------------------------------------------------------

    def _tick(self) -> None:
        with self._tick_ms.measure():
            step_ns = round(self._world.config.physics_step_s * NS)
            steps = self._pacer.behind(time.monotonic_ns(), self._simulated_ns()) // step_ns
            for _ in range(steps):
                self._world.advance(step_ns / NS)
                self._publish_clock()
                self._measure(self._world.time_ns)

    def _simulated_ns(self) -> int:
        """Simulated time over all episodes: it never jumps back."""
        return self._episode_start_ns + self._world.time_ns

    def _stamp_ns(self) -> int:
        if self._clock_out is not None:
            return CLOCK_START_NS + self._simulated_ns()
        return int(self.get_clock().now().nanoseconds)

    def _header(self, frame: str, stamp_ns: int = 0) -> Header:
        return Header(stamp=Time(nanoseconds=stamp_ns or self._stamp_ns()).to_msg(), frame_id=frame)

    def _publish_clock(self) -> None:
        if self._clock_out is not None:
            self._clock_out.publish(ClockMessage(clock=Time(nanoseconds=self._stamp_ns()).to_msg()))

    def _measure(self, now_ns: int) -> None:
        """Publish what is due at this moment of the episode."""
        world, config = self._world, self._world.config
        self._still_s = self._standing.seconds(world.time_s, world.velocity)
        if self._odom_due.due(now_ns):
            self._odom.publish(odometry_message(world.odometry(), self._header(config.odom_frame), config.base_frame))
        if self._scan is not None and self._scan_due.due(now_ns):
            self._scan.publish(scan_message(world.scan(), world.lidar, self._header(config.lidar_frame)))
        if self._range_due.due(now_ns):
            self._range.publish(range_message(world.range(), world.range_finder, self._header(config.range_frame)))
        if self._camera_due.due(now_ns) and not self._shutter.loses(config.camera):
            stamp_ns = self._stamp_ns()
            with self._render_ms.measure():
                image = world.render()
                if self._depth is not None:
                    self._depths[stamp_ns] = world.render_depth()
            self._shutter.take(now_ns, stamp_ns, image, config.camera)
        ready = self._shutter.ready(now_ns)
        if ready is not None:
            self._publish_image(*ready)

    def _publish_image(self, stamp_ns: int, image: Any) -> None:
        config = self._world.config
        header = self._header(config.camera_frame, stamp_ns)
        self._image.publish(image_message(image, "rgb8", header))
        self._info.publish(camera_info(self._calibration, header))
        if self._jpeg.get_subscription_count() > 0:
            self._jpeg.publish(jpeg_message(image, "rgb8", config.jpeg_quality, header))
        if self._depth is not None:
            depth_out, info_out = self._depth
            info_out.publish(camera_info(self._calibration, header))
            depth_out.publish(image_message(self._depths.pop(stamp_ns), "32FC1", header))
            # What the shutter lost goes, too.
            self._depths = {taken_ns: depth for taken_ns, depth in self._depths.items() if taken_ns > stamp_ns}
        self._frames.tick(time.monotonic_ns())

    # -- diagnostics ---------------------------------------------------------------------------------------------

    def _report(self) -> Status:
        world, now_ns = self._world, time.monotonic_ns()
        pose = world.pose
        values = {
            "scenario": world.config.scenario or "random room",
            **truth_values(world, self._still_s),
            "x_m": f"{pose.x:.3f}",
            "y_m": f"{pose.y:.3f}",
            "yaw_rad": f"{pose.yaw:.3f}",
            "watchdog_stopped": str(world.stopped_by_watchdog).lower(),
            "frames_hz": f"{self._frames.hz(now_ns):.1f}",
            "frames_lost": str(self._shutter.lost),
            "commands_hz": f"{self._commands.hz(now_ns):.1f}",
            "lost_time_s": f"{self._pacer.lost_ns / NS:.2f}",
            "gl": world.gl_backend,
            **self._render_ms.as_values("render"),
            **self._tick_ms.as_values("tick"),
        }
        return Status(*self._judge(), values)

    def _judge(self) -> tuple[bytes, str]:
        world = self._world
        publishers = self.count_publishers(self._command.topic_name)
        if publishers > 1:
            return (
                ERROR,
                f"{publishers} publishers on {self._command.topic_name}; only the controller may command the base",
            )
        if world.contact is not None:
            return WARN, f"touched {world.contact.what} at {world.contact.time_s:.1f} s"
        if self._sideways_wanted and world.config.base.kind == "diff":
            return (
                WARN,
                "a sideways command was ignored: this base is differential; use base.kind omni or a diff policy",
            )
        lost_s = (self._pacer.lost_ns - self._lost_before_ns) / NS
        self._lost_before_ns = self._pacer.lost_ns
        if lost_s > 0.05:
            return WARN, f"slower than real time: {lost_s:.2f} s lost just now; lower camera.rate_hz or its size"
        return OK, "simulating"


def main() -> None:
    """Run the simulated robot until it is told to stop."""
    sys.exit(run(SimulatorNode))


if __name__ == "__main__":
    main()
