"""A configuration class as ROS parameters: declared with ranges and help, validated as a whole on every change."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from mobile_vla.config import Config, ConfigError, Field, changed_live, fields_of, from_mapping, to_mapping
from mobile_vla.errors import nearest
from mobile_vla_ros.failures import failures_of

C = TypeVar("C", bound=Config)
_LARGEST = 1e308
_BUILT_IN = ("use_sim_time", "start_type_description_service", "qos_overrides.")


class Parameters(Generic[C]):
    """Holds the current, always valid configuration of one node.

    Declares every field of `cls`; raises `ConfigError` when the start values are wrong or unknown. A change at run
    time is applied only if the field is live, no capped value rises beyond its value at the start, and the whole
    configuration stays valid; `on_change` then gets it, on the executor's thread.
    """

    def __init__(self, node: Node, cls: type[C], on_change: Callable[[C], None] | None = None) -> None:
        self._fields = {field.name: field for field in fields_of(cls)}
        self._on_change = on_change
        self._failures = failures_of(node)
        self._where = node.get_fully_qualified_name()
        self.value: C = from_mapping(cls, self._overrides(node), self._where)
        self._started = self.value
        current = to_mapping(self.value)
        for name, field in self._fields.items():
            _declare(node, field, current[name])
        node.add_on_set_parameters_callback(self._on_set)

    def _overrides(self, node: Node) -> dict[str, Any]:
        overrides: dict[str, Any] = {}
        for name, parameter in node._parameter_overrides.items():  # noqa: SLF001  (no public accessor anywhere)
            if name in self._fields:
                # ROS hands an empty list over as a parameter without a value.
                overrides[name] = [] if parameter.value is None else parameter.value
            elif not name.startswith(_BUILT_IN):
                raise ConfigError(f"{self._where}: unknown parameter '{name}'; {nearest(name, self._fields)}")
        return overrides

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        current = to_mapping(self.value)
        changes = {
            parameter.name: parameter.value
            for parameter in parameters
            if parameter.name in self._fields and not _same(parameter.value, current[parameter.name])
        }
        if not changes:
            return SetParametersResult(successful=True)
        try:
            updated = changed_live(self._started, self.value, changes)
            if self._on_change is not None:
                self._on_change(updated)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        except Exception as error:  # noqa: BLE001 - counted, named and answered; what was in use stays in use
            message = self._failures.add(f"parameters {', '.join(changes)}", error)
            if self._on_change is not None:
                with self._failures.contained("parameters as before"):
                    self._on_change(self.value)
            return SetParametersResult(successful=False, reason=message)
        self.value = updated
        return SetParametersResult(successful=True)


def _declare(node: Node, field: Field, value: Any) -> None:
    """Declare one parameter with its already validated value.

    Typing is dynamic in ROS's sense, so that `rate_hz:=30` is accepted for a float: the configuration class checks
    types, with a better sentence. A list is set with its type, because an empty one has none of its own in ROS.
    """
    descriptor = ParameterDescriptor(description=_description(field), dynamic_typing=True)
    if field.type is float and (field.ge, field.gt, field.le) != (None, None, None):
        low = field.ge if field.ge is not None else field.gt
        span = (-_LARGEST if low is None else low, _LARGEST if field.le is None else field.le)
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(span[0]), to_value=float(span[1]))]
    if field.type is int and field.ge is not None and field.le is not None:
        descriptor.integer_range = [IntegerRange(from_value=int(field.ge), to_value=int(field.le), step=1)]
    if isinstance(value, tuple):
        kind = Parameter.Type.STRING_ARRAY if typing.get_args(field.type)[0] is str else Parameter.Type.DOUBLE_ARRAY
        node.declare_parameter(field.name, None, descriptor, ignore_override=True)
        node.set_parameters([Parameter(field.name, kind, list(value))])
    else:
        node.declare_parameter(field.name, value, descriptor, ignore_override=True)


def _description(field: Field) -> str:
    choices = f" One of: {', '.join(field.choices)}." if field.choices else ""
    capped = " Not raised beyond its value at the start while the node runs."
    change = capped if field.capped else "" if field.live else " Fixed while the node runs."
    return f"{field.help.rstrip('.')}.{choices}{change}"


def _same(value: Any, current: Any) -> bool:
    return bool((tuple(value) if isinstance(value, (list, tuple)) else value) == current)
