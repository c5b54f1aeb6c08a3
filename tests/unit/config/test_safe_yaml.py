from __future__ import annotations

import contextlib
import math
import time
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from mobile_vla.config.safe_yaml import MAX_DEPTH, YamlError, check_bounds, dump_flow, load_yaml
from mobile_vla.errors import UserError


def refused(text: str) -> str:
    with pytest.raises(YamlError) as error:
        load_yaml(text)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("a: [1, 2.5, -3]\nb: {c: true}", {"a": [1, 2.5, -3], "b": {"c": True}}),
        ("a:\n- x\n- y", {"a": ["x", "y"]}),
        ("a: |\n  two\n  lines", {"a": "two\nlines"}),
        ("5e-2", 0.05),
        ("1e5", 1e5),
        ("1.0e-05", 1e-5),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("yes", "yes"),
        ("on", "on"),
        ("No", "No"),
        ("tRue", "tRue"),
        ("1:30", "1:30"),
        ("190:20:30.15", "190:20:30.15"),
        ("2024-13-45", "2024-13-45"),
        ("2024-01-02", "2024-01-02"),
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
        ("'010'", "010"),
        ("0", 0),
        ("-0.0", -0.0),
    ],
)
def test_scalars_mean_what_they_look_like(text: str, value: Any) -> None:
    found = load_yaml(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: 2\na: 3", 'line 3: "a" was given in line 1 already; keep one of the two'),
        ("x:\n  a: 1\n  a: 1", 'line 3: "a" was given in line 2 already'),
        ("{a: 1, 'a': 2}", 'line 1: "a" was given in line 1 already'),
        ("a: &x 1\nb: *x", "line 1: the anchor &x is not read"),
        ("a: *x", "line 1: the alias *x is not followed"),
        ("*x : 1", "the alias *x is not followed"),
        ("<<: {a: 1}", "line 1: the merge key << is not read"),
        ("a: !!python/object:os.system x", "line 1: the tag 'tag:yaml.org,2002:python/object:os.system' is not read"),
        ("! 5", "line 1: the tag '!' is not read"),
        ("a: 1\n---\nb: 2", "line 2: a second document begins here"),
        ("{[1]: 2}", "line 1: a key must be a name"),
        ("? {a: 1}\n: 2", "line 1: a key must be a name"),
        ("[" * 3000, f"line 1: more than {MAX_DEPTH} levels of nesting"),
        ("\n".join(f"{' ' * level}a:" for level in range(200)), f"more than {MAX_DEPTH} levels"),
        ("9" * 5000, "line 1: an integer of 5000 digits; at most 18 are read"),
        ("010", 'line 1: "010" is another number to other readers; write it in decimal, or in quotes'),
        ("0x1F", "is another number to other readers"),
        ("0o17", "is another number to other readers"),
        ("1_000", "is another number to other readers"),
        ("a: [1", "not valid YAML at line 1; correct it"),
        ("a: \x1b[31m", "not valid YAML: character U+001B at position 3 is not text"),
        (r'a: "\U00110000"', "not valid YAML at line 1; correct it"),
        (r'"\UFFFFFFFF": 1', "not valid YAML at line 1; correct it"),
        (r'a: "\ud800"', "not valid YAML at line 1; correct it"),
        (f"%YAML {'9' * 5000}.1\n---\na: 1", "not valid YAML at line 1; correct it"),
        ("a: " + "x" * 300_000, "the text is 300003 characters long, at most 262144 are read"),
    ],
)
def test_what_is_ambiguous_or_unbounded_is_refused_with_its_line(text: str, sentence: str) -> None:
    assert sentence in refused(text)


def test_an_expanding_alias_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    started = time.process_time()
    assert "the anchor &a0 is not read" in refused("\n".join(lines))
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize("filler", ["[", "{", "- ", "? ", "a: [", "'", '"\\', "!", "&a ", "#", "|\n", "a:\n "])
def test_repeated_structures_parse_in_bounded_time(filler: str) -> None:
    started = time.process_time()
    with contextlib.suppress(UserError):
        load_yaml((filler * 65536)[:65536], 65536)
    assert time.process_time() - started < 5.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x: " + "[" * 3000 + "]" * 3000, f"line 1: more than {MAX_DEPTH} levels of nesting"),
        ("x: " + "[" * 20_000, f"line 1: more than {MAX_DEPTH} levels of nesting"),
        (":\n" * 20_000, "not valid YAML at line"),
        ("- 1\n" * 12_000, "more than 10000 values and groups"),
        ("a: &x [1]\nb: *x", "line 2: an alias is not followed"),
        ("a: " + "x" * 70_000, "the text is 70003 characters long, at most 65536 are read"),
        (r'a: "\U00110000"', "not valid YAML at line 1"),
    ],
)
def test_files_for_other_parsers_are_bounded(text: str, sentence: str) -> None:
    started = time.process_time()
    with pytest.raises(YamlError, match=sentence):
        check_bounds(text, 65536, 10_000)
    assert time.process_time() - started < 2.0


TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=30),
    st.from_regex(r"[-+]?[0-9_.:eExob]{1,12}", fullmatch=True),
    st.sampled_from(["yes", "null", "~", "true", "1e5", "010", "1:30", "<<", "=", "2024-01-02", ".nan", "- a", "a: b"]),
)


@given(st.one_of(TEXTS, st.floats(allow_nan=False), st.integers(-(10**17), 10**17), st.booleans(), st.none()))
@example("\x85")
@example("a\u2028b")
def test_what_is_written_is_read_back_here_and_elsewhere(value: Any) -> None:
    for written in (value, [value, value]):
        text = f"key: {dump_flow(written)}"
        assert load_yaml(text) == {"key": written}
        assert yaml.safe_load(text) == {"key": written}


@given(st.text(max_size=200) | st.text("[]{}:,-?|>&*!%#'\"\\ \n\tab01.", max_size=200))
def test_any_text_is_a_value_or_a_sentence(text: str) -> None:
    with contextlib.suppress(YamlError):
        load_yaml(text)
