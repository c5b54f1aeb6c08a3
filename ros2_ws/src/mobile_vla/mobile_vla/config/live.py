"""Changes of a configuration while its node runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from mobile_vla.config.schema import Config, ConfigError, apart, fields_of, to_mapping, with_values

C = TypeVar("C", bound=Config)


def changed_live(started: C, current: C, changes: Mapping[str, Any]) -> C:
    """`current` with `changes`, validated as a whole; raises `ConfigError` for what a running node must not take.

    `started` is the configuration that the node was started with: its values bound those that are `capped`.
    """
    fields = {field.name: field for field in fields_of(type(current))}
    ceilings = to_mapping(started)
    for name, value in changes.items():
        if not fields[name].live:
            raise ConfigError(f"{name} cannot be changed while the node runs; restart it with {name}:={value}")
        ceiling = ceilings[name]
        if fields[name].capped and isinstance(ceiling, (int, float)) and _is_number(value) and value > ceiling:
            bound, got = apart(ceiling, value)
            raise ConfigError(
                f"{name} must be <= {bound}, the value this node was started with, got {got}; set it in the "
                "robot file (or with --set) and restart the node"
            )
    return with_values(current, changes)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
