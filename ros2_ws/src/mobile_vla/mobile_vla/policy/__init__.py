"""The policy: its module tree, what it sees, what it remembers, how its output is read."""
