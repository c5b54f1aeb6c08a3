"""Validated, self-describing, frozen dataclasses.

A configuration class derives from `Config` and declares each value with `param`. Units are part of the name
(`_s`, `_ms`, `_mps`, `_radps`, `_hz`, `_px`). Supported types: bool, int, float, str, tuple[float, ...],
tuple[str, ...] and nested `Config` classes, because these are what YAML, ROS parameters and flags share. A checkpoint's
card is one, too: most of its values are `REQUIRED`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from mobile_vla.errors import UserError, nearest

_KEY = "mobile_vla.param"
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LONGEST_SHOWN = 60
_MOST_DOTS = 20
T = TypeVar("T")
C = TypeVar("C", bound="Config")
Value = bool | int | float | str | tuple[float, ...] | tuple[str, ...] | None
REQUIRED: Any = dataclasses.MISSING
"""The default of a value that has none: whoever makes the configuration gives it."""


class ConfigError(UserError):
    """A configuration value that cannot be used."""


@dataclasses.dataclass(frozen=True)
class Field:
    """One value of a configuration class. `fields_of` gives it its dotted name (`limits.linear_mps`)."""

    name: str
    type: Any
    default: Any
    help: str
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False
    capped: bool = False

    @property
    def section(self) -> type[Config] | None:
        """The class of a nested configuration (`X` or `X | None`); None for a leaf value."""
        return _section(self.type)

    @property
    def expected(self) -> str:
        """What belongs into the field, in words."""
        return f"one of {', '.join(self.choices)} ({self.help})" if self.choices else self.help

    @property
    def remedy(self) -> str:
        """What to do about a value of the wrong type."""
        meaning = self.expected.rstrip(".")
        return f"write {meaning}" if self.choices else f"correct it (meaning: {meaning})"


def param(
    default: T,
    help: str,  # noqa: A002  (the word every flag library uses)
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
    capped: bool = False,
) -> T:
    """Declare one value: its default, its help sentence, its closed (`ge`, `le`) or open (`gt`) range, its choices.

    `live` says that a running node applies a new value; everything else is refused at run time with a sentence.
    `capped` says that a running node lowers it at once, but never raises it beyond the value it was started with.
    """
    spec = Field("", None, default, help, ge, gt, le, choices, live or capped, capped)
    field: Any = dataclasses.field(default=default, metadata={_KEY: spec})
    return field  # type: ignore[no-any-return]  # what the dataclass makes of it has the type of the default


def section(cls: type[C], **defaults: Any) -> C:
    """Declare a nested configuration, optionally with other defaults than its class has."""
    field: Any = dataclasses.field(default_factory=lambda: cls(**defaults))
    return field  # type: ignore[no-any-return]


@dataclasses.dataclass(frozen=True)
class Config:
    """Base of every configuration class: checks types and ranges on construction, then `cross_check`."""

    def __post_init__(self) -> None:
        for field in own_fields(type(self)):
            value = getattr(self, field.name)
            if field.section is None:
                object.__setattr__(self, field.name, _checked(field, value))
            elif not isinstance(value, field.section) and (value is not None or field.default is not None):
                raise _no_group(field.name, value)
        self.cross_check()

    def cross_check(self) -> None:
        """Override to check values against each other; raise `ConfigError` with value, limit and remedy."""


def own_fields(cls: type[Config]) -> tuple[Field, ...]:
    """The fields of one class in declaration order; a nested configuration is one of them."""
    return tuple(_fields(cls).values())


def fields_of(cls: type[Config], prefix: str = "", defaults: Config | None = None) -> Iterator[Field]:
    """Every leaf value of a configuration class that has defaults, depth first, in declaration order."""
    defaults = defaults or cls()
    for field in own_fields(cls):
        name, value = f"{prefix}{field.name}", getattr(defaults, field.name)
        if isinstance(value, Config):
            yield from fields_of(type(value), f"{name}.", value)
        else:
            yield dataclasses.replace(field, name=name, default=value)


def missing_fields(cls: type[Config], values: Mapping[str, Any], prefix: str = "") -> Iterator[Field]:
    """Every leaf value that has no default and is not in `values`, under its dotted name."""
    given = _nest(values)
    for field in own_fields(cls):
        name, value = f"{prefix}{field.name}", given.get(field.name)
        required = field.default is REQUIRED
        if field.section is None:
            if required and field.name not in given:
                yield dataclasses.replace(field, name=name)
        elif required and value is None:
            yield from missing_fields(field.section, {}, f"{name}.")
        elif isinstance(value, Mapping) and not isinstance(field.default, Config):
            yield from missing_fields(field.section, value, f"{name}.")


def to_mapping(config: Config) -> dict[str, Value]:
    """A configuration as flat dotted names: the form ROS parameters take."""
    flat: dict[str, Value] = {}
    for field in own_fields(type(config)):
        value = getattr(config, field.name)
        if isinstance(value, Config):
            flat.update({f"{field.name}.{name}": inner for name, inner in to_mapping(value).items()})
        else:
            flat[field.name] = value
    return flat


def from_mapping(cls: type[C], values: Mapping[str, Any], where: str) -> C:
    """Build a configuration from nested mappings (YAML) or dotted names; `where` opens every error sentence."""
    if not isinstance(values, Mapping):
        raise _no_group(where, values)
    try:
        return _build(cls, values, "")
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def with_values(config: C, values: Mapping[str, Any]) -> C:
    """A copy of `config` with some dotted names replaced, validated as a whole."""
    return _build(type(config), laid_over(_nested(config), values), "")


def _nested(config: Config) -> dict[str, Any]:
    values = {field.name: getattr(config, field.name) for field in own_fields(type(config))}
    return {name: _nested(value) if isinstance(value, Config) else value for name, value in values.items()}


def _nest(values: Mapping[Any, Any], where: str = "") -> dict[str, Any]:
    """Dotted names as groups, one level deep; a value that is given twice is refused."""
    nested: dict[str, Any] = {}
    for key, value in values.items():
        head, _, rest = str(key).partition(".")
        if rest.count(".") > _MOST_DOTS:
            raise ConfigError(f"unknown name {_shown(key)} with more than {_MOST_DOTS} dots; name a value")
        if not rest and not isinstance(value, Mapping):
            if head in nested:
                raise ConfigError(f"{where}{head} is both a value and a group; remove one of them")
            nested[head] = value
            continue
        branch = nested.setdefault(head, {})
        if not isinstance(branch, dict):
            raise ConfigError(f"{where}{head} is both a value and a group; remove one of them")
        for name, inner in {rest: value}.items() if rest else value.items():
            if name in branch:
                raise ConfigError(f"{where}{head}.{name} is given twice; remove one of them, none is preferred")
            branch[name] = inner
    return nested


def laid_over(base: Mapping[str, Any], over: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """`over` laid over `base` value by value, both nested or with dotted names; the result is nested.

    `where` is the dotted name of the group, with a dot at its end, for what is said of a value that is given twice.
    """
    result = _nest(base, where)
    for key, value in _nest(over, where).items():
        below = result.get(key)
        group = below if isinstance(below, Mapping) else {}
        result[key] = laid_over(group, value, f"{where}{key}.") if isinstance(value, Mapping) else value
    return result


def _build(cls: type[C], values: Mapping[str, Any], prefix: str) -> C:
    given, known = _nest(values, prefix), _fields(cls)
    for key, value in given.items():
        if key not in known:
            name = _shown(f"{prefix}{key}")
            raise ConfigError(f"unknown name {name} with value {_shown(value)}; {nearest(key, known)}")
    if missing := list(missing_fields(cls, given, prefix)):
        many, names = "s" if len(missing) > 1 else "", ", ".join(field.name for field in missing)
        raise ConfigError(f"missing field{many} {names}; write {missing[0].name}: {missing[0].expected}")
    arguments = {key: _argument(known[key], value, f"{prefix}{key}") for key, value in given.items()}
    try:
        return cls(**arguments)
    except ConfigError as error:
        raise ConfigError(f"{prefix}{error}") from None


def _argument(field: Field, value: Any, name: str) -> Any:
    if field.section is None or (value is None and field.default is None):
        return value
    if not isinstance(value, Mapping):
        raise _no_group(name, value)
    base = _nested(field.default) if isinstance(field.default, Config) else {}
    return _build(field.section, laid_over(base, value, f"{name}."), f"{name}.")


def _no_group(name: str, value: Any) -> ConfigError:
    return ConfigError(f"{name} must be a group of `name: value` lines, got {_shown(value)}; indent them below it")


_FIELDS: dict[type[Config], dict[str, Field]] = {}


def _fields(cls: type[Config]) -> dict[str, Field]:
    """Type hints are texts, and resolving them takes most of the time of making a configuration."""
    if cls not in _FIELDS:
        _FIELDS[cls] = _declared(cls)
    return _FIELDS[cls]


def _declared(cls: type[Config]) -> dict[str, Field]:
    hints, found = typing.get_type_hints(cls), {}
    for field in dataclasses.fields(cls):
        default: Any = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        declared = field.metadata.get(_KEY, Field("", None, default, ""))
        found[field.name] = dataclasses.replace(declared, name=field.name, type=hints[field.name], default=default)
    return found


@functools.cache
def _section(hint: Any) -> type[Config] | None:
    kinds = (hint, *typing.get_args(hint))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Config)), None)


def _checked(field: Field, value: Any) -> Any:
    """Accept exactly what the type says, plus int where float is meant and list where tuple is meant."""
    if typing.get_origin(field.type) is not tuple:
        return _checked_item(field, field.name, value, field.type)
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{field.name} must be a list, got {_shown(value)}; {field.remedy}")
    item = typing.get_args(field.type)[0]
    return tuple(_checked_item(field, f"{field.name}[{index}]", each, item) for index, each in enumerate(value))


def _checked_item(field: Field, name: str, value: Any, kind: Any) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if (kind is not bool and isinstance(value, bool)) or not isinstance(value, kind):
        raise ConfigError(f"{name} must be {_WORDS.get(kind, kind)}, got {_shown(value)}; {field.remedy}")
    if field.choices and value not in field.choices:
        raise ConfigError(f"{name} must be one of {', '.join(field.choices)}, got {_shown(value)}")
    if isinstance(value, str) and _CONTROL.search(value):
        raise ConfigError(f"{name} contains control characters, got {_shown(value)}; {field.remedy}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        _check_range(field, name, value)
    return value


def _check_range(field: Field, name: str, value: float) -> None:
    meaning = f"(meaning: {field.help.rstrip('.')})"
    if not math.isfinite(value):
        raise ConfigError(f"{name} must be a finite number, got {value}; {field.remedy}")
    for sign, limit, beyond, remedy in (
        (">=", field.ge, field.ge is not None and value < field.ge, "raise"),
        (">", field.gt, field.gt is not None and value <= field.gt, "raise"),
        ("<=", field.le, field.le is not None and value > field.le, "lower"),
    ):
        if limit is not None and beyond:
            bound, got = apart(limit, value)
            raise ConfigError(f"{name} must be {sign} {bound}, got {got}; {remedy} it {meaning}")


def apart(limit: float, value: float) -> tuple[str, str]:
    """A limit and a value beyond it as texts, with every digit where six do not tell them apart."""
    alike = f"{limit:g}" == f"{value:g}" and limit != value
    return (repr(limit), repr(value)) if alike else (f"{limit:g}", f"{value:g}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."
