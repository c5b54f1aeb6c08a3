"""YAML as a settings or card file needs it: small, flat, unambiguous.

`yaml.safe_load` lets the last of two equal keys win, follows aliases and merge keys, recurses as deep as the text,
turns digits into integers of any length and `on`, `010`, `1:30` and dates into what YAML 1.1 says they are. Here the
parser's events are read one by one, so each bound is checked before anything is built.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Hashable, Iterator
from typing import Any

import yaml
from yaml import events

from mobile_vla.errors import UserError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
MAX_DIGITS = 18
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = {".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")}
# numbers to some readers of YAML, texts or other numbers to others
_AMBIGUOUS = re.compile(r"[-+]?(0[0-9_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+|[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?)")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}


class YamlError(UserError):
    """A text that is not YAML, or uses a part of YAML that is not read here. The sentence opens with `line N`."""


def load_yaml(text: str, max_bytes: int = MAX_BYTES) -> Any:
    """Mappings, lists and scalars. Refused, with the line: duplicate keys, aliases, tags, merge keys, a second
    document, deep nesting, long texts and long integers. Dates, `yes`, `on` and `1:30` stay texts.
    """
    if len(text) > max_bytes:
        raise YamlError(f"the text is {len(text)} characters long, at most {max_bytes} are read; name another file")
    with _as_yaml_error():
        return _document(yaml.parse(text, Loader=_Loader))


def check_bounds(text: str, max_bytes: int, max_events: int) -> None:
    """Raise `YamlError` for a text that another library must not be given: too long, too deep, too many values, or
    with aliases, which may expand without end. Reads as fast as libyaml does.
    """
    if len(text) > max_bytes:
        raise YamlError(f"the text is {len(text)} characters long, at most {max_bytes} are read")
    depth = 0
    with _as_yaml_error():
        for count, event in enumerate(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", _Loader))):
            if isinstance(event, events.AliasEvent):
                raise _refusal(event, "an alias is not followed")
            depth += isinstance(event, events.CollectionStartEvent) - isinstance(event, events.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise _refusal(event, f"more than {MAX_DEPTH} levels of nesting")
            if count > max_events:
                raise _refusal(event, f"more than {max_events} values and groups")


@contextlib.contextmanager
def _as_yaml_error() -> Iterator[None]:
    """What the parser complains of, as `YamlError`."""
    try:
        yield
    except yaml.reader.ReaderError as error:
        code = ord(error.character) if isinstance(error.character, str) else error.character
        raise YamlError(
            f"not valid YAML: character U+{code:04X} at position {error.position} is not text; remove it"
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise YamlError(f"not valid YAML{line}; correct it") from None


def dump_flow(value: Any) -> str:
    """A scalar or a list on one line, so that `load_yaml` and YAML 1.1 readers read the same value back."""
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=float("inf"), allow_unicode=True)
    return text.removesuffix("...\n").strip()


class _Loader(yaml.SafeLoader):
    """Refuses what PyYAML's scanner turns into characters and numbers that Python does not have."""

    def scan_flow_scalar_non_spaces(self, double: bool, start_mark: Any) -> list[str]:
        with _scanning("an escape that is no character", start_mark):
            chunks: list[str] = super().scan_flow_scalar_non_spaces(double, start_mark)
            "".join(chunks).encode()  # half of a surrogate pair can be written nowhere
        return chunks

    def scan_yaml_directive_number(self, start_mark: Any) -> int:
        with _scanning("a version that is no number", start_mark):
            return int(super().scan_yaml_directive_number(start_mark))


@contextlib.contextmanager
def _scanning(problem: str, mark: Any) -> Iterator[None]:
    try:
        yield
    except (ValueError, OverflowError):
        raise yaml.scanner.ScannerError(None, None, problem, mark) from None


class _Dumper(yaml.SafeDumper):
    """Quotes texts that `load_yaml` would read as something else, such as `1e5`."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    quoted = not text.isprintable() or _AMBIGUOUS.fullmatch(text) or _plain_value(text) != text
    style = '"' if quoted else None  # line breaks of Unicode outside double quotes are read as others
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _document(stream: Iterator[events.Event]) -> Any:
    result: Any = None
    documents = 0
    for event in stream:
        if isinstance(event, events.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _refusal(event, "a second document begins here; keep one per file")
            result = _value(next(stream), stream, 0)
    return result


def _value(event: events.Event, stream: Iterator[events.Event], depth: int) -> Any:
    if isinstance(event, events.AliasEvent):
        raise _refusal(event, f"the alias *{event.anchor} is not followed; write the value out")
    assert isinstance(event, events.NodeEvent)
    if event.anchor is not None:
        raise _refusal(event, f"the anchor &{event.anchor} is not read; write the value out where it is needed")
    if depth > MAX_DEPTH:
        raise _refusal(event, f"more than {MAX_DEPTH} levels of nesting; write it flat")
    tag = getattr(event, "tag", None)
    if tag is not None:
        raise _refusal(event, f"the tag {tag!r} is not read; write the plain value")
    if isinstance(event, events.ScalarEvent):
        return _scalar(event)
    if isinstance(event, events.SequenceStartEvent):
        return list(_items(stream, depth + 1))
    return _mapping(stream, depth + 1)


def _items(stream: Iterator[events.Event], depth: int) -> Iterator[Any]:
    while not isinstance(event := next(stream), events.SequenceEndEvent):
        yield _value(event, stream, depth)


def _mapping(stream: Iterator[events.Event], depth: int) -> dict[Hashable, Any]:
    result: dict[Hashable, Any] = {}
    lines: dict[Hashable, int] = {}
    while not isinstance(event := next(stream), events.MappingEndEvent):
        if not isinstance(event, (events.ScalarEvent, events.AliasEvent)):
            raise _refusal(event, "a key must be a name, not a group; write `name: value`")
        key = _value(event, stream, depth)
        if key == "<<":
            raise _refusal(event, "the merge key << is not read; write the values out")
        if key in lines:
            raise _refusal(
                event, f"{_shown(key)} was given in line {lines[key]} already; keep one of the two, none is preferred"
            )
        lines[key] = _line(event)
        result[key] = _value(next(stream), stream, depth)
    return result


def _scalar(event: events.ScalarEvent) -> Any:
    text: str = event.value
    if not event.implicit[0]:
        return text
    if _AMBIGUOUS.fullmatch(text):
        raise _refusal(
            event, f"{_shown(text)} is another number to other readers; write it in decimal, or in quotes for a text"
        )
    if _INT.fullmatch(text) and len(text.lstrip("+-")) > MAX_DIGITS:
        raise _refusal(event, f"an integer of {len(text.lstrip('+-'))} digits; at most {MAX_DIGITS} are read")
    return _plain_value(text)


def _plain_value(text: str) -> Any:
    """What an unquoted scalar means; the same as in YAML 1.2's core schema but for what `_AMBIGUOUS` matches."""
    lower = text.lower()
    if lower in _WORDS and text in {lower, text.upper(), text.capitalize()}:
        return _WORDS[lower]
    if lower in _SPECIAL:
        return _SPECIAL[lower]
    if _INT.fullmatch(text) and len(text) <= MAX_DIGITS + 1:
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _shown(value: Hashable) -> str:
    text = json.dumps(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _line(event: events.Event) -> int:
    assert event.start_mark is not None
    return int(event.start_mark.line) + 1


def _refusal(event: events.Event, reason: str) -> YamlError:
    return YamlError(f"line {_line(event)}: {reason}")
