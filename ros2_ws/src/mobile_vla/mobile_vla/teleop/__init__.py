"""Teleoperation: keys and sticks to velocities. No rclpy; the clock is an argument."""
