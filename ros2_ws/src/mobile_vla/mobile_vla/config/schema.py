"""Validated, self-describing, frozen dataclasses.

A configuration class derives from `Config` and declares each value with `param`. Units are part of the name
(`_s`, `_ms`, `_mps`, `_radps`, `_hz`, `_px`). Supported types: bool, int, float, str, tuple[float, ...],
tuple[str, ...] and nested `Config` classes, because these are what YAML, ROS parameters and flags share.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from mobile_vla.errors import UserError, nearest

_KEY = "mobile_vla.param"
Value = bool | int | float | str | tuple[float, ...] | tuple[str, ...]


class ConfigError(UserError):
    """A configuration value that cannot be used."""


@dataclasses.dataclass(frozen=True)
class _Param:
    help: str
    ge: float | None
    gt: float | None
    le: float | None
    choices: tuple[str, ...]
    live: bool


@dataclasses.dataclass(frozen=True)
class Field:
    """One leaf value of a configuration class, under its dotted name (`limits.linear_mps`)."""

    name: str
    type: Any
    default: Value
    help: str
    ge: float | None
    gt: float | None
    le: float | None
    choices: tuple[str, ...]
    live: bool


def param(
    default: Any,
    help: str,  # noqa: A002  (the word every flag library uses)
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """Declare one value: its default, its help sentence, its closed (`ge`, `le`) or open (`gt`) range, its choices.

    `live` says that a running node applies a new value; everything else is refused at run time with a sentence.
    """
    return dataclasses.field(default=default, metadata={_KEY: _Param(help, ge, gt, le, choices, live)})


def section(cls: type[Config], **defaults: Any) -> Any:
    """Declare a nested configuration, optionally with other defaults than its class has."""
    return dataclasses.field(default_factory=lambda: cls(**defaults))


@dataclasses.dataclass(frozen=True)
class Config:
    """Base of every configuration class: checks types and ranges on construction, then `cross_check`."""

    def __post_init__(self) -> None:
        hints = _hints(type(self))
        for field in dataclasses.fields(self):
            spec = field.metadata.get(_KEY)
            if spec is not None:
                value = _coerce(field.name, getattr(self, field.name), hints[field.name])
                object.__setattr__(self, field.name, value)
                _check_range(field.name, value, spec)
        self.cross_check()

    def cross_check(self) -> None:
        """Override to check values against each other; raise `ConfigError` with value, limit and remedy."""


C = TypeVar("C", bound=Config)


def fields_of(cls: type[Config], prefix: str = "") -> Iterator[Field]:
    """Every leaf value of a configuration class, depth first, in declaration order."""
    yield from _fields_of(cls, cls(), prefix)


def _fields_of(cls: type[Config], instance: Config, prefix: str) -> Iterator[Field]:
    hints = _hints(cls)
    for field in dataclasses.fields(cls):
        value = getattr(instance, field.name)
        if isinstance(value, Config):
            yield from _fields_of(type(value), value, f"{prefix}{field.name}.")
            continue
        spec = field.metadata[_KEY]
        yield Field(
            f"{prefix}{field.name}",
            hints[field.name],
            value,
            spec.help,
            spec.ge,
            spec.gt,
            spec.le,
            spec.choices,
            spec.live,
        )


def to_mapping(config: Config) -> dict[str, Value]:
    """A configuration as flat dotted names: the form ROS parameters take."""
    flat: dict[str, Value] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, Config):
            flat.update({f"{field.name}.{name}": inner for name, inner in to_mapping(value).items()})
        else:
            flat[field.name] = value
    return flat


def from_mapping(cls: type[C], values: Mapping[str, Any], where: str) -> C:
    """Build a configuration from nested mappings (YAML) or dotted names; `where` opens every error sentence."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: expected a mapping of names to values, got {values!r}; write `name: value` lines")
    try:
        return _build(cls, _nest(values), "")
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def with_values(config: C, values: Mapping[str, Any]) -> C:
    """A copy of `config` with some dotted names replaced, validated as a whole."""
    return _build(type(config), _nest({**to_mapping(config), **values}), "")


def _nest(values: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in values.items():
        head, _, rest = str(key).partition(".")
        if rest:
            branch = nested.setdefault(head, {})
            if not isinstance(branch, dict):
                raise ConfigError(f"{head} is both a value and a group; remove one of them")
            branch[rest] = value
        elif isinstance(value, Mapping) and isinstance(nested.get(head), dict):
            nested[head].update(value)
        else:
            nested[head] = dict(value) if isinstance(value, Mapping) else value
    return nested


def _build(cls: type[C], values: Mapping[str, Any], prefix: str) -> C:
    known = {field.name: field for field in dataclasses.fields(cls)}
    hints = _hints(cls)
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if key not in known:
            raise ConfigError(f"unknown name '{name}'; {nearest(key, known)}")
        hint = hints[key]
        if isinstance(hint, type) and issubclass(hint, Config):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{name} is a group of values, got {value!r}; indent its values below it")
            default = known[key].default_factory()  # type: ignore[operator]  # sections have one
            arguments[key] = _build(hint, _merged(_nest(to_mapping(default)), _nest(value)), f"{name}.")
        else:
            arguments[key] = value
    try:
        return cls(**arguments)
    except ConfigError as error:
        raise ConfigError(f"{prefix}{error}") from None


def _merged(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid over `base`, group by group."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(below, dict) and isinstance(value, Mapping)
        result[key] = _merged(below, _nest(value)) if both and isinstance(below, dict) else value
    return result


_HINTS: dict[type[Config], dict[str, Any]] = {}


def _hints(cls: type[Config]) -> dict[str, Any]:
    """Type hints are texts, and resolving them takes most of the time of making a configuration."""
    if cls not in _HINTS:
        _HINTS[cls] = typing.get_type_hints(cls)
    return _HINTS[cls]


def _coerce(name: str, value: Any, hint: Any) -> Value:
    """Accept exactly what the type says, plus int where float is meant and list where tuple is meant."""
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{name} must be a list, got {value!r}")
        item = typing.get_args(hint)[0]
        return tuple(_coerce(f"{name}[{index}]", element, item) for index, element in enumerate(value))  # type: ignore[return-value]
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if (hint is not bool and isinstance(value, bool)) or not isinstance(value, hint):
        raise ConfigError(f"{name} must be {_a(hint)}, got {value!r}")
    if isinstance(value, str) and "\0" in value:
        raise ConfigError(f"{name} must not contain a null character, got {value!r}; remove it")
    return value  # type: ignore[no-any-return]


def _check_range(name: str, value: Value, spec: _Param) -> None:
    if spec.choices:
        for element in value if isinstance(value, tuple) else (value,):
            if element not in spec.choices:
                raise ConfigError(f"{name} must be one of {', '.join(spec.choices)}, got {element!r}")
        return
    for element in value if isinstance(value, tuple) else (value,):
        if isinstance(element, (str, bool)):
            continue
        if not math.isfinite(element):
            raise ConfigError(f"{name} must be a finite number, got {element}")
        if spec.ge is not None and element < spec.ge:
            raise ConfigError(f"{name} must be >= {spec.ge:g}, got {element:g}; raise it")
        if spec.gt is not None and element <= spec.gt:
            raise ConfigError(f"{name} must be > {spec.gt:g}, got {element:g}; raise it")
        if spec.le is not None and element > spec.le:
            raise ConfigError(f"{name} must be <= {spec.le:g}, got {element:g}; lower it")


def _a(hint: Any) -> str:
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}.get(hint, str(hint))
