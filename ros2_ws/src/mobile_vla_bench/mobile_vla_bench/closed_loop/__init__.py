"""The closed-loop benchmark, robustness curves and traces: drivers in simulated rooms, judged."""
