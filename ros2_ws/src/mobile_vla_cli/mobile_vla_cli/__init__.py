"""`vla`: one file per command, nothing but parsing and printing."""

from mobile_vla_cli.main import main

__all__ = ["main"]
