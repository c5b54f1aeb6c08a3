"""Which person has control. A source has control while it sends, zeros included, and gives it back by a release.

Idle sources are silent. One that falls silent without a release has vanished: nobody knows what its person wants.
"""

from __future__ import annotations

from typing import NamedTuple

from mobile_vla.config.action_space import STILL, Velocity
from mobile_vla.control.clock import NS_PER_S, Now, Rejected, check_stamp, to_ns
from mobile_vla.control.config import ControllerConfig
from mobile_vla.control.config_teleop import SOURCES, TeleopSource
from mobile_vla.control.decode import check_teleop


class Selected(NamedTuple):
    """The source in control and what it asks for."""

    source: str
    velocity: Velocity
    arrival_ns: int


class _Source:
    def __init__(self, name: str) -> None:
        self.name = name
        self.velocity = STILL
        self.neutral = True
        self.released = True
        self.enabled = True
        self.must_rest = False
        """Enabled again: a stick that is held from before does not count until it was seen at rest."""
        self.arrival_ns: int | None = None
        self.changed_ns = 0
        self.stamp_ns = 0

    def configure(self, config: TeleopSource) -> None:
        self.must_rest |= config.enabled and not self.enabled
        self.enabled = config.enabled
        self.priority = config.priority
        self.timeout_ns = to_ns(config.timeout_s)
        self.frozen_ns = to_ns(config.frozen_s)
        self.must_release = config.must_release

    def frozen(self, steady_ns: int) -> bool:
        return self.frozen_ns > 0 and not self.neutral and steady_ns - self.changed_ns > self.frozen_ns

    def fresh(self, steady_ns: int) -> bool:
        return self.enabled and self.arrival_ns is not None and steady_ns - self.arrival_ns <= self.timeout_ns


class Arbiter:
    """Sources by priority. One that vanished or froze while it had control is remembered until it gives it back."""

    def __init__(self, config: ControllerConfig) -> None:
        self._sources = {name: _Source(name) for name in SOURCES}
        self.last: Now | None = None
        self._interrupted_ros_ns = 0
        self.configure(config)

    def configure(self, config: ControllerConfig) -> None:
        """Use new settings from now on."""
        self._config = config
        self._future_ns = to_ns(config.staleness.future_s)
        for name, source in self._sources.items():
            source.configure(getattr(config.teleop, name))
        self._by_priority = sorted(self._sources.values(), key=lambda source: -source.priority)

    def offer(self, name: str, stamp_ns: int, velocity: Velocity, now: Now, released: bool = False) -> None:
        """Take a person's command; raises `Rejected` when it must not be used. Only a neutral stick can be released."""
        source = self._sources.get(name)
        if source is None or not source.enabled:
            raise Rejected(
                "teleop.unknown_source", f"teleop source {name[:40]!r} is not enabled; known: {', '.join(SOURCES)}"
            )
        age_ns = check_stamp(name, stamp_ns, source.stamp_ns, now, self._future_ns)
        if age_ns > source.timeout_ns:
            raise Rejected(
                f"{name}.too_old",
                f"{name} command is {age_ns / NS_PER_S:.3f} s old on arrival; check clocks and network",
            )
        velocity = check_teleop(name, velocity, self._config)
        if source.must_rest and not self.neutral(velocity):
            raise Rejected(f"{name}.held", f"{name} was enabled with its stick held; release it once")
        source.must_rest = False
        if stamp_ns <= self._interrupted_ros_ns and not (released and self.neutral(velocity)):
            raise Rejected(f"{name}.before_gap", f"{name} command was sent before or while the controller did not run")
        if velocity != source.velocity or not source.fresh(now.steady_ns):  # silence says nothing about the stick
            source.changed_ns = now.steady_ns
        source.velocity = velocity
        source.neutral = self.neutral(velocity)
        source.released = source.neutral and (released or not source.must_release)
        source.stamp_ns = stamp_ns
        source.arrival_ns = now.steady_ns - age_ns
        self.last = now

    def neutral(self, velocity: Velocity) -> bool:
        """Whether a command is a stick at rest."""
        teleop = self._config.teleop
        return (
            max(abs(velocity.forward), abs(velocity.left)) <= teleop.neutral_mps
            and abs(velocity.turn) <= teleop.neutral_radps
        )

    def select(self, steady_ns: int) -> Selected | None:
        """The highest priority that is sending and not frozen."""
        for source in self._by_priority:
            if source.fresh(steady_ns) and not source.frozen(steady_ns):
                return Selected(source.name, STILL if source.neutral else source.velocity, source.arrival_ns or 0)
        return None

    def lost(self, steady_ns: int) -> str:
        """The source that vanished, froze or was disabled while it had control, else an empty text."""
        for source in self._by_priority:
            if not source.released and (source.frozen(steady_ns) or not source.fresh(steady_ns)):
                return source.name
        return ""

    def clear_lost(self, steady_ns: int) -> None:
        """Forget the sources that have vanished by now: the operator arms without them."""
        for source in self._sources.values():
            if not source.fresh(steady_ns):
                source.neutral = source.released = True
                source.velocity = STILL

    def interrupt(self, ros_ns: int) -> None:
        """Use no command sent up to now; a source that had control must send again, and counts as lost until then."""
        self._interrupted_ros_ns = ros_ns
        for source in self._sources.values():
            if not source.released:
                source.arrival_ns = None
                source.velocity = STILL

    def clock_set_back(self) -> None:
        """Accept any stamp next: the ROS clock was set back."""
        self._interrupted_ros_ns = 0
        for source in self._sources.values():
            source.stamp_ns = 0
