"""What the clocks did between two ticks: a gap without any tick, ROS time set back or stepped forward."""

from __future__ import annotations

from typing import NamedTuple

from mobile_vla.control.clock import Now, Rejected, to_ns, to_s
from mobile_vla.control.config import ControllerConfig

SET_BACK_NS = 100_000_000
STEPPED_FORWARD_NS = 1_000_000_000
STANDS_NS = 1_000_000_000
ASK_AGAIN_NS = 500_000_000
"""Requests that were waiting when a gap ended are answered within this time."""


class TimeChange(NamedTuple):
    """What happened since the tick before; `gap_ns` is 0 without a gap, `notes` are to be counted."""

    gap_ns: int
    set_back: bool
    notes: tuple[Rejected, ...]


class TimeWatch:
    """Compares each tick's clocks with those of the tick before."""

    def __init__(self, config: ControllerConfig) -> None:
        self._last: Now | None = None
        self._gap_ns = 0
        self._gap_ended_ns = 0
        self._ros_moved_ns = 0
        self.configure(config)

    def configure(self, config: ControllerConfig) -> None:
        """Use new settings from now on."""
        self._silence_ns = to_ns(config.output.silence_s)

    def look(self, now: Now) -> TimeChange:
        """Call it once per tick."""
        last, self._last = self._last, now
        if last is None or now.ros_ns != last.ros_ns:
            self._ros_moved_ns = now.steady_ns
        if last is None:
            return TimeChange(0, False, ())
        notes = []
        steady_ns, ros_ns = now.steady_ns - last.steady_ns, now.ros_ns - last.ros_ns
        gap_ns = steady_ns if steady_ns > self._silence_ns else 0
        if gap_ns:
            self._gap_ns, self._gap_ended_ns = gap_ns, now.steady_ns
            notes.append(Rejected("clock.gap", f"no tick for {to_s(gap_ns):.3f} s; motion restarts from rest"))
        set_back = ros_ns < -SET_BACK_NS
        if set_back:
            notes.append(Rejected("clock.set_back", f"ROS time went back {to_s(-ros_ns):.3f} s"))
        if last.ros_ns and ros_ns - steady_ns > STEPPED_FORWARD_NS:
            ahead_s = to_s(ros_ns - steady_ns)
            notes.append(Rejected("clock.stepped_forward", f"ROS time stepped forward {ahead_s:.3f} s"))
        return TimeChange(gap_ns, set_back, tuple(notes))

    def refusal(self, now: Now) -> str:
        """Why a request must not be trusted to be of now, or ROS time not be used; empty when both may be."""
        steady_ns = now.steady_ns
        if now.ros_ns == 0:
            return "time is simulated and /clock says nothing; start what publishes it, or set use_sim_time to false"
        stands_ns = steady_ns - self._ros_moved_ns
        if self._last is not None and now.ros_ns == self._last.ros_ns and stands_ns > STANDS_NS:
            return f"simulated time has stood still for {to_s(stands_ns):.1f} s; let /clock go on"
        waiting_ns = 0 if self._last is None else steady_ns - self._last.steady_ns
        if waiting_ns > self._silence_ns:
            return f"the controller did not run for the last {to_s(waiting_ns):.1f} s; ask again"
        if self._gap_ns and steady_ns - self._gap_ended_ns < ASK_AGAIN_NS:
            return f"the controller did not run for {to_s(self._gap_ns):.1f} s until just now; ask again"
        return ""
