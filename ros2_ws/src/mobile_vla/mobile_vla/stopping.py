"""Termination signals as a flag that a loop polls, for processes with an orderly shutdown."""

from __future__ import annotations

import signal

ALWAYS = (signal.SIGINT, signal.SIGTERM)
"""How launchers ask; also heard where a shell started this process in the background and had them ignored."""
_NEVER = {"SIGKILL", "SIGSTOP"}
_FAULTS = {"SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS"}
_HARMLESS = {"SIGCHLD", "SIGCLD", "SIGCONT", "SIGURG", "SIGWINCH", "SIGPIPE", "SIGXFSZ"}


def ending_signals() -> frozenset[int]:
    """Every signal that would end or suspend this process and can be caught.

    SIGHUP of a terminal that is lost and SIGQUIT are among them, and SIGTSTP: whoever is suspended with something in
    motion must stop it first, and nobody can tell whether it will ever go on. Left out are a process's own faults,
    where Python runs no handler, and what Python ignores anyway (SIGPIPE, SIGXFSZ become exceptions).
    """
    left_out = {getattr(signal, name, None) for name in _NEVER | _FAULTS | _HARMLESS}
    return frozenset(int(number) for number in signal.valid_signals() if number not in left_out)


class StopSignals:
    """Once it listens, a signal interrupts nothing: `asked` says yes after the first one.

    The handler does no more than that. An exception out of it can surface inside somebody's C++ (the import of torch
    calls back into Python) and abort the process there; an Event takes a lock, and a second signal can arrive while
    the first one's handler holds it. What was ignored from the start (SIGHUP under nohup) stays ignored.
    """

    def __init__(self) -> None:
        self._received = False

    def listen(self) -> None:
        for number in ending_signals():
            if number in ALWAYS or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._note)

    def asked(self) -> bool:
        return self._received

    def _note(self, *_: object) -> None:
        self._received = True
