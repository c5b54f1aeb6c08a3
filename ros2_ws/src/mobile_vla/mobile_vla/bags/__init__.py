"""rosbag2 recordings: written, read, repaired and aligned, without ROS. Import what you need from the modules."""
