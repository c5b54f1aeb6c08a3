from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mobile_vla_cli.screen_text import plain


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
def test_no_text_fails_or_controls_the_terminal(text: str) -> None:
    assert all(character.isprintable() or character in "\n\t" for character in printed(text))
