"""How people drive: keys and sticks in, velocities out. Pure: no rclpy, the clock is an argument."""
