"""What `inspect` says about a file: one dictionary for machines, made without reading weights or needing a card."""

from __future__ import annotations

import argparse
import dataclasses
from collections import Counter
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from mobile_vla.checkpoint.card import CARD_METADATA, Card, CardError, card_path, card_present
from mobile_vla.checkpoint.card_text import MAX_BYTES, load_card, missing_card_fields, parse_card
from mobile_vla.checkpoint.contents import Contents
from mobile_vla.checkpoint.int8 import is_scale
from mobile_vla.checkpoint.layout import HeadDims, Layout
from mobile_vla.checkpoint.opening import open_source
from mobile_vla.checkpoint.source import DTYPE_WORDS
from mobile_vla.engine.card_draft import fields_to_fill_in
from mobile_vla.engine.strict import Examined, examine
from mobile_vla.errors import UserError
from mobile_vla.files import read_text
from mobile_vla.policy.features import FeatureSet
from mobile_vla.policy.model import check_geometry, tower_facts

# how much of a training script's leftovers a report shows
_SHOWN, _ENTRIES, _SHORT_LIST = 100, 100, 8


@dataclasses.dataclass(frozen=True)
class Inspection:
    """A file's structure, and its card where there is one. `card_error` is the sentence that keeps the card out;
    `contradiction` says that it is a complete card of another policy.
    """

    contents: Contents
    examined: Examined
    card: Card | None
    card_error: str
    missing_card_fields: tuple[str, ...]
    contradiction: bool

    @property
    def loadable(self) -> bool:
        """Whether the structure could be loaded strictly; a card counts only where it contradicts the tensors."""
        return not self.examined.problems and not self.contradiction

    def as_json(self) -> dict[str, Any]:
        """Everything, with the names others rely on."""
        source, problems = self.contents.source, self.examined.problems
        weights = {name: info for name, info in self.contents.tensors.items() if not is_scale(name)}
        return {
            "file": str(source.path),
            "layout": self.examined.head.family if self.examined.head else None,
            "parameters": sum(info.elements for info in weights.values()),
            "tensors": len(weights),
            "dtype": self.dtype,
            "bytes": sum(file.size for file in source.held),
            "optimizer_bytes": source.container.optimizer_bytes,
            "container": source.container.words,
            "notes": list(source.container.notes),
            "other_weights": list(source.container.other_weights),
            "container_entries": {name: _plain(value) for name, value in source.container.entries.items()},
            "prefixes": self.contents.prefixes,
            "clip_names": "open_clip" if self.contents.open_clip else "transformers",
            "head": _head(self.examined.head),
            "towers": _towers(self.examined.layout),
            "card": None if self.card is None else dataclasses.asdict(self.card),
            "card_error": self.card_error or None,
            "missing_card_fields": list(self.missing_card_fields),
            "loadable": self.loadable,
            "problems": {
                "missing": list(problems.missing),
                "unexpected": list(problems.unexpected),
                "shape": [shape._asdict() for shape in problems.shape],
                "dropped": [dropped._asdict() for dropped in problems.dropped],
                "kind": list(problems.kind),
                "layout": problems.layout or None,
            },
        }

    @property
    def dtype(self) -> str:
        """The stored number format: `int8` for the int8 format, else the common one, `mixed` where there is none."""
        if self.examined.int8:
            return "int8"
        kinds = Counter(info.dtype for info in self.contents.tensors.values())
        words = [DTYPE_WORDS.get(kind, str(kind)) for kind, _ in kinds.most_common()]
        return words[0] if len(words) == 1 else f"mixed: {', '.join(words)}" if words else "none"


def inspect(path: Path, card_file: Path | None = None, weights: str = "") -> Inspection:
    """Open and examine a file; raises only when it cannot be read as a checkpoint at all."""
    contents = Contents(open_source(path, weights))
    examined = examine(contents)
    card, error, missing = _card(contents, card_file, examined.layout)
    if card is not None and examined.layout is not None:
        try:
            tower_facts(examined.layout, card)
            check_geometry(examined.layout, card)
            FeatureSet(card, examined.layout)
        except CardError as mismatch:
            return Inspection(contents, examined, None, str(mismatch), missing, contradiction=True)
    return Inspection(contents, examined, card, error, missing, contradiction=False)


def _card(
    contents: Contents, card_file: Path | None, layout: Layout | None
) -> tuple[Card | None, str, tuple[str, ...]]:
    source = contents.source
    beside = card_file or card_path(source.path)
    inside = source.container.metadata.get(CARD_METADATA)
    try:
        if card_file is not None or card_present(beside):
            return load_card(beside), "", ()
        if inside:
            return parse_card(inside, f"the card inside {source.path}"), "", ()
    except CardError as error:
        return None, str(error), _still_missing(beside if beside.exists() else None, inside)
    return None, "", tuple(missing_card_fields() if layout is None else fields_to_fill_in(layout))


def _still_missing(file: Path | None, inside: str | None) -> tuple[str, ...]:
    try:
        text = read_text(file, MAX_BYTES) if file is not None else inside or ""
        return tuple(missing_card_fields(text))
    except UserError:
        return tuple(missing_card_fields())


def _head(head: HeadDims | None) -> dict[str, Any] | None:
    if head is None:
        return None
    return {
        "fused_in": head.fusion_in,
        "fused_out": head.rnn_in,
        "lstm_hidden": head.hidden,
        "lstm_layers": head.rnn_layers,
        "mlp": [
            {"kind": layer.kind, "index": layer.index, "in": layer.inputs or None, "out": layer.outputs or None}
            for layer in head.mlp
        ],
    }


def _towers(layout: Layout | None) -> dict[str, Any] | None:
    return (
        None
        if layout is None
        else {"kosmos": dataclasses.asdict(layout.kosmos), "clip": dataclasses.asdict(layout.clip)}
    )


def _plain(value: Any) -> Any:
    """A container entry for a report: small values as they are, everything else by its type."""
    if isinstance(value, argparse.Namespace):
        return {str(name)[:_SHOWN]: _short_text(item) for name, item in list(vars(value).items())[:_ENTRIES]}
    if isinstance(value, (bool, int, float)) or value is None:
        return value if not isinstance(value, int) or value.bit_length() <= 64 else type(value).__name__
    if isinstance(value, np.generic):
        return value.item()
    return value[:_SHOWN] if isinstance(value, str) else type(value).__name__


def _short_text(value: Any) -> str:
    """One value of `args` in a few characters; what holds other values is named and not followed."""
    if isinstance(value, (str, float, PurePath, np.generic)) or type(value) is bool or value is None:
        return str(value)[:_SHOWN]
    if isinstance(value, int) and value.bit_length() <= 64:
        return str(value)
    if isinstance(value, (list, tuple)) and len(value) <= _SHORT_LIST and all(_is_simple(item) for item in value):
        return str(value)
    return type(value).__name__


def _is_simple(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and value.bit_length() <= 64)
