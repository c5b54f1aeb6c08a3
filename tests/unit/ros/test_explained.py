"""A parameter that a node has not, or of another type, is refused with its name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.parameter import Parameter

from mobile_vla_ros.explained import explaining

DECLARED = {"use_sim_time": Parameter("use_sim_time", value=False), "rate_hz": Parameter("rate_hz", value=30.0)}
NODE: Any = SimpleNamespace(
    has_parameter=DECLARED.__contains__,
    get_parameter=DECLARED.__getitem__,
    describe_parameter=lambda name: SimpleNamespace(dynamic_typing=name == "rate_hz"),
    _parameters=DECLARED,
)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("rat_hz", 3.0, "unknown parameter 'rat_hz'; did you mean 'rate_hz'?"),
        ("use_sim_time", "x", "use_sim_time must be true or false, got 'x'; correct it"),
        ("rate_hz", 3, "as before"),
    ],
)
def test_what_ros_refuses_is_refused_with_a_sentence(name: str, value: object, reason: str) -> None:
    def refuse(request: Any, response: Any) -> Any:
        refused = SetParametersResult(successful=False, reason="as before")
        if isinstance(response, SetParameters.Response):
            response.results = [refused]
        else:
            response.result = refused
        return response

    message = Parameter(name, value=value).to_parameter_msg()
    one = explaining(refuse, NODE)(SetParameters.Request(parameters=[message]), SetParameters.Response())
    assert [result.reason for result in one.results] == [reason]
    atomic = SetParametersAtomically
    whole = explaining(refuse, NODE)(atomic.Request(parameters=[message]), atomic.Response())
    assert whole.result.reason == reason


def test_what_is_accepted_is_left_alone() -> None:
    def accept(request: Any, response: Any) -> Any:
        response.results = [SetParametersResult(successful=True)]
        return response

    request = SetParameters.Request(parameters=[Parameter("x", value=1).to_parameter_msg()])
    assert explaining(accept, NODE)(request, SetParameters.Response()).results[0].reason == ""
