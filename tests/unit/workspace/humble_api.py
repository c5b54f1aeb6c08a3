"""Finds use of rclpy that ROS 2 Humble does not have, by reading the syntax tree: nothing is imported or run.

The lists are the difference between the public names of rclpy's humble branch and those of jazzy and later.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MODULES = {
    "rclpy.clock_type",
    "rclpy.destroyable",
    "rclpy.event_handler",
    "rclpy.experimental",
    "rclpy.logging_service",
    "rclpy.parameter_client",
    "rclpy.parameter_event_handler",
    "rclpy.service_introspection",
    "rclpy.type_description_service",
    "rclpy.type_hash",
}
NAMES = {
    "rclpy": {"InitContextManager"},
    "rclpy.logging": {"get_logger_level"},
    "rclpy.parameter": {"get_parameter_value", "parameter_dict_from_yaml_file"},
    "rclpy.subscription": {"MessageInfo"},
    "rclpy.timer": {"TimerInfo"},
    "rclpy.executors": {"EventsExecutor"},
    "rclpy.type_support": {"Msg", "Srv", "MsgMetaClass", "CommonMsgSrvMetaClass"},
}
# Attributes whose names are rare enough to be found whatever they hang on.
ATTRIBUTES = {
    "add_post_set_parameters_callback",
    "add_pre_set_parameters_callback",
    "remove_post_set_parameters_callback",
    "remove_pre_set_parameters_callback",
    "configure_introspection",
    "count_clients",
    "count_services",
    "get_fully_qualified_node_names",
    "list_parameters",
    "wait_for_node",
    "get_publisher_count",
    "topic_type_hash",
    "BEST_AVAILABLE",
    "InitContextManager",
    "EventsExecutor",
}
# Keyword arguments by the function or class that is called.
KEYWORDS = {
    "create_node": {"enable_logger_service"},
    "Node": {"enable_logger_service"},
    "create_timer": {"autostart"},
    "create_subscription": {"content_filter_options"},
    "try_shutdown": {"context", "uninstall_handlers"},
    "set_logger_level": {"detailed_error"},
    "PublisherEventCallbacks": {"matched", "incompatible_type"},
    "SubscriptionEventCallbacks": {"matched", "incompatible_type", "message_lost_with_info"},
}
# Objects that can be used in `with` only from Iron, Jazzy or Kilted on.
NO_CONTEXT_MANAGERS = {
    "Context",
    "SingleThreadedExecutor",
    "MultiThreadedExecutor",
    "Executor",
    "Node",
    "init",
    "create_node",
    "create_publisher",
    "create_subscription",
    "create_client",
    "create_service",
    "create_timer",
}
SUBSCRIBE = "create_subscription"


class Finding(NamedTuple):
    """One use of something Humble lacks."""

    line: int
    what: str


def check(source: str) -> list[Finding]:
    """Everything in a source text that Humble's rclpy cannot do, in the order of its lines."""
    tree = ast.parse(source)
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    findings = [finding for node in ast.walk(tree) for finding in _node(node, functions)]
    return sorted(set(findings))


def check_file(path: Path) -> list[str]:
    """The same for a file, as `path:line what`."""
    return [f"{path}:{finding.line} {finding.what}" for finding in check(path.read_text())]


def _node(node: ast.AST, functions: dict[str, ast.FunctionDef]) -> Iterator[Finding]:
    if isinstance(node, ast.Import):
        yield from (Finding(node.lineno, f"import {alias.name}") for alias in node.names if _absent(alias.name))
    elif isinstance(node, ast.ImportFrom):
        yield from _import_from(node)
    elif isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
        yield Finding(node.lineno, f".{node.attr}")
    elif isinstance(node, (ast.With, ast.AsyncWith)):
        for item in node.items:
            if isinstance(item.context_expr, ast.Call) and _called(item.context_expr) in NO_CONTEXT_MANAGERS:
                yield Finding(node.lineno, f"with {_called(item.context_expr)}(...)")
    elif isinstance(node, ast.Call):
        yield from _call(node, functions)


def _import_from(node: ast.ImportFrom) -> Iterator[Finding]:
    module = node.module or ""
    for alias in node.names:
        if _absent(module) or _absent(f"{module}.{alias.name}") or alias.name in NAMES.get(module, ()):
            yield Finding(node.lineno, f"from {module} import {alias.name}")


def _call(node: ast.Call, functions: dict[str, ast.FunctionDef]) -> Iterator[Finding]:
    name = _called(node)
    for keyword in node.keywords:
        if keyword.arg in KEYWORDS.get(name, ()):
            yield Finding(node.lineno, f"{name}({keyword.arg}=...)")
    if name == SUBSCRIBE and len(node.args) > 2 and _takes_message_info(node.args[2], functions):
        yield Finding(node.lineno, f"{name}: a callback with a second argument (MessageInfo)")


def _takes_message_info(callback: ast.expr, functions: dict[str, ast.FunctionDef]) -> bool:
    if isinstance(callback, ast.Lambda):
        return _required(callback.args) > 1
    if isinstance(callback, ast.Name):
        function = functions.get(callback.id)
        return function is not None and _required(function.args) > 1
    if isinstance(callback, ast.Attribute) and isinstance(callback.value, ast.Name) and callback.value.id == "self":
        function = functions.get(callback.attr)
        return function is not None and _required(function.args) > 2
    return False


def _required(arguments: ast.arguments) -> int:
    return len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)


def _absent(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in MODULES)


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
