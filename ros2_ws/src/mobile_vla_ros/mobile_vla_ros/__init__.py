"""What every ROS process here shares: topics and QoS, parameters, start and stop, diagnostics."""
