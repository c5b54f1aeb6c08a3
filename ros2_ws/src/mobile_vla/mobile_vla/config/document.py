"""A configuration as a YAML file whose comments explain it, and such a file to fill in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mobile_vla.config.safe_yaml import dump_flow
from mobile_vla.config.schema import REQUIRED, Config, own_fields


def dump(config: Config) -> str:
    """The configuration as YAML text: every value below its meaning; values that are their default are left out."""
    return "\n".join(_lines(config, "")) + "\n"


def template(cls: type[Config], known: Mapping[str, Any]) -> str:
    """A file to fill in: known values written, every other required value as a commented line with its meaning."""
    return "\n".join(_template(cls, known, "")) + "\n"


def _lines(config: Config, indent: str) -> Iterator[str]:
    for field in own_fields(type(config)):
        value = getattr(config, field.name)
        if value == field.default:
            continue
        yield f"{indent}# {field.expected}"
        if isinstance(value, Config):
            yield f"{indent}{field.name}:"
            yield from _lines(value, f"{indent}  ")
        else:
            yield f"{indent}{field.name}: {_flow(value)}"


def _template(cls: type[Config], known: Mapping[str, Any], indent: str) -> Iterator[str]:
    for field in own_fields(cls):
        if field.name not in known and field.default is not REQUIRED:
            continue
        if field.section is not None:
            yield f"{indent}{field.name}:  # {field.expected}"
            yield from _template(field.section, known.get(field.name, {}), f"{indent}  ")
        elif field.name in known:
            yield f"{indent}{field.name}: {_flow(known[field.name])}  # {field.expected}"
        else:
            yield f"{indent}# {field.name}:   <- {field.expected}"


def _flow(value: Any) -> str:
    return dump_flow(list(value) if isinstance(value, tuple) else value)
