"""A simulated mobile robot on MuJoCo."""
