"""Checks of output paths: never an input file, a device, a pipe or a folder; each file once.

A flag that names a file to write has the type `OutputFile`; every other path on the command line counts as read.
`main` checks them all before the command runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path, PosixPath

from mobile_vla.errors import UserError
from mobile_vla.files import check_place

_RECORDING = (".mcap", ".db3", ".bag", ".zstd", ".yaml")
"""Endings of the files that are read from a folder that is named as input."""


class OutputFile(PosixPath):
    """A file that a command writes; its folder has to exist."""


class OutputInNewFolder(OutputFile):
    """An output whose folder is made when it does not exist."""


def output_or_screen(text: str) -> OutputFile | str:
    """A file, or `-` for standard output."""
    return text if text == "-" else OutputFile(text)


def check_outputs(
    args: argparse.Namespace, also_read: Iterable[Path] = (), also_written: Iterable[OutputFile] = ()
) -> None:
    """Refuse an output that is no place for a file, an input, or another output. `also_read`, `also_written`: what no
    flag names as a path.
    """
    outputs = [*_paths(args, written=True), *also_written]
    inputs = [file for path in (*_paths(args, written=False), *also_read) for file in _files_of(path)]
    for place, output in enumerate(outputs):
        check_place(output)
        if not isinstance(output, OutputInNewFolder) and not (folder := output.resolve().parent).is_dir():
            raise UserError(f"{output} cannot be written: there is no folder {folder}; make it first")
        if any(_same(output, other) for other in outputs[:place]):
            raise UserError(f"{output} is named for two outputs, and one would be lost; name two files")
        if any(_same(output, file) for file in inputs):
            raise UserError(f"{output} is read by this command and would be overwritten; name another file")


def checkpoint_files(checkpoint: Path, card: Path | None = None) -> list[Path]:
    """What is read with a checkpoint: its card, its shards, its tokenizers."""
    from mobile_vla.checkpoint.card import card_path
    from mobile_vla.checkpoint.card_text import load_card

    card = card or card_path(checkpoint)
    files = [checkpoint, card]
    if checkpoint.name.endswith(".json"):
        files += checkpoint.parent.glob("*.safetensors")
    if card.is_file():
        tokenizers = load_card(card).tokenizers
        files += [file for name in (tokenizers.kosmos, tokenizers.clip) for file in (card.parent / name).glob("*")]
    return files


def _paths(args: argparse.Namespace, *, written: bool) -> Iterator[Path]:
    for value in vars(args).values():
        for path in value if isinstance(value, list) else [value]:
            if isinstance(path, Path) and isinstance(path, OutputFile) is written:
                yield path


def _files_of(path: Path) -> list[Path]:
    try:
        inside = sorted(path.iterdir()) if path.is_dir() else []
    except OSError:  # the command says what is wrong with its input
        inside = []
    return [path, *(file for file in inside if file.suffix in _RECORDING)]


def _same(one: Path, other: Path) -> bool:
    try:
        return one.resolve() == other.resolve() or one.samefile(other)
    except (OSError, RuntimeError):  # one of them does not exist, or cannot
        return False
