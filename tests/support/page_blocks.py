"""The commands of a page, in page order, and what their author says about running them.

A block of indented lines that begins with a command is run, line by line. An HTML comment above a block says otherwise:

    <!-- not run: why -->          nobody can run it here
    <!-- long -->                  it takes more than a few seconds: `make docs-check` runs it, `make test` does not
    <!-- stopped after 20 s -->    it runs until Ctrl-C, and gets it after that time
    <!-- with: --episodes 2 -->    other values of its options, so that it ends soon
    <!-- before: COMMAND -->       what somebody in this place has already, made by this command
    <!-- refused -->               its exit code is 2
    <!-- differs -->               its exit code is 1: the answer is no
    <!-- prints -->                the block is what the command before it prints

Several may stand above one block; `before` may be repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

WORDS = "vla|make|python3?|pip|cd|cp|mv|mkdir|printf|ros2|colcon|rosdep|docker|source|export|ssh"
COMMANDS = re.compile(rf"(?:\w+=\S* )*(?:{WORDS})\b")
KINDS = "not run|long|stopped after|with|before|refused|differs|prints"
NOTE = re.compile(rf"<!-- (?P<kind>{KINDS})(?:[: ]+(?P<text>\S.*?))?? -->")
INDENTED = re.compile(r" {4,}(?=\S)")
FENCE = re.compile(r"^\s*```")


class Block(NamedTuple):
    """Lines that stand together, where they begin, and the notes above them."""

    line: int
    lines: tuple[str, ...]
    notes: dict[str, list[str]]

    @property
    def runs(self) -> bool:
        """Whether its first line is a command."""
        return "prints" not in self.notes and COMMANDS.match(self.lines[0]) is not None


def blocks(text: str) -> Iterator[Block]:
    """The indented blocks of a page; fenced ones (diagrams) are left out."""
    notes: dict[str, list[str]] = {}
    lines: list[str] = []
    fenced, start = False, 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if FENCE.match(line):
            fenced = not fenced
            continue
        indent = INDENTED.match(line) and not line.lstrip().startswith("<!--")
        if indent and not fenced and (lines or not _is_list_text(line)):
            start = start if lines else number
            lines.append(line.strip())
            continue
        if lines:
            yield Block(start, tuple(lines), notes)
            lines, notes = [], {}
        for note in NOTE.finditer(line):
            notes.setdefault(note["kind"], []).append(note["text"] or "")


def _is_list_text(line: str) -> bool:
    """Prose that goes on with a point of a list: four columns, and no command."""
    return len(line) - len(line.lstrip()) == 4 and line.lstrip()[:1].isupper() and not COMMANDS.match(line.strip())


def without_comment(command: str) -> str:
    """The command without what stands behind ` #`."""
    return re.split(r"\s+#\s", command)[0].strip()


def with_options(command: str, options: str) -> str:
    """The command with each `--name value` in place of its own value of that name; others are left out."""
    for name, value in re.findall(r"(--[\w-]+) (\S+)", options):
        command = re.sub(rf"{name} \S+", f"{name} {value}", command)
    return command


def says(page: str, printed: str) -> bool:
    """Whether the printed lines contain the page's in this order; `...`, times and hashes stand for any."""
    pattern = re.escape(_shape(page)).replace(r"\.\.\.", ".*")
    return re.search(pattern, _shape(printed), re.DOTALL) is not None


def _shape(text: str) -> str:
    text = re.sub(r"\x1b\[[\d;]*m", "", text)
    text = re.sub(r"\b[0-9a-f]{8,}\b(?:\.\.\.)?", "HASH", text)
    text = re.sub(r"\b\d+(?:\.\d+)? (m?s|min|GB)\b", r"N \1", text)
    return re.sub(r"\s+", " ", text).strip()
