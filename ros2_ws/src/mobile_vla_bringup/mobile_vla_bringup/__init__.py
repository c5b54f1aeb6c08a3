"""The graph as data, and the runners that start it."""
