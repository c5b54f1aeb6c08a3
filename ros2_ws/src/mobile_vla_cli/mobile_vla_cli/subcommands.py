"""A command is a module with HELP, EPILOG, `add_arguments` and, unless it has commands of its own, `run`."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping
from typing import Any, NoReturn

from rich_argparse import RawDescriptionRichHelpFormatter

from mobile_vla.errors import UserError


class Parser(argparse.ArgumentParser):
    """A wrong command line is a mistake like any other: one sentence. Its commands inherit this."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")


class _PlainText(RawDescriptionRichHelpFormatter):
    """Examples may contain [brackets]: nothing in a text is markup."""

    text_markup = False
    help_markup = False


def add_module_command(commands: Any, name: str, module_name: str, help_line: str) -> None:
    """Give `commands` (what `add_subparsers` returned) the command that a module of this package describes."""
    module = importlib.import_module(f"mobile_vla_cli.{module_name}")
    command = commands.add_parser(
        name,
        help=help_line,
        description=module.HELP,
        epilog=module.EPILOG,
        formatter_class=_PlainText,
    )
    module.add_arguments(command)
    if hasattr(module, "run"):
        command.set_defaults(run=module.run)


def add_module_commands(parser: argparse.ArgumentParser, prefix: str, helps: Mapping[str, str]) -> None:
    """One subcommand per entry of `helps`, each in the module `prefix` + its name."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="subcommand", required=True)
    for name, help_line in helps.items():
        add_module_command(commands, name, f"{prefix}{name}", help_line)
