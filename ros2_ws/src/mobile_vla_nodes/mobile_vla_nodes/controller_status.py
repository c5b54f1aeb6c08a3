"""The controller's explanation of itself: a command as a status, when it is published again, how long ticks take."""

from __future__ import annotations

from mobile_vla.control import NS_PER_S, REASONS, Command, Gate, Mode
from mobile_vla.timing import Timings
from mobile_vla_ros.diagnostics import ERROR, OK, WARN, Status

REPEAT_NS = 900_000_000
REASON_ONLY_NS = 200_000_000
_LEVELS = {Mode.FAULT: ERROR, Mode.ESTOP: ERROR, Mode.HOLD: WARN}


class StateChanges:
    """A change of mode or source is due at once, of the reason alone at most 5 times a second, all once a second."""

    def __init__(self) -> None:
        self._published: tuple[str, str, str] | None = None
        self._published_ns = 0

    def due(self, command: Command, steady_ns: int) -> bool:
        """Whether to publish now; counts as published then."""
        state = (command.mode.value, command.source, command.reason)
        since_ns = steady_ns - self._published_ns
        at_once = self._published is None or state[:2] != self._published[:2]
        if at_once or since_ns >= REPEAT_NS or (state != self._published and since_ns >= REASON_ONLY_NS):
            self._published, self._published_ns = state, steady_ns
            return True
        return False


class TickTimings:
    """How regular ticks are, how long they work, and how old images are when their action becomes a command."""

    def __init__(self) -> None:
        self._jitter, self._work, self._latency = Timings(1000), Timings(1000), Timings(1000)
        self._last_tick_ns = 0
        self._last_action_ns = 0

    def begun(self, started_ns: int, period_s: float) -> None:
        """A tick began."""
        if self._last_tick_ns:
            late_s = (started_ns - self._last_tick_ns) / NS_PER_S - period_s
            self._jitter.add(abs(late_s) * 1e3)
        self._last_tick_ns = started_ns

    def decided(self, command: Command, ros_ns: int) -> None:
        """A command left: the first one of an action tells the latency."""
        if command.action_stamp_ns > self._last_action_ns:
            self._latency.add((ros_ns - command.action_stamp_ns) / 1e6)
        self._last_action_ns = command.action_stamp_ns

    def ended(self, work_ns: int) -> None:
        """The work of a tick is done."""
        self._work.add(work_ns / 1e6)

    def as_values(self) -> dict[str, str]:
        """For /diagnostics."""
        timings = {"tick_jitter": self._jitter, "tick": self._work, "camera_to_command": self._latency}
        return {key: value for name, unit in timings.items() for key, value in unit.as_values(name).items()}


def status(command: Command, gate: Gate) -> Status:
    """Mode, source, reason, ages and the command with what was asked for."""
    values = {
        "mode": command.mode.value,
        "source": command.source,
        "reason": command.reason,
        **{f"{name}_age_s": "never" if age is None else f"{age:.3f}" for name, age in command.ages._asdict().items()},
        "action_lifetime_s": f"{gate.action_lifetime_ns / NS_PER_S:.3f}",
        "linear_x_mps": f"{command.linear_x:.4f}",
        "linear_y_mps": f"{command.linear_y:.4f}",
        "angular_z_radps": f"{command.angular_z:.4f}",
        **{f"target_{name}": f"{value:.4f}" for name, value in command.target._asdict().items()},
    }
    if gate.estop_cause:
        values["estop_cause"] = gate.estop_cause
    if gate.teleop_lost:
        values["teleop_lost"] = gate.teleop_lost
    values |= {f"incompatible_{name}": message for name, message in gate.incompatible_inputs.items()}
    several = gate.second_publishers
    values |= {f"publishers_{name}": message for name, message in several.items()}
    level = _LEVELS.get(command.mode, WARN if gate.incompatible_inputs or several else OK)
    words = [f"{command.mode.value}: {REASONS[command.reason]}", *gate.incompatible_inputs.values(), *several.values()]
    return Status(level, "; ".join(words), values)


def with_warnings(said: Status, *warnings: str) -> Status:
    """A status that also says what is not empty, and is a warning at least then."""
    told = [warning for warning in warnings if warning]
    level = max(said.level, WARN) if told else said.level
    return Status(level, "; ".join((said.message, *told)), said.values)


def details(gate: Gate) -> dict[str, str]:
    """What was ignored, how often, and the last message about each."""
    counts = {f"ignored.{code}": str(count) for code, count in sorted(gate.rejections.counts.items())}
    return {**counts, **{f"ignored.{code}.last": message for code, message in gate.rejections.last.items()}}
