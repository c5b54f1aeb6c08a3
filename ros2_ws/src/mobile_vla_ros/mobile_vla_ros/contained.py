"""An executor in which no callback can end the process: what a callback raises is counted and named, and it goes on.

rclpy lets an exception of any callback, and of taking any message, out of `spin`. Worse, after one that is caught
there an entity whose message could not be taken is never served again. So it is caught here, around taking and around
the callback of every entity: subscriptions, timers, services (rclpy's own for parameters included), clients, guard
conditions, events. The asker of a service is told. `mobile_vla_ros.runtime.run` uses no other executor.

What is raised deliberately to end a node is a `BaseException` (`Interrupted`, `NodeFailed`) and passes through.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.service import Service
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from mobile_vla_ros.explained import explaining
from mobile_vla_ros.failures import Failures, Undecodable, failures_of

_NOT_TAKEN = object()
MOST_PARAMETERS = 128
"""Of one request to a parameter service: each may take a millisecond, in which nothing else of the node runs."""


class ContainedExecutor(SingleThreadedExecutor):
    """A `SingleThreadedExecutor` whose callbacks cannot end it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._answering: WeakSet[Any] = WeakSet()

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """As rclpy's; what is left to contain are tasks without an entity (callbacks of futures)."""
        try:
            super().spin_once(timeout_sec)
        except (ShutdownException, ExternalShutdownException):
            raise
        except Exception as error:  # noqa: BLE001 - counted and named
            for node in self.get_nodes():
                failures_of(node).add("task", error)

    def _make_handler(self, entity: Any, node: Any, take: Callable[..., Any], *execute: Callable[..., Any]) -> Any:
        """Humble gives taking and executing apart; Jazzy and later let taking return what executes."""
        failures, where = failures_of(node), where_of(entity)
        if isinstance(entity, Service) and entity not in self._answering:
            self._answering.add(entity)
            entity.callback = answering(explaining(entity.callback, node), entity.srv_type, where, failures)

        def contained_take(entity: Any) -> Any:
            try:
                taken = take(entity)
                if taken is None and not execute and isinstance(entity, Subscription):
                    raise Undecodable("a message that cannot be decoded as its type")
            except Exception as error:  # noqa: BLE001 - counted and named
                failures.add(where, error)
                return _NOT_TAKEN if execute else None
            return taken if execute or taken is None else contained_run(taken)

        def contained_run(run: Callable[..., Any]) -> Callable[..., Any]:
            async def contained(*arguments: Any) -> None:
                if arguments and arguments[-1] is _NOT_TAKEN:
                    return
                with failures.contained(where):
                    await run(*arguments)

            return contained

        return super()._make_handler(entity, node, contained_take, *map(contained_run, execute))


def where_of(entity: Any) -> str:
    """What a person calls an entity: the name of its topic or service, or the callback of a timer."""
    if isinstance(entity, Subscription):
        return str(entity.topic_name)
    if isinstance(entity, Service):
        return f"service {entity.srv_name}"
    if isinstance(entity, Client):
        return f"answer of {entity.srv_name}"
    kind = "timer" if isinstance(entity, Timer) else type(entity).__name__
    name = getattr(getattr(entity, "callback", None), "__name__", "")
    return f"{kind} {name.strip('_')}".strip()


def answering(callback: Callable[..., Any], srv_type: Any, where: str, failures: Failures) -> Callable[..., Any]:
    """A service's callback whose failure is counted and answered, so that nobody waits for an answer in vain."""
    if inspect.iscoroutinefunction(callback):
        return callback

    @functools.wraps(callback)
    def answer(request: Any, response: Any) -> Any:
        try:
            require_bounded(request)
            return callback(request, response)
        except Exception as error:  # noqa: BLE001 - counted, named and answered
            return refusal(srv_type, request, response, failures.add(where, error))

    return answer


def require_bounded(request: Any) -> None:
    """Raise for a request to a parameter service that would keep the node from its work."""
    for field in ("parameters", "names", "prefixes"):
        count = len(getattr(request, field, ()))
        if count > MOST_PARAMETERS:
            raise ValueError(f"{count} {field} in one request, at most {MOST_PARAMETERS} are taken; ask in parts")


def refusal(srv_type: Any, request: Any, response: Any, message: str) -> Any:
    """A response that says no, in the fields that the service has for that."""
    refused = srv_type.Response()
    if srv_type is SetParameters:
        done = list(response.results)  # those before the one that failed
        no = SetParametersResult(successful=False, reason=message)
        refused.results = done + [no] * (len(request.parameters) - len(done))
        return refused
    fields = refused.get_fields_and_field_types()
    if fields.get("result") == "rcl_interfaces/SetParametersResult":
        refused.result = SetParametersResult(successful=False, reason=message)
    if fields.get("message") == "string":
        refused.message = message
    return refused
