"""Start and end of one ROS process: environment, signals, spinning, shutdown hook, exit code.

rclpy's own signal handling shuts the context down at once, and with it goes the chance to publish a last zero.
Here a signal only sets a flag; the node publishes its last messages on a living context, and then everything ends.
No callback ends a process by failing: see `mobile_vla_ros.contained`.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import NoReturn, Protocol, TypeVar, runtime_checkable

from mobile_vla.errors import UserError
from mobile_vla.stopping import StopSignals
from mobile_vla_ros.environment import REPORTED_AS, log_arguments, prepare, without_shared_memory

prepare()

import rclpy
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from mobile_vla_ros.contained import ContainedExecutor
from mobile_vla_ros.failures import failures_of

SPIN_SLICE_S = 0.1
LOOK_EVERY_S = 0.05
MEANWHILE_S = 1.0

T = TypeVar("T")


class Interrupted(BaseException):
    """A signal ended the process while `run_interruptible` waited for work that may be left in the middle."""


class NodeFailed(BaseException):
    """Raised in a callback by a node that cannot go on: its message is printed and the process ends.

    Code 2 means that a person must correct something, 1 that starting the node again may help.
    """

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


_signals = StopSignals()


def run_interruptible(work: Callable[[], T], meanwhile: Callable[[], None] | None = None) -> T:
    """Do long work that may be left in the middle (loading a policy) in a thread: a signal does not wait for it.

    `meanwhile` is called by this thread, at once and then once a second: a node that waits here must still say so.
    """
    outcome: Future[T] = Future()

    def do() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the work was asked for
            outcome.set_exception(error)

    threading.Thread(target=do, name="interruptible", daemon=True).start()
    due_s = time.monotonic()
    while not outcome.done():
        if _signals.asked():
            raise Interrupted
        if meanwhile is not None and time.monotonic() >= due_s:
            due_s += MEANWHILE_S
            meanwhile()
        wait([outcome], timeout=LOOK_EVERY_S)
    return outcome.result()


@runtime_checkable
class HasShutdownHook(Protocol):
    """A node that must still publish something before its process ends."""

    def before_shutdown(self) -> None: ...


def run(
    make_node: Callable[[], Node],
    make_executor: Callable[[], ContainedExecutor] = ContainedExecutor,
    args: Sequence[str] | None = None,
    *,
    shared_memory: bool = True,
) -> int:
    """Run one node until a signal asks it to end; 0 after a clean end, 2 when it could not start.

    `shared_memory=False` is for a node that must be heard in time even when another process hangs while it writes.
    """
    if not shared_memory:
        without_shared_memory()
    _signals.listen()
    console_only = log_arguments(os.environ)
    if console_only:
        _print_error("the log folder cannot be written, logging to the console only; set ROS_LOG_DIR")
    arguments = [*(sys.argv if args is None else args), *console_only]
    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # noqa: BLE001 - there are only the arguments to blame, and no common class for it
        _print_error(f"the ROS arguments cannot be used, correct them: {_first_line(error)}")
        return 2
    try:
        node = make_node()
    except (UserError, ParameterException, NameValidationException) as error:
        _print_error(_first_line(error))
        rclpy.try_shutdown()
        return 2
    executor = make_executor()
    executor.add_node(node)
    left_work = False
    try:
        while not _signals.asked() and rclpy.ok():
            executor.spin_once(timeout_sec=SPIN_SLICE_S)
    except Interrupted:
        left_work = True
    except NodeFailed as failure:
        _print_error(str(failure))
        return failure.code
    finally:
        if isinstance(node, HasShutdownHook):
            with failures_of(node).contained("before shutdown"):
                node.before_shutdown()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    if left_work:
        _exit_now()
    return 0


def _print_error(message: str) -> None:
    command = os.environ.get(REPORTED_AS, "")
    sys.stderr.write(f"{command}: {message}\n" if command else f"{message}\n")


def _first_line(error: Exception) -> str:
    """Without the places in rcl's sources that its messages end with."""
    return str(error).strip().splitlines()[0].partition(", at /")[0]


def _exit_now() -> NoReturn:
    """End now: the thread that still works would be torn out of C code by the interpreter's own end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
