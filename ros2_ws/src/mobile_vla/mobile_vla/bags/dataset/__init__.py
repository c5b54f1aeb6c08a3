"""Recordings as training data: aligned episodes on disk, checked, split, exported. Import from the modules."""
