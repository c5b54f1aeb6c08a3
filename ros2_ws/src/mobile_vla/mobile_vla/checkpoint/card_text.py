"""The card as YAML: parsed strictly (unknown, missing and wrong fields are errors), written with its own comments."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mobile_vla.checkpoint.card import Card, CardError, Rule
from mobile_vla.config.safe_yaml import YamlError, dump_flow, load_yaml
from mobile_vla.errors import nearest
from mobile_vla.files import FileError, read_text

T = TypeVar("T")

# the largest card seen has 4 KB; a probe of 1,000 frames would add 40
MAX_BYTES = 64 * 1024


class _Field(NamedTuple):
    """One field of a card class: its type without the annotation, and its rule."""

    name: str
    type: Any
    rule: Rule
    required: bool

    @property
    def nested(self) -> Any:
        """The card class inside `X` or `X | None`, else None."""
        return next((kind for kind in (self.type, *typing.get_args(self.type)) if dataclasses.is_dataclass(kind)), None)

    @property
    def remedy(self) -> str:
        """What belongs into the field, in words."""
        choices = self.rule.choices
        return f"one of {', '.join(choices)} ({self.rule.meaning})" if choices else self.rule.meaning

    @property
    def correction(self) -> str:
        """What to do about a wrong value."""
        return f"write {self.remedy}" if self.rule.choices else f"correct it (meaning: {self.rule.meaning})"


def load_card(path: Path) -> Card:
    """Read and validate a card file."""
    try:
        text = read_text(path, MAX_BYTES)
    except FileError as error:
        what = str(error).partition("; ")[0]
        raise CardError(f"card {what}; `vla checkpoint card new CHECKPOINT` writes one to fill in") from None
    return parse_card(text, f"card {path}")


def parse_card(text: str, where: str) -> Card:
    """A card from YAML text; `where` opens every error sentence."""
    return _build(Card, _yaml(text, where), where, "")


def missing_fields(text: str, where: str) -> list[str]:
    """Required fields that a card text lacks, dotted; raises when it is not YAML."""
    values = _yaml(text, where)
    return list(_missing(Card, values if isinstance(values, Mapping) else {}, ""))


def all_required_fields() -> list[str]:
    """Every required field, dotted, as an empty card would miss it."""
    return list(_missing(Card, {}, ""))


def dump_card(card: Card) -> str:
    """The card as YAML text, every field explained by a comment."""
    return "\n".join(_lines(card, 0)) + "\n"


def embedded(card: Card) -> str:
    """The card without the file's own hash: the form stored inside a converted safetensors file."""
    return dump_card(dataclasses.replace(card, weights_sha256=""))


def template(known: Mapping[str, Any]) -> str:
    """A card to fill in: known values written, every other required field as a commented line with its meaning."""
    return "\n".join(_template(Card, known, 0)) + "\n"


def _yaml(text: str, where: str) -> Any:
    try:
        return load_yaml(text, MAX_BYTES)
    except YamlError as error:
        raise CardError(f"{where}: {error}") from None


def _fields(cls: Any) -> Iterator[_Field]:
    hints = typing.get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        kind, rule = typing.get_args(hints[field.name])
        yield _Field(field.name, kind, rule, field.default is dataclasses.MISSING)


def _build(cls: type[T], values: Any, where: str, prefix: str) -> T:
    if not isinstance(values, Mapping):
        what = prefix.rstrip(".") or "the card"
        raise CardError(
            f"{where}: {what} must be a group of `name: value` lines, got {_short(values)}; indent them below it"
        )
    known = {field.name: field for field in _fields(cls)}
    for key in values:
        if key not in known:
            raise CardError(
                f"{where}: unknown field {_short(f'{prefix}{key}')} with value {_short(values[key])}; "
                f"{nearest(str(key), known)}"
            )
    if missing := list(_missing(cls, values, prefix)):
        many = "s" if len(missing) > 1 else ""
        raise CardError(
            f"{where}: missing field{many} {', '.join(missing)}; write {missing[0]}: "
            f"{_meaning(cls, missing[0][len(prefix) :])}"
        )
    arguments = {key: _value(f"{prefix}{key}", value, known[key], where) for key, value in values.items()}
    try:
        return cls(**arguments)
    except CardError as error:
        raise CardError(f"{where}: {prefix}{error}") from None


