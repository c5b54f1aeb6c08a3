"""Reading the commands of a page."""

from __future__ import annotations

from page_blocks import blocks, says, with_options, without_comment

PAGE = """# Title

Text, and a command:

    vla one            # a comment
    vla two

<!-- prints -->

    it says 4.0 s

1. A point with more text

    Continued prose of the point.

    <!-- long -->
    <!-- with: --episodes 2 -->

        vla three --episodes 200

```mermaid
    vla four
```

<!-- not run: needs a robot -->

    ros2 topic list

<!-- before: vla first --> <!-- before: vla second -->

    vla last

    key: value
"""


def test_blocks_in_order_with_their_notes() -> None:
    found = list(blocks(PAGE))
    assert [(block.line, block.lines[0].split("  ")[0], block.runs) for block in found] == [
        (5, "vla one", True),
        (10, "it says 4.0 s", False),
        (19, "vla three --episodes 200", True),
        (27, "ros2 topic list", True),
        (31, "vla last", True),
        (33, "key: value", False),
    ]
    notes = [block.notes for block in found]
    assert notes[0] == {}
    assert notes[2] == {"long": [""], "with": ["--episodes 2"]}
    assert notes[3] == {"not run": ["needs a robot"]}
    assert notes[4] == {"before": ["vla first", "vla second"]}
    assert notes[5] == {}


def test_comments_are_not_run() -> None:
    assert without_comment("vla one --path a#b   # why") == "vla one --path a#b"


def test_values_of_options_are_replaced() -> None:
    assert with_options("vla a --episodes 200 x", "--episodes 2 --out o") == "vla a --episodes 2 x"


def test_times_and_hashes_may_differ_and_words_may_not() -> None:
    assert says("took   4.0 s\nsha256 6d14e6da...", "before\ntook 12 s\nsha256  0123456789abcdef\nafter")
    assert says("head ... Dropout", "head fusion, ReLU, Dropout")
    assert not says("28 fields", "36 fields")
    assert not says("a\nb", "b\na")
