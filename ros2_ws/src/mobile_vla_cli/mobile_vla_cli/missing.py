"""What to install when a command needs a Python module that is not there."""

from __future__ import annotations

EXTRAS: dict[str, str] = {
    "torch": "policy",
    "transformers": "policy",
    "safetensors": "policy",
    "PIL": "policy",
    "cv2": "bags",
    "rosbags": "bags",
    "mcap": "bags",
    "zstandard": "bags",
    "av": "bags",
    "pyarrow": "dataset",
    "h5py": "dataset",
}
"""The extra of the library that brings a module; the commands that need OpenCV read bags or data sets."""

ROS_MODULES = ("rclpy", "rcl_interfaces", "rosidl_runtime_py", "ament_index_python", "launch", "launch_ros")
ROS_MESSAGES = ("_msgs", "_srvs")


def install_sentence(module: str) -> str | None:
    """How to get the missing module; None for a part of an installed package, whose absence is a defect."""
    package, _, part = module.partition(".")
    if package.startswith("mobile_vla_"):
        return f"this command needs the package {package}, which is not installed; install it beside mobile_vla_cli"
    if package == "mobile_vla" or part:
        return None
    said = f"this command needs the Python module {package}, which is not installed"
    if package in EXTRAS:
        return f"{said}; in the checkout: pip install './ros2_ws/src/mobile_vla[{EXTRAS[package]}]'"
    if package == "mujoco":
        return f"{said}; it comes with the package mobile_vla_sim"
    if package in ROS_MODULES or package.endswith(ROS_MESSAGES):
        return f"{said}; source a ROS 2 installation, or use the environment that `make setup` makes"
    return f"{said}; install it with pip"
