"""Start a robot: camera, inference, controller and, on request, the recorder.

ros2 launch mobile_vla_bringup robot.launch.py robot:=diff policy:=own device:=orin_nx_16
"""

from launch import LaunchDescription
from mobile_vla_bringup.launch_runner import launch_description


def generate_launch_description() -> LaunchDescription:
    return launch_description(robot="diff")
