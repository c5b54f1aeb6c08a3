from __future__ import annotations

import subprocess
import sys


def test_the_command_path_loads_nothing_heavy() -> None:
    heavy = {"numpy", "torch", "cv2", "rclpy", "transformers", "yaml"}
    code = f"import sys, mobile_vla.control; print(sorted(set(sys.modules) & {heavy}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
