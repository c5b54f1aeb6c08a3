"""The library: everything the robot does that needs no ROS. Importing this package loads nothing heavy."""
