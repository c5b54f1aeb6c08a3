"""The gate: everything that wants to move the robot goes in, one explained command comes out.

Inputs only store (and are ignored and counted when they are bad); `tick` decides. One thread owns a gate. All times
come in as `Now`; the gate reads no clock. Ages run on the steady clock, stamps are compared on the ROS clock.
"""

from __future__ import annotations

from collections.abc import Mapping

from mobile_vla.config.action_space import STILL, Velocity
from mobile_vla.control.arbitration import Selected
from mobile_vla.control.arming import ArmingCheck
from mobile_vla.control.clock import Now, to_ns
from mobile_vla.control.command import Ages, Command, Outcome
from mobile_vla.control.config import ControllerConfig
from mobile_vla.control.gate_inputs import GateInputs
from mobile_vla.control.latch import EmergencyLatch, Latched
from mobile_vla.control.modes import Mode, Situation, next_mode
from mobile_vla.control.time_watch import TimeWatch

_DRIVING = (Mode.AUTONOMY, Mode.TELEOP)


class Gate(GateInputs):
    """Composes arbitration, staleness, range guard, modes and limits. Boots disarmed."""

    def __init__(self, config: ControllerConfig) -> None:
        super().__init__(config)
        self.mode = Mode.DISARMED
        self._latch = EmergencyLatch()
        self._time = TimeWatch(config)
        self._arming = ArmingCheck(self._latch, self._health, self._actions, self._people, self._time)
        self._lost = ""
        self._moved_ns: int | None = None
        self.reconfigure(config)

    def reconfigure(self, config: ControllerConfig) -> None:
        """Use other settings from the next tick on; mode, latches and the present motion stay."""
        self.config = config
        parts = (self._actions, self._people, self._guard, self._envelope, self._health, self._autonomy, self._time)
        for part in parts:
            part.configure(config)
        self._zeros_ns = to_ns(config.output.zeros_s)
        self._disarm_after_ns = to_ns(config.output.disarm_after_gap_s)

    # operators

    def arm(self, now: Now) -> Outcome:
        """Allow motion, unless something required is missing."""
        if self._armed:
            return Outcome(True, "already armed")
        refusal = self._arming.refusal(self.config, now)
        if refusal:
            return Outcome(False, f"not armed: {refusal}")
        self._armed = True
        self._people.clear_lost(now.steady_ns)
        self._autonomy.request_reset()
        self._actions.invalidate_before(now.ros_ns)
        return Outcome(True, "armed")

    def disarm(self, now: Now) -> Outcome:
        """Forbid motion; the robot is brought to rest within its limits."""
        self._armed = False
        self._autonomy.disarm()
        self._actions.invalidate_before(now.ros_ns)
        return Outcome(True, "disarmed")

    def estop(self, cause: str, now: Now) -> Outcome:
        """Stop now, past every limit, and stay stopped."""
        self._latch.close(cause, now)
        self._envelope.stop()
        self.disarm(now)
        return Outcome(True, f"emergency stop: {cause}")

    def offer_estop_input(self, pressed: bool, now: Now, writer: str | None = None, reader: int = 0) -> None:
        """A stop device, heard through one of the subscriptions. Pressing latches; releasing only allows a reset."""
        devices = self._latch.devices
        devices.offer(writer, pressed, now, reader)
        if pressed:
            self.estop(f"stop input {devices.name(writer)}".rstrip(), now)

    def offer_estop_writers(self, names: Mapping[str, str]) -> None:
        """Who publishes on the stop topic now: the writers' ids and their nodes' names."""
        self._latch.devices.offer_present(names)

    def restore_estop(self, latched: Latched, now: Now) -> None:
        """Boot with the stop latched that was latched before this process began."""
        self._latch.restore(latched, now)

    def reset_estop(self, now: Now) -> Outcome:
        """Release the latch. Motion needs arming afterwards."""
        return self._latch.reset(self.config.estop, now)

    @property
    def latched(self) -> Latched | None:
        """The emergency stop, for the process that comes after this one; None when none is latched."""
        return self._latch.record

    @property
    def estop_cause(self) -> str:
        """Why the emergency stop is latched; empty when it is not."""
        return self._latch.cause

    @property
    def teleop_lost(self) -> str:
        """The source that vanished or froze while it had control, as of the last tick; empty when none did."""
        return self._lost

    # decision

    def tick(self, now: Now) -> Command:
        """Decide. Call it at the configured rate, whatever came in or did not."""
        self._watch_time(now)
        steady_ns = now.steady_ns
        person = self._people.select(steady_ns)
        self._lost = self._people.lost(steady_ns)
        waiting = self._autonomy.waiting_for(steady_ns, self._lost)
        fault, blocks_teleop = self._health.faults(steady_ns)
        situation = Situation(
            estop=self._latch.closed,
            armed=self._armed,
            teleop=person is not None,
            fault=bool(fault),
            blocks_teleop=bool(blocks_teleop),
            ready=not waiting,
        )
        before, self.mode = self.mode, next_mode(self.mode, situation)
        if self.mode is not before:
            self._entered(before, now)
        target, source, reason = self._target(person, waiting, blocks_teleop or fault, steady_ns)
        guarded, range_reason = self._guarded(target)
        handover = self.mode is Mode.AUTONOMY and self._autonomy.in_handover(steady_ns)
        output = self._envelope.step(guarded, steady_ns, handover)
        exact = output == guarded and not self._envelope.angular_z_limited
        if reason == "ok":
            reason = range_reason or ("ok" if exact else "handover" if handover else "limits")
        newest = self._actions.newest
        return Command(
            publish=self._publishes(steady_ns),
            linear_x=output.forward,
            linear_y=output.left,
            angular_z=self._envelope.angular_z,
            mode=self.mode,
            source=source,
            reason=reason,
            target=target,
            ages=self._ages(steady_ns),
            action_stamp_ns=newest.stamp_ns if source == "policy" and newest is not None else 0,
            reset_policy=self._autonomy.reset_policy,
        )

    def _watch_time(self, now: Now) -> None:
        change = self._time.look(now)
        for note in change.notes:
            self.rejections.add(note)
        if change.set_back:
            self._actions.clock_set_back(now.ros_ns)
            for part in (self._people, self._guard):
                part.clock_set_back()
            self._health.odometry.forget_stamp()
        if change.gap_ns:
            self._restart_from_rest(change.gap_ns, now)

    def _restart_from_rest(self, gap_ns: int, now: Now) -> None:
        """After a gap without ticks: the base may stand by now, and nothing from before the gap moves it."""
        self._envelope.stop()
        self._people.interrupt(now.ros_ns)
        self._actions.invalidate_before(now.ros_ns)
        self._moved_ns = now.steady_ns
        if self._armed:
            self._autonomy.request_reset()
        if gap_ns > self._disarm_after_ns:
            self.disarm(now)

    def _entered(self, before: Mode, now: Now) -> None:
        """Consequences of a change of mode: what was computed under the old one is discarded."""
        if self.mode is Mode.AUTONOMY:
            self._autonomy.begin()
            return
        if before is Mode.TELEOP and self._armed:
            self._autonomy.request_reset()
        if before is not Mode.DISARMED:
            self._actions.invalidate_before(now.ros_ns)

    def _target(self, person: Selected | None, waiting: str, fault: str, steady_ns: int) -> tuple[Velocity, str, str]:
        if self.mode is Mode.AUTONOMY:
            return self._actions.velocity(steady_ns), "policy", "ok"
        if self.mode is Mode.TELEOP and person is not None:
            return person.velocity, person.source, "ok"
        if self.mode is Mode.FAULT:
            return STILL, "none", fault
        if self.mode is Mode.HOLD:
            return STILL, "none", waiting or "no_action"
        return STILL, "none", self.mode.value

    def _guarded(self, target: Velocity) -> tuple[Velocity, str]:
        if self.mode is Mode.TELEOP and not self.config.range_guard.guard_teleop:
            return target, ""
        return self._guard.limit(target, self._envelope.velocity)

    def _publishes(self, steady_ns: int) -> bool:
        """Always, except long after the last motion where silence is configured; never silent in an emergency stop."""
        if self._moved_ns is None or self.mode in _DRIVING or not self._envelope.at_rest:
            self._moved_ns = steady_ns
        silent = self.config.output.idle == "silent" and self.mode is not Mode.ESTOP
        return not silent or steady_ns - self._moved_ns <= self._zeros_ns

    def _ages(self, steady_ns: int) -> Ages:
        last = self._people.last
        ages = (
            self._actions.image_age_ns(steady_ns),
            None if last is None else steady_ns - last.steady_ns,
            self._guard.scan.age_ns(steady_ns),
            self._guard.range.age_ns(steady_ns),
            self._health.odometry.age_ns(steady_ns),
            self._health.policy_age_ns(steady_ns),
        )
        return Ages(*(None if age is None else age / 1e9 for age in ages))
