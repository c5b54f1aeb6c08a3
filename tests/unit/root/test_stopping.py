"""Termination signals as a flag."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from mobile_vla.stopping import StopSignals, ending_signals

# What a terminal, a shell, an operator or a service manager sends.
SENT_BY_PEOPLE = ("INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "ALRM", "ABRT", "TSTP", "PWR", "VTALRM", "PROF", "IO")


@pytest.fixture
def signals() -> Iterator[StopSignals]:
    before = {number: signal.getsignal(number) for number in ending_signals()}
    yield StopSignals()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("name", SENT_BY_PEOPLE)
def test_signals_set_a_flag(signals: StopSignals, name: str) -> None:
    number = signal.Signals[f"SIG{name}"]
    signals.listen()
    assert not signals.asked()
    signal.raise_signal(number)
    signal.raise_signal(number)
    assert signals.asked()


def test_every_real_time_signal_is_heard() -> None:
    assert set(range(signal.SIGRTMIN, signal.SIGRTMAX + 1)) <= ending_signals()


def test_fault_and_child_signals_are_not_handled() -> None:
    assert not {signal.SIGSEGV, signal.SIGBUS, signal.SIGCHLD, signal.SIGCONT, signal.SIGKILL} & ending_signals()


def test_sighup_ignored_by_nohup_stays_ignored(signals: StopSignals) -> None:
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    signals.listen()
    signal.raise_signal(signal.SIGHUP)
    assert not signals.asked()
    signal.raise_signal(signal.SIGINT)
    assert signals.asked()
