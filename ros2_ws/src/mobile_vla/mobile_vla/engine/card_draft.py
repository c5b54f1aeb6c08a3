"""A card to fill in: what the tensors say is written, what they cannot say is asked for."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mobile_vla.checkpoint.card import FEATURES, FORMAT, Card
from mobile_vla.checkpoint.card_text import missing_card_fields
from mobile_vla.checkpoint.contents import Contents
from mobile_vla.checkpoint.layout import FULL_SIZE_WIDTHS, Layout
from mobile_vla.checkpoint.opening import open_source
from mobile_vla.checkpoint.source import hash_source
from mobile_vla.config.document import template
from mobile_vla.engine.strict import require
from mobile_vla.policy.features import feature_width

_MOST_COMBINATIONS = 6


def draft(checkpoint: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> tuple[str, list[str]]:
    """The text of a new card with the file's sha256, and the fields a person has to fill in. Refuses a file that could
    not be loaded. `progress` gets the bytes hashed so far and all of them.
    """
    source = open_source(checkpoint)
    layout, _ = require(Contents(source))
    known = _known(layout, checkpoint.stem)
    total = sum(file.size for file in source.held)
    known["weights_sha256"] = hash_source(source, lambda done: progress(done, total))
    return "\n".join([*_hints(layout), template(Card, known)]), fields_to_fill_in(layout)


def fields_to_fill_in(layout: Layout) -> list[str]:
    """The fields of a card, dotted, that the tensors of a file with this layout do not tell."""
    return missing_card_fields(template(Card, _known(layout, "any")), "a new card")


def _known(layout: Layout, name: str) -> dict[str, Any]:
    known: dict[str, Any] = {
        "format": FORMAT,
        "name": name,
        "layout": layout.head.family,
        "kosmos_image": {"size_px": layout.kosmos.image_px},
        "clip_image": {"size_px": layout.clip.image_px},
    }
    if layout.kosmos.text.width != FULL_SIZE_WIDTHS["kosmos.text"]:
        known["towers"] = {}
    return known


def _hints(layout: Layout) -> list[str]:
    widths = {name: feature_width(layout, f"{name}:{poolings[0]}") for name, poolings in FEATURES.items()}
    wanted = layout.head.feature_width
    sums = [
        names
        for count in range(1, len(widths) + 1)
        for names in itertools.combinations(widths, count)
        if sum(widths[name] for name in names) == wanted
    ]
    lines = [
        "# The card says what the weights cannot. Every line with `<-` has to be filled in; nothing is guessed.",
        f"# Feature widths here: {', '.join(f'{name} {width}' for name, width in widths.items())}.",
        f"# They have to add up to {wanted}. Sets that do (their order is for you to know):",
    ]
    lines += [f"#   {' + '.join(names)}" for names in sums[:_MOST_COMBINATIONS]] or [
        "#   none: is this the policy's file?"
    ]
    return lines
