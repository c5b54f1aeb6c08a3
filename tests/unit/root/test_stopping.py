"""Signals as a question: none interrupts, and the first one is enough."""

from __future__ import annotations

import signal

import pytest

from mobile_vla.stopping import StopSignals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_only_answer_the_question(number: signal.Signals) -> None:
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        signals = StopSignals()
        signals.listen()
        assert not signals.asked()
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert signals.asked()
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
