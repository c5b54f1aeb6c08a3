"""Training: the small policy of the real architecture. Needs torch; knows no simulator, only arrays."""
