"""Start the simulated robot with everything that would run on a real one.

ros2 launch mobile_vla_bringup sim.launch.py instruction:="go to the red cube"
"""

from launch import LaunchDescription
from mobile_vla_bringup.launch_runner import launch_description


def generate_launch_description() -> LaunchDescription:
    return launch_description(robot="sim")
