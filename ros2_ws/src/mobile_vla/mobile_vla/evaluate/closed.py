"""The controller's gate on the time of a bag: limits, ramps and staleness act as on the robot, nothing waits."""

from __future__ import annotations

from mobile_vla.config import with_values
from mobile_vla.control import Command, ControllerConfig, Gate, Now, Velocity


class GateOnBagTime:
    """One gate, ticked at its own rate from the first action on. Range guard and teleop have no part in it."""

    def __init__(self, config: ControllerConfig) -> None:
        self._config = with_values(
            config, {"range_guard.use_scan": False, "range_guard.use_range": False, "require.odometry": False}
        )
        self._gate = Gate(self._config)
        self._period_ns = round(1e9 / config.rate_hz)
        self._next_ns: int | None = None
        self._offers: list[tuple[int, int, Velocity]] = []
        self._newest: Command | None = None
        self._armed = False

    def offer(self, image_ns: int, action: Velocity, arrival_ns: int) -> None:
        """An action, as it arrives at the controller."""
        if self._next_ns is None:
            self._next_ns = arrival_ns
        self._offers.append((arrival_ns, image_ns, action))

    def at(self, time_ns: int) -> Command:
        """The command that holds at `time_ns`, after ticking up to it."""
        while self._next_ns is not None and self._next_ns <= time_ns:
            self._newest = self._tick(self._next_ns)
            self._next_ns += self._period_ns
        if self._newest is None:
            return self._gate.tick(Now(time_ns, time_ns))
        return self._newest

    def _tick(self, now_ns: int) -> Command:
        now = Now(now_ns, now_ns)
        self._gate.offer_policy_status(True, "", now)
        while self._offers and self._offers[0][0] <= now_ns:
            _, image_ns, action = self._offers.pop(0)
            self._gate.offer_action(image_ns, self._config.action.space, action, now)
        if not self._armed:
            self._armed = self._gate.arm(now).ok
        command = self._gate.tick(now)
        if command.reset_policy:
            self._gate.policy_was_reset(command.reset_policy, now)
        return command
