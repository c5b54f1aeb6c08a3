"""Self reference: the score of the driving policy on its own recording, from its published actions.

An action answers the image whose stamp it carries. At each frame two of them matter: the newest one that answers this
frame or an earlier one is what an exact copy of that policy would be scored with; the newest one that had been logged
when the command was is what the controller made the command from. The first falls short of the command by delay and
gate together, the second by the gate alone.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from mobile_vla.bags.types import BagAction, Event
from mobile_vla.config.action_space import ACTION_SPACES
from mobile_vla.control import ControllerConfig, Velocity
from mobile_vla.control.clock import Rejected
from mobile_vla.control.decode import as_output, decode_action
from mobile_vla.evaluate.columns import Columns

LONGEST_HOLD_NS = 1_000_000_000
"""An older action says nothing about a frame: the controller holds none for longer."""


class OwnActions:
    """Collects the actions of one bag while it is read, then gives each counted frame its two."""

    def __init__(self, controller: ControllerConfig) -> None:
        self._controller = controller
        self._stamps = array("q")
        self._logged = array("q")
        self._values = (array("d"), array("d"))

    def watch(self, events: Iterable[Event]) -> Iterator[Event]:
        """The same events."""
        for event in events:
            if isinstance(event, BagAction):
                self._take(event)
            yield event

    def note(self, columns: Columns, first: int) -> None:
        """Add to `columns` what belongs to the frames from number `first` on: those of this bag."""
        stamps, logged = (
            np.array(columns.stamp_ns[first:], np.int64),
            np.array(columns.command_log_ns[first:], np.int64),
        )
        usable = np.frombuffer(columns.by_policy, np.int8)[first:].astype(bool)
        at_image = self._newest(self._stamps, stamps, usable)
        in_force = self._newest(self._logged, logged, usable)
        for axis in (0, 1):
            columns.own_at_image[axis].extend(at_image[axis].tolist())
            columns.own_in_force[axis].extend(in_force[axis].tolist())

    def _take(self, action: BagAction) -> None:
        space = ACTION_SPACES[self._controller.action.space]
        sent = Velocity(action.linear, action.lateral, action.angular)
        try:
            velocity = decode_action(action.space, sent, self._controller.action)
        except Rejected:  # the controller did not take it either
            return
        self._stamps.append(action.stamp_ns)
        self._logged.append(action.log_ns)
        for values, value in zip(
            self._values, space.from_twist(as_output(velocity, self._controller.base)), strict=True
        ):
            values.append(value)

    def _newest(
        self, times: array[int], wanted: NDArray[np.int64], usable: NDArray[np.bool_]
    ) -> list[NDArray[np.float64]]:
        """Per axis: the value of the newest action not after each wanted time; NaN where there is none."""
        if not len(times):
            return [np.full(len(wanted), np.nan)] * 2
        known = np.array(times, np.int64)
        order = np.argsort(known, kind="stable")
        place = np.searchsorted(known[order], wanted, side="right") - 1
        found = order[np.maximum(place, 0)]
        there = usable & (place >= 0) & (wanted - known[found] <= LONGEST_HOLD_NS)
        return [np.where(there, np.array(values)[found], np.nan) for values in self._values]
