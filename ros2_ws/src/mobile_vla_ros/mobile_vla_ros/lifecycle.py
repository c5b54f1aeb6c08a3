"""A lifecycle node whose transitions can fail without silence: rclpy swallows what they raise, here it is named."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from mobile_vla_ros.failures import failures_of

_TRANSITIONS = ("on_configure", "on_activate", "on_deactivate", "on_cleanup", "on_shutdown", "on_error")
_Transition = Callable[[Any, LifecycleState], TransitionCallbackReturn]


class ContainedLifecycleNode(LifecycleNode):
    """The transitions that a subclass defines are wrapped: one that raises is counted and leads to `on_error`."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in _TRANSITIONS:
            if name in vars(cls):
                setattr(cls, name, _contained(name, vars(cls)[name]))


def _contained(name: str, transition: _Transition) -> _Transition:
    @functools.wraps(transition)
    def contained(self: Any, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(self, state)
        except Exception as error:  # noqa: BLE001 - counted and named
            failures_of(self).add(f"transition {name.removeprefix('on_')}", error)
            return TransitionCallbackReturn.ERROR

    return contained
