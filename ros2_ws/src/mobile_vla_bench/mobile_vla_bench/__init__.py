"""Measurements of the running graph: fault battery, benchmarks, and the demo."""
