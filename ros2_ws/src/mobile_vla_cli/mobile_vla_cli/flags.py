"""Command-line flags made from configuration classes, so that a value is described once."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_origin

from mobile_vla.config import Config, ConfigError, fields_of, from_mapping
from mobile_vla.config.safe_yaml import YamlError, load_yaml
from mobile_vla.engine.config import MAX_THREADS
from mobile_vla.errors import UserError

C = TypeVar("C", bound=Config)
MAX_VALUE_CHARACTERS = 4096
"""Of one value on the command line; the longest that any setting needs is a path."""


def checkpoint(text: str) -> Path:
    """The file of a checkpoint argument: a path, `shipped:<name>` or `synthetic:<size>`, in every command."""
    from mobile_vla.engine.named import checkpoint_file

    return checkpoint_file(text)


def threads(text: str) -> int:
    """The number of a `--threads` argument, within the same bounds in every command."""
    if not (len(text) <= 3 and text.isdecimal() and 1 <= int(text) <= MAX_THREADS):
        raise UserError(f"--threads must be a whole number from 1 to {MAX_THREADS}, got {text}")
    return int(text)


def add_config_flags(parser: argparse.ArgumentParser, cls: type[Config], title: str, skip: Sequence[str] = ()) -> None:
    """One `--name VALUE` per field; the field's help and default are the flag's."""
    group = parser.add_argument_group(title)
    for field in fields_of(cls):
        if field.name in skip:
            continue
        shown = "" if field.default in ("", ()) else f" (default: {_shown(field.default)})"
        flag = _flag(field.name)
        options: dict[str, Any] = {
            "dest": f"config.{field.name}",
            "default": argparse.SUPPRESS,
            "help": field.help + shown,
        }
        if field.type is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, **options)
        else:
            group.add_argument(flag, metavar=_metavar(field.type), **options)


def config_from(args: argparse.Namespace, cls: type[C], **fixed: Any) -> C:
    """The configuration the flags describe; `fixed` values are not open to the user."""
    values = {name.removeprefix("config."): value for name, value in vars(args).items() if name.startswith("config.")}
    types = {field.name: field.type for field in fields_of(cls)}
    parsed = {name: _parsed(value, types[name], _flag(name)) for name, value in values.items()}
    return from_mapping(cls, {**parsed, **fixed}, "command line")


# what nanoseconds in 64 bits hold, and more than any use has
_MOST = {"latency_ms": 60_000, "tolerance_ms": 60_000, "delay_ms": 60_000, "rate_hz": 1000, "width": 16384}
_MOST_OTHERWISE = 1_000_000_000


def check_numbers(args: argparse.Namespace, names: Sequence[str], signed: Sequence[str] = ()) -> None:
    """Raise `UserError` for a flag whose number is not finite, negative (unless `signed`) or beyond all use."""
    for name in names:
        value, most = vars(args)[name], _MOST.get(name, _MOST_OTHERWISE)
        flag, shown = f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)[:24]
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{flag} must be a finite number, got {shown}")
        if value < 0 and name not in signed:
            raise UserError(f"{flag} must not be negative, got {shown}")
        if abs(value) > most:
            raise UserError(f"{flag} must be at most {most}, got {shown}")
        if name == "rate_hz" and 0 < value < 1 / most:
            raise UserError(f"{flag} must be 0 or at least {1 / most:g}, got {shown}")


def add_set_flag(parser: argparse.ArgumentParser) -> None:
    """`--set SECTION.NAME=VALUE` for every value that has no flag of its own."""
    parser.add_argument(
        "--set",
        dest="overrides",
        metavar="NODE.NAME=VALUE",
        action="append",
        default=[],
        help="any parameter of any node, e.g. --set controller.rate_hz=50 (names: vla params)",
    )


def overrides_from(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The `--set` flags as sections."""
    sections: dict[str, dict[str, Any]] = {}
    for text in args.overrides:
        name, equals, value = text.partition("=")
        section, dot, rest = name.partition(".")
        if not (equals and dot and rest):
            raise ConfigError(f"--set {text}: expected NODE.NAME=VALUE, for example controller.rate_hz=50")
        values = sections.setdefault(section, {})
        if rest in values:
            raise ConfigError(f"--set {name} is given twice; remove one of them, none is preferred")
        values[rest] = _parse(value, f"--set {name}")
    return sections


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-').replace('.', '-')}"


def _parsed(value: Any, hint: Any, flag: str) -> Any:
    if hint in (str, bool):
        return value
    if get_origin(hint) is tuple and not value.lstrip().startswith("["):
        return [item.strip() for item in value.split(",") if item.strip()]
    return _parse(value, flag)


def _parse(text: str, flag: str) -> Any:
    """The value as a robot or policy file would say it, bounds and refusals included."""
    try:
        return load_yaml(text, max_bytes=MAX_VALUE_CHARACTERS)
    except YamlError as error:
        raise ConfigError(f"{flag}: {str(error).removeprefix('line 1: ')}") from None


def _metavar(hint: Any) -> str:
    return {int: "N", float: "X", str: "TEXT"}.get(hint, "A,B")


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
