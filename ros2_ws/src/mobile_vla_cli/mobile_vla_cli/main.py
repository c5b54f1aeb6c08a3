"""The command table, the parser, and the mapping of errors to exit codes."""

from __future__ import annotations

import argparse
import errno
import importlib.metadata
import os
import platform
import signal
import sys
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich_argparse import RawDescriptionRichHelpFormatter

from mobile_vla.errors import UserError, nearest
from mobile_vla.files import path_error_message, refuse_path
from mobile_vla_cli.missing import install_sentence
from mobile_vla_cli.outputs import check_outputs
from mobile_vla_cli.screen_text import message
from mobile_vla_cli.subcommands import Parser, add_module_command

# One line per command: its module under mobile_vla_cli, loaded only when the command is asked for.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "the whole graph with the simulated robot: bag, video, report"),
    "up": ("up", "start the graph of a robot as processes (where ros2 launch is missing)"),
    "teleop": ("teleop", "drive with the keyboard of this terminal"),
    "doctor": ("doctor", "what works on this machine"),
    "checkpoint": ("checkpoint", "inspect, verify, convert, compare and synthesise checkpoints"),
    "record": ("record", "record the graph into a bag"),
    "replay": ("replay", "publish a bag into the graph again"),
    "eval": ("eval", "replay bags through a policy and report how well it agrees"),
    "dataset": ("dataset", "turn recordings into training data"),
    "train": ("train", "fit a policy's head on recordings, or train the small policy"),
    "bench": ("bench", "measure: graph, load, eval, estop"),
    "sim": ("sim", "the simulated robot: closed-loop benchmark, robustness, traces, recordings"),
    "faults": ("faults", "the fault battery against the real command path"),
    "params": ("params", "every parameter of every node, as text or as the reference page"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and turn mistakes into one sentence on stderr and exit code 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if argv is None:  # this is the process's own command, not a call from another program
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _leave)
    try:
        args = _parser(arguments).parse_args(arguments)
        if not hasattr(args, "run"):
            _parser([]).print_help()
            return 2
        for path in _paths(args):
            refuse_path(path)
        check_outputs(args)
        return int(args.run(args))
    except UserError as error:
        _say(str(error))
        return 2
    except ModuleNotFoundError as error:
        sentence = install_sentence(error.name) if error.name else None
        if sentence is None:
            raise
        _say(sentence)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if _terminal_is_lost():
            return 128 + signal.SIGHUP
        if error.filename is None:  # no file of the user's: a defect, which is to be seen whole
            raise
        _say(path_error_message(error))
        return 2
    except KeyboardInterrupt:
        Console(stderr=True).print("[yellow]stopped[/]")
        return 130


def _paths(args: argparse.Namespace) -> Iterator[Path]:
    """Every path on the command line."""
    for value in vars(args).values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Path):
                yield item


class _Version(argparse.Action):
    """Looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        from mobile_vla.metrics import commit

        print(f"vla {importlib.metadata.version('mobile_vla')}, commit {commit()}, Python {platform.python_version()}")
        parser.exit()


def _say(text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(f"[bold red]vla:[/] {message(text)}", highlight=False)


def _leave(number: int, _frame: object) -> None:
    """SIGTERM, SIGHUP and SIGQUIT end a command as Ctrl-C does: through every clean-up on the way out."""
    raise SystemExit(128 + number)


def _terminal_is_lost() -> bool:
    """Whether the other end of the terminal that errors go to was closed: nothing can be written to it any more."""
    try:
        termios.tcgetattr(2)
    except termios.error as error:
        return bool(error.args[0] == errno.EIO)
    return False


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = Parser(
        prog="vla",
        description="Let a vision-language-action policy drive a mobile robot.",
        epilog="vla demo --seconds 20\nvla up --robot sim --instruction 'go to the red cube'",
        formatter_class=RawDescriptionRichHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    wanted = next((argument for argument in arguments if not argument.startswith("-")), None)
    if wanted is not None and wanted not in COMMANDS:
        raise UserError(f"unknown command '{wanted}'; {nearest(wanted, COMMANDS)}")
    for name, (module_name, help_line) in COMMANDS.items():
        if name == wanted:
            add_module_command(commands, name, module_name, help_line)
        else:
            commands.add_parser(name, help=help_line, add_help=False)
    return parser
