"""Thin rclpy nodes: parameters in, library called, messages out."""
