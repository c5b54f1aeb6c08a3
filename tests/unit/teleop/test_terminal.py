"""A real pseudo-terminal: keys come at once and without echo, and everything is put back."""

from __future__ import annotations

import os
import pty
import termios
import threading
from collections.abc import Iterator

import pytest

from mobile_vla.errors import UserError
from mobile_vla.teleop.terminal import Terminal

LFLAG = 3


@pytest.fixture
def pair() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def test_keys_come_at_once_and_the_mode_is_put_back(pair: tuple[int, int]) -> None:
    ours, theirs = pair
    before = termios.tcgetattr(theirs)
    assert before[LFLAG] & termios.ECHO and before[LFLAG] & termios.ICANON
    terminal = Terminal(theirs)
    changed = termios.tcgetattr(theirs)
    assert not changed[LFLAG] & (termios.ECHO | termios.ICANON)
    assert changed[LFLAG] & termios.ISIG, "Ctrl-C must work"
    assert changed[6][termios.VSUSP] == b"\x00", "Ctrl-Z must not"
    assert before[0] & termios.IXON and not changed[0] & termios.IXON, "Ctrl-S must not either"
    assert os.get_blocking(theirs), "the shell's own description stays blocking"
    received, arrived = [], threading.Event()
    terminal.start(lambda data: (received.append(data), arrived.set()))
    os.write(ours, b"w")
    assert arrived.wait(2)
    assert received == [b"w"]
    terminal.restore()
    terminal.restore()
    assert termios.tcgetattr(theirs) == before


def test_a_closed_terminal_reads_as_empty() -> None:
    ours, theirs = pty.openpty()
    terminal = Terminal(theirs)
    gone = threading.Event()
    terminal.start(lambda data: None if data else gone.set())
    os.close(ours)
    assert gone.wait(2)
    terminal.show("nobody sees this")
    terminal.restore()
    os.close(theirs)


def test_a_stuck_terminal_does_not_block(pair: tuple[int, int]) -> None:
    terminal = Terminal(pair[1])
    for _ in range(2000):  # nobody reads: the buffer of the terminal is full after a few kilobytes
        terminal.show("x" * 70)
    terminal.restore()


def test_the_live_line_fits_the_window(pair: tuple[int, int]) -> None:
    ours, theirs = pair
    termios.tcsetwinsize(theirs, (24, 40)) if hasattr(termios, "tcsetwinsize") else pytest.skip("Python 3.10")
    terminal = Terminal(theirs)
    terminal.show("y" * 100)
    assert os.read(ours, 1000).decode().count("y") == 39
    terminal.restore()


def test_a_missing_terminal_is_an_error() -> None:
    reading, writing = os.pipe()
    with pytest.raises(UserError, match="needs a terminal"):
        Terminal(reading)
    os.close(reading)
    os.close(writing)
