from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mobile_vla_cli.screen_text import MAX_MESSAGE, message, plain


def printed(text: str) -> str:
    console = Console(width=10_000, highlight=False, emoji=False)
    with console.capture() as capture:
        console.print(f"[bold]{plain(text)}[/]", soft_wrap=True)
    return capture.get()


@pytest.mark.parametrize("text", ["[red]x[/]", "[/]", "a[link=http://x]b", "\\[red]", "back\\", "[bold", "x]"])
def test_brackets_are_shown_as_they_are(text: str) -> None:
    assert printed(text) == f"{text}\n"


def test_control_characters_are_written_out() -> None:
    assert plain("a\x1b[31m\x07\u202e") == "a\\x1b[31m\\x07\\u202e".replace("[31m", "[31m")


@given(st.text(max_size=50))
def test_any_text_is_printable(text: str) -> None:
    assert all(character.isprintable() or character in "\n\t" for character in printed(text))


def test_a_message_is_shortened_to_one_line() -> None:
    assert message("unknown name 'a\nb\t\x1b\u2028c'") == "unknown name 'a\\nb\\t\\x1b\\u2028c'"


def test_a_long_message_keeps_its_begin_and_its_remedy() -> None:
    shown = message("the anchor " + "x" * 60_000 + " is not read; write the value out")
    assert shown.startswith("the anchor xxx")
    assert shown.endswith(" is not read; write the value out")
    assert len(shown) < MAX_MESSAGE + 100
