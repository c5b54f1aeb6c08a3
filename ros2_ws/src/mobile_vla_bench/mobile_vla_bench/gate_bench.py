"""Times the gate alone: the pure decision, without ROS around it."""

from __future__ import annotations

import math
import time

from mobile_vla.control import ControllerConfig, Gate, Now, Velocity
from mobile_vla.metrics import Metric

TICKS = 20_000
TARGET_P99_US = 100.0


def gate_tick_metric(config: ControllerConfig) -> Metric:
    """The 99th percentile of `Gate.tick` while autonomy drives with this configuration, in processor time."""
    gate, period_ns = Gate(config), int(config.period_s * 1e9)
    microseconds = []
    for index in range(TICKS):
        now = Now(index * period_ns, 10**18 + index * period_ns)
        gate.offer_policy_status(True, "", now)
        gate.offer_action(now.ros_ns - 1, config.action.space, Velocity(math.sin(index), 0.0, 0.1), now)
        if index == 10:
            gate.arm(now)
        start = time.thread_time_ns()
        command = gate.tick(now)
        microseconds.append((time.thread_time_ns() - start) / 1e3)
        if command.reset_policy:
            gate.policy_was_reset(command.reset_policy, now)
    ordered = sorted(microseconds)
    return Metric(
        "gate_tick_p99_us",
        ordered[int(0.99 * TICKS)],
        "us",
        target=TARGET_P99_US,
        n=TICKS,
        spread=(ordered[0], ordered[int(0.95 * TICKS)], ordered[-1]),
    )
