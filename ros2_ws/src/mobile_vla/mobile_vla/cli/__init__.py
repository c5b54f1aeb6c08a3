"""`vla`: one file per command, nothing but parsing and printing."""

from mobile_vla.cli.main import main

__all__ = ["main"]
