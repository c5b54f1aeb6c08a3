"""What the simulated robot measures, as messages. Filled by array.array: anything else costs milliseconds."""

from __future__ import annotations

import array
import math

from geometry_msgs.msg import Point, Quaternion
from nav_msgs.msg import Odometry as OdometryMessage
from sensor_msgs.msg import LaserScan, Range
from std_msgs.msg import Header

from mobile_vla_sim.base import BodyVelocity
from mobile_vla_sim.sensors import Lidar, RangeFinder, Ranges, WheelOdometryReading

# What wheel odometry is worth: standard deviations of position (m) and heading (rad) that a fuser can start from.
_POSITION_STD_M, _HEADING_STD_RAD = 0.05, 0.05
_SPEED_STD_MPS, _TURN_STD_RADPS = 0.02, 0.02
# A planar robot knows nothing about the other three axes, and says so.
_UNKNOWN = 1e6


def scan_message(ranges: Ranges, lidar: Lidar, header: Header) -> LaserScan:
    """One scan, counter-clockwise from `angle_min`; all beams are taken at once."""
    config = lidar.config
    message = LaserScan(header=header)
    message.angle_min = lidar.angle_min_rad
    message.angle_increment = lidar.angle_increment_rad
    message.angle_max = lidar.angle_min_rad + lidar.angle_increment_rad * (config.rays - 1)
    message.scan_time = 1.0 / config.rate_hz
    message.range_min, message.range_max = config.min_m, config.max_m
    message.ranges = array.array("f", ranges.tobytes())
    return message


def range_message(distance_m: float, finder: RangeFinder, header: Header) -> Range:
    """One forward distance; +inf says that nothing is in the cone, as REP 117 asks."""
    config = finder.config
    message = Range(header=header)
    message.radiation_type = Range.ULTRASOUND
    message.field_of_view = math.radians(config.fov_deg)
    message.min_range, message.max_range = config.min_m, config.max_m
    message.range = distance_m
    return message


def odometry_message(odometry: WheelOdometryReading, header: Header, child_frame: str) -> OdometryMessage:
    """Pose from the start and velocity in the robot's own frame."""
    pose, velocity = odometry
    message = OdometryMessage(header=header, child_frame_id=child_frame)
    message.pose.pose.position = Point(x=pose.x, y=pose.y)
    message.pose.pose.orientation = Quaternion(z=math.sin(pose.yaw / 2.0), w=math.cos(pose.yaw / 2.0))
    message.pose.covariance = _planar(_POSITION_STD_M**2, _HEADING_STD_RAD**2)
    message.twist.twist.linear.x = velocity.linear_mps
    message.twist.twist.linear.y = velocity.lateral_mps
    message.twist.twist.angular.z = velocity.angular_radps
    message.twist.covariance = _planar(_SPEED_STD_MPS**2, _TURN_STD_RADPS**2)
    return message


def velocity_of(twist: object) -> BodyVelocity:
    """A Twist as the base takes it."""
    return BodyVelocity(twist.linear.x, twist.angular.z, twist.linear.y)  # type: ignore[attr-defined]


def _planar(linear: float, angular: float) -> array.array[float]:
    diagonal = (linear, linear, _UNKNOWN, _UNKNOWN, _UNKNOWN, angular)
    return array.array("d", (diagonal[row] if row == column else 0.0 for row in range(6) for column in range(6)))