def _missing(cls: Any, values: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for field in _fields(cls):
        name = f"{prefix}{field.name}"
        if field.name in values:
            inner = values[field.name]
            if field.nested is not None and (isinstance(inner, Mapping) or (inner is None and field.required)):
                yield from _missing(field.nested, inner or {}, f"{name}.")
        elif field.required:
            yield from _missing(field.nested, {}, f"{name}.") if field.nested is not None else (name,)


def _meaning(cls: Any, dotted: str) -> str:
    head, _, rest = dotted.partition(".")
    field = next(field for field in _fields(cls) if field.name == head)
    return _meaning(field.nested, rest) if rest else field.remedy


def _value(name: str, value: Any, field: _Field, where: str) -> Any:
    if field.nested is not None:
        optional = type(None) in typing.get_args(field.type)
        return None if value is None and optional else _build(field.nested, value, where, f"{name}.")
    if typing.get_origin(field.type) is tuple:
        if not isinstance(value, (list, tuple)):
            raise CardError(f"{where}: {name} must be a list, got {_short(value)}; {field.correction}")
        item = field._replace(type=typing.get_args(field.type)[0])
        return tuple(_scalar(f"{name}[{index}]", element, item, where) for index, element in enumerate(value))
    return _scalar(name, value, field, where)


def _scalar(name: str, value: Any, field: _Field, where: str) -> Any:
    if field.type is float and type(value) is int:
        value = float(value)
    if type(value) is not field.type:
        kind = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[field.type]
        raise CardError(f"{where}: {name} must be {kind}, got {_short(value)}; {field.correction}")
    if field.rule.choices and value not in field.rule.choices:
        raise CardError(f"{where}: {name} must not be {_short(value)}; {field.correction}")
    if isinstance(value, str) and not value.replace("\n", "").replace("\t", "").isprintable():
        raise CardError(f"{where}: {name} contains control characters, got {_short(value)}; {field.correction}")
    if isinstance(value, float) and not math.isfinite(value):
        raise CardError(f"{where}: {name} must be a finite number, got {value}; {field.correction}")
    if field.rule.ge is not None and value < field.rule.ge:
        raise CardError(f"{where}: {name} must be >= {field.rule.ge:g}, got {value:g}; {field.correction}")
    if field.rule.le is not None and value > field.rule.le:
        raise CardError(f"{where}: {name} must be <= {field.rule.le:g}, got {value:g}; {field.correction}")
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _lines(instance: Any, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for field in _fields(type(instance)):
        value = getattr(instance, field.name)
        if not field.required and value in (None, "", False):
            continue
        yield f"{indent}# {field.remedy}"
        if dataclasses.is_dataclass(value):
            yield f"{indent}{field.name}:"
            yield from _lines(value, depth + 1)
        else:
            yield f"{indent}{field.name}: {_flow(value)}"


def _template(cls: Any, known: Mapping[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for field in _fields(cls):
        if not field.required and field.name not in known:
            continue
        if field.nested is not None:
            yield f"{indent}{field.name}:  # {field.remedy}"
            yield from _template(field.nested, known.get(field.name, {}), depth + 1)
        elif field.name in known:
            yield f"{indent}{field.name}: {_flow(known[field.name])}  # {field.remedy}"
        else:
            yield f"{indent}# {field.name}:   <- {field.remedy}"


def _flow(value: Any) -> str:
    return dump_flow(list(value) if isinstance(value, tuple) else value)
