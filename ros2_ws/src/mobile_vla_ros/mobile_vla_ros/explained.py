"""What rclpy's own parameter services refuse, as a sentence: it names neither the parameter nor the types."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.node import Node
from rclpy.parameter import Parameter

from mobile_vla.errors import nearest

_TYPES = {
    Parameter.Type.BOOL: "true or false",
    Parameter.Type.INTEGER: "a whole number",
    Parameter.Type.DOUBLE: "a number",
    Parameter.Type.STRING: "a text",
}


def explaining(callback: Callable[..., Any], node: Node) -> Callable[..., Any]:
    """The callback of a service; one that sets parameters says of each that was refused for what it is why."""
    if inspect.iscoroutinefunction(callback):
        return callback

    @functools.wraps(callback)
    def answer(request: Any, response: Any) -> Any:
        response = callback(request, response)
        if isinstance(response, SetParameters.Response):
            for message, result in zip(request.parameters, response.results, strict=False):
                if not result.successful:
                    result.reason = _reason(node, [message]) or result.reason
        elif isinstance(response, SetParametersAtomically.Response) and not response.result.successful:
            response.result.reason = _reason(node, request.parameters) or response.result.reason
        return response

    return answer


def _reason(node: Node, messages: Sequence[Any]) -> str:
    """Why the first of these parameters cannot be set at all; empty when name and type are right."""
    for parameter in map(Parameter.from_parameter_msg, messages):
        if not node.has_parameter(parameter.name):
            known = list(node._parameters)  # noqa: SLF001  (Humble has no list_parameters)
            return f"unknown parameter '{parameter.name}'; {nearest(parameter.name, known)}"
        declared = node.get_parameter(parameter.name).type_
        fixed = not node.describe_parameter(parameter.name).dynamic_typing
        if fixed and parameter.type_ != declared:
            kind = _TYPES.get(declared, declared.name.lower().replace("_", " "))
            return f"{parameter.name} must be {kind}, got {parameter.value!r}; correct it"
    return ""
