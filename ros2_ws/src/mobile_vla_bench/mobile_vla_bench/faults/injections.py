"""What faults are made of: small functions that break something in a rig, or restore it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from mobile_vla_bench.faults.rig import START_TIMEOUT_S, Rig

Injection = Callable[[Rig], int]
Recovery = Callable[[Rig], None]
NEUTRAL_SEEN_S = 5.0


def kill(role: str) -> Injection:
    """SIGKILL a stand-in."""
    return lambda rig: rig.actors[role].kill()


def pause(role: str) -> Injection:
    """SIGSTOP a stand-in."""
    return lambda rig: rig.actors[role].pause()


def tell(role: str, line: str) -> Callable[[Rig], int]:
    """Have a stand-in behave in another way; as a repair, its result is not used."""
    return lambda rig: rig.tell(role, line)


def restart(role: str, neutral: bool = False) -> Recovery:
    """Start a killed stand-in again, and let it begin; a person shows neutral first."""

    def recover(rig: Rig) -> None:
        actor = rig.enter(role)
        rig.until(lambda: actor.replies, START_TIMEOUT_S, f"the start of {role}")
        if neutral:
            show_neutral(role)(rig)

    return recover


def resume(role: str, neutral: bool = False) -> Recovery:
    """SIGCONT; a person shows neutral first."""

    def recover(rig: Rig) -> None:
        rig.actors[role].resume()
        if neutral:
            show_neutral(role)(rig)

    return recover


def show_neutral(role: str) -> Recovery:
    """The person lets the stick go, and the controller sees it; a released pad may already have given back by then."""
    line, seen = ("released 0 0", {"teleop", "autonomy"}) if role == "joy" else ("ok 0 0", {"teleop"})

    def recover(rig: Rig) -> None:
        since_ns = rig.tell(role, line)
        rig.until(lambda: rig.reported(since_ns) & seen, NEUTRAL_SEEN_S, f"a neutral stick from {role}")

    return recover


def kill_node(name: str) -> Injection:
    """SIGKILL a node."""
    return lambda rig: rig.kill(name)


def signal_node(name: str, number: signal.Signals) -> Injection:
    """Send a signal to a node; the steady time just before."""

    def inject(rig: Rig) -> int:
        injected_ns = time.monotonic_ns()
        rig.processes[name].send(number)
        return injected_ns

    return inject


def launch(name: str) -> Injection:
    """Start a node again."""
    return lambda rig: rig.launch(name).pid
